/** Where short notices appear, and the two regions that screen readers listen to. */
import { announced, dismiss, toasts } from "../state/toast";
import { IconButton } from "./parts";

export function Toasts() {
  return (
    <>
      <div class="visually-hidden" role="status" aria-live="polite">
        {announced.value}
      </div>
      <div class="toasts" role="region" aria-label="Notices" aria-live="polite">
        {toasts.value.map((toast) => (
          <div class={`toast ${toast.kind}`} key={toast.id}>
            <span>{toast.text}</span>
            {toast.action && (
              <button
                type="button"
                class="toast-action"
                onClick={() => {
                  dismiss(toast.id);
                  toast.action?.run();
                }}
              >
                {toast.action.label}
              </button>
            )}
            <IconButton icon="close" label="Dismiss" onClick={() => dismiss(toast.id)} />
          </div>
        ))}
      </div>
    </>
  );
}
