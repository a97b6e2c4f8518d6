/** What an account's owner has to know wherever he is: an erasure that runs, a policy that waits for his answer,
 *  a bill that is late. */
import { useEffect, useState } from "preact/hooks";
import { asSentence } from "../api/http";
import { rights as api } from "../api/rights";
import { longDay } from "../lib/format";
import { path } from "../lib/router";
import { account } from "../state/session";
import { change, keepAccount, loadRights, rights } from "../state/rights";
import { toast } from "../state/toast";
import { Confirm } from "./dialog";
import { Icon } from "./icon";
import { Button } from "./parts";
import "../styles/banners.css";

export function Banners() {
  const concerned = Boolean(account.value?.erase_due || account.value?.notice);
  useEffect(() => {
    // What cannot be asked now is asked with the next page.
    if (concerned && !rights.value) loadRights().catch(() => undefined);
  }, [concerned]);
  return (
    <>
      <ErasureBanner />
      <NoticeBanner />
      <OwingBanner />
    </>
  );
}

function ErasureBanner() {
  const due = rights.value ? rights.value.erasure?.due : account.value?.erase_due;
  if (!due) return null;
  const undo = () => {
    keepAccount()
      .then(() => toast("Your account stays"))
      .catch((error: unknown) => toast(asSentence(error), { kind: "error" }));
  };
  return (
    <section class="banner danger" aria-label="Erasure">
      <Icon name="warning" />
      <p>
        <strong>This account is erased on {longDay(new Date(due))}</strong>, with everything in it. Until then all works as
        before.
      </p>
      <Button onClick={undo}>Keep my account</Button>
    </section>
  );
}

const PLAN_PAGE = "/settings/billing";

/** Not where the bill itself is: there the page says it. */
function OwingBanner() {
  const owing = account.value?.owing;
  if (!owing || path.value === PLAN_PAGE) return null;
  return (
    <section class="banner" aria-label="Late bill">
      <Icon name="warning" />
      <p>
        <strong>{owing.read_only ? "Sending is paused until a bill is paid." : "A bill is late."}</strong>{" "}
        {owing.until && !owing.read_only && `Everything works until ${longDay(new Date(owing.until))}. `}
        Mail comes in all the time, and nothing is deleted. <a href={PLAN_PAGE}>See the bill</a>
      </p>
    </section>
  );
}

function NoticeBanner() {
  const notice = rights.value?.notice;
  const [refusing, setRefusing] = useState(false);
  if (!notice || notice.answer !== "") return null;
  const answer = (accept: boolean) => {
    change(api.answer(notice.version, accept))
      .then(() => toast(accept ? "Accepted" : "Refused. The old terms stay yours."))
      .catch((error: unknown) => toast(asSentence(error), { kind: "error" }));
  };
  const terms = rights.value?.terms ?? 0;
  return (
    <section class="banner" aria-label="Changed policy">
      <Icon name="info" />
      <p>
        <strong>
          The privacy policy changes{notice.effective && ` on ${longDay(new Date(notice.effective))} at the earliest`}.
        </strong>{" "}
        <a href={`/privacy/diff?from=${terms || 1}&to=${notice.version}`} target="_blank" rel="noreferrer">
          See what changes
        </a>
      </p>
      <span class="row">
        <Button look="primary" onClick={() => answer(true)}>
          Accept
        </Button>
        <Button onClick={() => setRefusing(true)}>Refuse</Button>
      </span>
      {refusing && (
        <Confirm title="Refuse the new policy?" action="Refuse" onConfirm={() => answer(false)} onClose={() => setRefusing(false)}>
          <p>
            The terms that hold for you now go on to hold
            {notice.old_terms_until ? ` until ${longDay(new Date(notice.old_terms_until))}` : ""}, or until you close your
            account. You can still accept later, and you can take your data along and erase the account at any time.
          </p>
        </Confirm>
      )}
    </section>
  );
}
