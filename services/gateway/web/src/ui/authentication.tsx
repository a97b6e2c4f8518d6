/**
 * Who a mail is really from, as far as anybody can tell: the results of SPF, DKIM and DMARC that this platform found itself
 * (RFC 8601), said in one sentence that promises nothing more than they prove.
 */
import type { Authentication, Envelope } from "../mail/envelope";
import { Icon } from "./icon";

export type Verdict = "confirmed" | "unconfirmed" | "failed";

export function verdictOf(auth: Authentication): Verdict {
  if (auth.dmarc === "pass") return "confirmed";
  if (auth.dmarc === "fail" || auth.spf === "fail" || auth.dkim === "fail") return "failed";
  return "unconfirmed";
}

export function verdictSentence(envelope: Envelope): string {
  const domain = envelope.from.address.split("@").at(-1) || "its domain";
  switch (verdictOf(envelope.auth)) {
    case "confirmed":
      return `Sent by ${domain}: the domain vouches for it (DMARC). That says nothing about whether its content is true.`;
    case "failed":
      return `This may not come from ${domain}: a check of the sender failed. Do not trust the name.`;
    default:
      return `Nobody vouches that this comes from ${domain}. Anybody can write any sender.`;
  }
}

export function AuthenticationLine({ envelope }: { envelope: Envelope }) {
  const verdict = verdictOf(envelope.auth);
  return (
    <details class={`verdict ${verdict}`}>
      <summary>
        <Icon name={verdict === "confirmed" ? "shield" : "warning"} size={16} />
        {verdict === "confirmed"
          ? "Sender confirmed"
          : verdict === "failed"
            ? "Sender check failed"
            : "Sender not confirmed"}
      </summary>
      <p>{verdictSentence(envelope)}</p>
      <dl>
        {(["spf", "dkim", "dmarc"] as const).map((method) => (
          <div key={method}>
            <dt>{method.toUpperCase()}</dt>
            <dd>{envelope.auth[method]}</dd>
          </div>
        ))}
      </dl>
    </details>
  );
}
