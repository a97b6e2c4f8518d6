/** The ways to answer the open message: on top for quick hands, below the text where reading ends. */
import type { ReplyKind } from "../mail/reply";
import { Icon } from "./icon";
import { IconButton } from "./parts";

type Answer = (kind: ReplyKind) => void;

/** How the message that is open now is answered, for the keyboard; null while none is. */
export const openAnswer: { current: Answer | null } = { current: null };

export function AnswerButtons({ answer }: { answer: Answer | null }) {
  return (
    <>
      <IconButton
        icon="reply"
        label="Reply (r)"
        class="only-wide"
        disabled={!answer}
        onClick={() => answer?.("reply")}
      />
      <IconButton
        icon="replyAll"
        label="Reply to all (a)"
        class="only-wide"
        disabled={!answer}
        onClick={() => answer?.("all")}
      />
      <IconButton
        icon="forward"
        label="Forward (f)"
        class="only-wide"
        disabled={!answer}
        onClick={() => answer?.("forward")}
      />
    </>
  );
}

export function AnswerRow({ answer }: { answer: Answer }) {
  const ways: [ReplyKind, "reply" | "replyAll" | "forward", string][] = [
    ["reply", "reply", "Reply"],
    ["all", "replyAll", "Reply to all"],
    ["forward", "forward", "Forward"],
  ];
  return (
    <div class="row answer-row">
      {ways.map(([kind, icon, label]) => (
        <button type="button" class="button" key={kind} onClick={() => answer(kind)}>
          <Icon name={icon} size={18} />
          <span>{label}</span>
        </button>
      ))}
    </div>
  );
}
