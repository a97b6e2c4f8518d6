/** The small parts that every view is made of: buttons, fields, notices, waiting. */
import type { AllHTMLAttributes, ComponentChildren, JSX } from "preact";
import { useId, useState } from "preact/hooks";
import { asSentence } from "../api/http";
import { Icon, type IconName } from "./icon";

type ButtonProps = Omit<JSX.IntrinsicElements["button"], "icon"> & {
  look?: "primary" | "plain" | "quiet" | "danger";
  icon?: IconName;
  busy?: boolean;
  children?: ComponentChildren;
};

export function Button({ look = "plain", icon, busy = false, class: extra = "", children, ...rest }: ButtonProps) {
  return (
    <button
      type="button"
      {...rest}
      class={`button ${look} ${extra as string}`.trimEnd()}
      disabled={busy || Boolean(rest.disabled)}
      aria-busy={busy}
    >
      {busy ? <span class="spinner" aria-hidden="true" /> : icon && <Icon name={icon} size={18} />}
      <span>{children}</span>
    </button>
  );
}

interface IconButtonProps {
  icon: IconName;
  label: string;
  onClick: (event: MouseEvent) => void;
  pressed?: boolean;
  filled?: boolean;
  disabled?: boolean;
  class?: string;
}

export function IconButton({ icon, label, pressed, filled, class: extra = "", ...rest }: IconButtonProps) {
  return (
    <button
      type="button"
      class={`icon-button ${extra}`}
      aria-label={label}
      title={label}
      aria-pressed={pressed}
      {...rest}
    >
      <Icon name={icon} filled={filled ?? false} />
    </button>
  );
}

type InputProps = Omit<AllHTMLAttributes<HTMLInputElement>, "label" | "role"> & {
  label: string;
  hint?: ComponentChildren;
  error?: string | undefined;
  after?: ComponentChildren;
};

export function TextField({ label, hint, error, after, ...input }: InputProps) {
  const id = useId();
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ");
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <div class={`input ${error ? "wrong" : ""}`}>
        <input
          autocapitalize="none"
          spellcheck={false}
          {...(input as object)}
          id={id}
          aria-invalid={Boolean(error)}
          aria-describedby={described || undefined}
        />
        {after}
      </div>
      {hint && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
      {error && (
        <p class="field-error" id={`${id}-error`}>
          <Icon name="warning" size={15} /> {error}
        </p>
      )}
    </div>
  );
}

export function PasswordField(props: InputProps) {
  const [shown, show] = useState(false);
  const toggle = (
    <button type="button" class="inside" aria-pressed={shown} onClick={() => show(!shown)}>
      {shown ? "Hide" : "Show"}
    </button>
  );
  return <TextField {...props} type={shown ? "text" : "password"} after={toggle} />;
}

export function Notice({
  kind,
  children,
}: {
  kind: "info" | "warning" | "error" | "good";
  children: ComponentChildren;
}) {
  const icon: IconName = kind === "good" ? "check" : kind === "info" ? "info" : "warning";
  return (
    <div class={`notice ${kind}`} role={kind === "error" ? "alert" : undefined}>
      <Icon name={icon} />
      <div>{children}</div>
    </div>
  );
}

export function Failure({ error, retry }: { error: unknown; retry?: () => void }) {
  return (
    <div class="empty" role="alert">
      <Icon name="warning" size={32} />
      <p>{asSentence(error)}</p>
      {retry && (
        <Button icon="refresh" onClick={retry}>
          Try again
        </Button>
      )}
    </div>
  );
}

interface EmptyProps {
  icon: IconName;
  title: string;
  /** The page has no other heading. */
  alone?: boolean;
  children?: ComponentChildren;
}

export function Empty({ icon, title, alone = false, children }: EmptyProps) {
  return (
    <div class="empty">
      <Icon name={icon} size={36} />
      {alone ? <h1>{title}</h1> : <h2>{title}</h2>}
      {children && <p>{children}</p>}
    </div>
  );
}

export function Waiting({ text = "Loading" }: { text?: string }) {
  return (
    <div class="waiting" role="status">
      <span class="spinner" aria-hidden="true" />
      <span>{text}…</span>
    </div>
  );
}

/** A bar that shows work going on whose length nobody knows, with what is being done. */
export function Working({ text }: { text: string }) {
  return (
    <div class="working" role="status">
      <div class="working-bar" aria-hidden="true" />
      <p>{text}…</p>
    </div>
  );
}
