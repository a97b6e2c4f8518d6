/** Who signed a mail, said in one line that promises nothing more than was found out; green for one case alone. */
import type { SenderCheck } from "../state/opening";
import { domainOf } from "../mail/address";
import { Icon } from "./icon";

type Look = "confirmed" | "unconfirmed" | "failed";

interface Words {
  look: Look;
  title: string;
  text: string;
}

export function wordsOf(check: SenderCheck): Words {
  const who = check.address || "its sender";
  switch (check.signature) {
    case "verified":
      return verified(check, who);
    case "none":
      return {
        look: "failed",
        title: "Not signed",
        text: `It says it is from ${who}, but nobody signed it. Anybody can write any sender. Do not trust the name.`,
      };
    case "other-key":
      return {
        look: "failed",
        title: "Signed by another key",
        text: `It says it is from ${who}, but the key that signed it is not theirs. Do not trust the name.`,
      };
    case "broken":
      return {
        look: "failed",
        title: "Signature broken",
        text: `It was changed after ${who} signed it, or made to look signed.`,
      };
    default:
      return {
        look: "unconfirmed",
        title: "Signature not checked",
        text: check.askable
          ? `It is signed, perhaps by ${who}. Their key can be asked for at ${domainOf(who)}, which then learns that somebody reads this.`
          : `It is signed, but no key of ${who} was found to check it with. Anybody can write any sender.`,
      };
  }
}

function verified(check: SenderCheck, who: string): Words {
  if (check.own)
    return { look: "confirmed", title: "Written by you", text: "Signed with your own key, and sealed to it." };
  const text = {
    sealed: `Signed with the key of ${who} and sealed in their program: no server on the way could read or change it.`,
    encrypted: `Signed with the key that is published for ${who}, and encrypted to yours.`,
    signed: `The text is signed with the key that is published for ${who}. Subject and recipients are not part of what is signed.`,
  }[check.how];
  return { look: "confirmed", title: "Sender verified", text };
}

export function SenderLine({ check, onCheck }: { check: SenderCheck; onCheck: () => void }) {
  const { look, title, text } = wordsOf(check);
  return (
    <details class={`verdict ${look}`} open={look === "failed"} data-testid="sender-check">
      <summary>
        <Icon name={look === "confirmed" ? "shield" : "warning"} size={16} />
        {title}
      </summary>
      <p>{text}</p>
      {check.askable && check.signature === "unchecked" && (
        <button type="button" class="link" onClick={onCheck}>
          Ask for the key
        </button>
      )}
    </details>
  );
}
