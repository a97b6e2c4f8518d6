/**
 * From "Send" to sending: who gets it sealed is asked once more, what cannot be sent is told, and of what travels openly the
 * writer is warned, once for each mail and recipient.
 */
import { useRef, useState } from "preact/hooks";
import { asSentence } from "../../api/http";
import { bytes, plural } from "../../lib/format";
import { addressKey, domainOf } from "../../mail/address";
import type { Composer } from "../../state/composer";
import { info } from "../../state/info";
import { freshRoutes, type Found } from "../../state/recipients";
import { afterSending, isShown, send } from "../../state/write";
import { Dialog } from "../../ui/dialog";
import { Icon } from "../../ui/icon";
import { Button } from "../../ui/parts";
import { standingOfRoute } from "../../ui/route";

export interface Question {
  open: string[];
  publics: string[];
  /** how many get it sealed */
  sealed: number;
  found: ReadonlyMap<string, Found>;
}

export function useSending(composer: Composer) {
  const [checking, setChecking] = useState(false);
  const [problem, setProblem] = useState("");
  const [question, setQuestion] = useState<Question | null>(null);
  const routes = useRef<ReadonlyMap<string, Found>>(new Map());
  const go = async (found: ReadonlyMap<string, Found>) => {
    routes.current = found;
    if ((await send(composer, found)) && isShown(composer)) afterSending();
  };
  const begin = async () => {
    if (checking || composer.sending.value) return;
    // The field that has the focus takes what was typed when it loses it.
    (document.activeElement as HTMLElement | null)?.blur();
    setProblem(composer.people.value.length === 0 ? "It has no recipient yet." : "");
    if (composer.people.value.length === 0) return;
    setChecking(true);
    try {
      const found = await freshRoutes(toAsk(composer));
      const reason = refusal(composer, found);
      const asked = questionOf(composer, found);
      if (reason) setProblem(reason);
      else if (asked) setQuestion(asked);
      else void go(found);
    } catch (error) {
      setProblem(asSentence(error));
    } finally {
      setChecking(false);
    }
  };
  const agree = () => {
    if (!question) return;
    for (const one of [...question.open, ...question.publics]) composer.warned.add(addressKey(one));
    setQuestion(null);
    void go(question.found);
  };
  return {
    checking,
    problem,
    question,
    begin: () => void begin(),
    agree,
    cancel: () => setQuestion(null),
    again: () => void go(routes.current),
  };
}

function toAsk(composer: Composer): string[] {
  return composer.people.value
    .map((one) => one.address)
    .filter((address) => !composer.wrongAddresses.includes(address));
}

/** Why it cannot be sent as it is; "" when it can. */
function refusal(composer: Composer, found: ReadonlyMap<string, Found>): string {
  const [wrong] = composer.wrongAddresses;
  if (wrong !== undefined) return `"${wrong}" is not an address.`;
  const most = info.value?.max_message_bytes ?? Infinity;
  if (composer.size.value > most)
    return `This is larger than the ${bytes(most)} that a message may have. Remove an attachment.`;
  const missing = composer.people.value.filter((one) => !found.has(addressKey(one.address)));
  if (missing[0]) return `It could not be found out how mail to ${missing[0].address} travels. Try again in a moment.`;
  const nobody = composer.people.value.filter((one) => found.get(addressKey(one.address))?.kind === "unknown");
  if (nobody[0]) return `Nobody has the address ${nobody[0].address}.`;
  return "";
}

function questionOf(composer: Composer, found: ReadonlyMap<string, Found>): Question | null {
  const standing = (address: string) => standingOfRoute(found.get(addressKey(address)));
  const pending = composer.people.value
    .map((one) => one.address)
    .filter((address) => !composer.delivered.has(addressKey(address)));
  const open = pending.filter((address) => standing(address) === "open");
  const publics = pending.filter((address) => standing(address) === "public");
  const unwarned = [...open, ...publics].some((address) => !composer.warned.has(addressKey(address)));
  if (!unwarned) return null;
  const sealed = pending.length - open.length - publics.length;
  return { open, publics, sealed, found };
}

interface QuestionProps {
  question: Question;
  composer: Composer;
  onSend: () => void;
  onClose: () => void;
}

export function SendQuestion({ question, composer, onSend, onClose }: QuestionProps) {
  const { open, publics, sealed } = question;
  return (
    <Dialog title="This message travels openly" onClose={onClose}>
      {open.length > 0 && (
        <section class="open-to">
          <p>
            <Icon name="lockOpen" size={18} /> No key was found for {plural(open.length, "recipient")}. The mail servers
            on the way, and whoever runs them, can read and keep it.
          </p>
          <Addresses of={open} />
        </section>
      )}
      {publics.length > 0 && (
        <section class="open-to">
          <p>
            <Icon name="globe" size={18} />{" "}
            {publics.length === 1 ? "This is a public inbox" : "These are public inboxes"}: anybody can read what
            arrives there.
          </p>
          <Addresses of={publics} />
        </section>
      )}
      {sealed > 0 && (
        <p>
          {sealed === 1 ? "One recipient gets" : `${sealed} recipients get`} it sealed; but what travels openly is the
          same text.
        </p>
      )}
      {composer.quotesSealed && (
        <p>
          <strong>It quotes a message that came sealed.</strong> Its words would travel openly too.
        </p>
      )}
      <footer>
        <Button onClick={onClose}>Back</Button>
        <Button look="primary" icon="lockOpen" onClick={onSend}>
          Send openly
        </Button>
      </footer>
    </Dialog>
  );
}

function Addresses({ of }: { of: string[] }) {
  return (
    <ul class="address">
      {of.slice(0, 20).map((address) => (
        <li key={address}>
          {address.slice(0, address.length - domainOf(address).length)}
          <strong>{domainOf(address)}</strong>
        </li>
      ))}
      {of.length > 20 && <li>and {of.length - 20} more</li>}
    </ul>
  );
}
