/** How a payment is made by transfer: each piece to be copied by itself. */
import type { Payment } from "../../../api/billing";
import { digitsOf, money, plainAmount } from "../../../lib/money";
import { CopyBlock, CopyButton } from "../../../ui/copyable";
import { Dialog } from "../../../ui/dialog";
import { Button, Notice } from "../../../ui/parts";

export function PaymentDialog({ payment, onClose }: { payment: Payment; onClose: () => void }) {
  const { amount, currency, reference, instructions, state } = payment;
  if (state !== "waiting") {
    return (
      <Dialog title="This is paid" onClose={onClose}>
        <p>There is nothing left to pay here.</p>
        <footer>
          <Button look="primary" onClick={onClose}>
            Close
          </Button>
        </footer>
      </Dialog>
    );
  }
  return (
    <Dialog title="Pay by transfer" onClose={onClose}>
      <dl class="transfer">
        <div>
          <dt>Amount</dt>
          <dd>
            <strong class="amount">{money(amount, currency)}</strong>
            <CopyButton text={plainAmount(amount, digitsOf(currency))} what="amount" />
          </dd>
        </div>
        <div>
          <dt>Reference</dt>
          <dd>
            <strong class="mono">{reference}</strong>
            <CopyButton text={reference} what="reference" />
          </dd>
        </div>
        <div>
          <dt>To</dt>
          <dd>
            <CopyBlock text={instructions} what="recipient" />
          </dd>
        </div>
      </dl>
      <Notice kind="info">
        Give the reference exactly as it is and nothing else, so that your transfer is found. It takes a day or two. Pressing
        the same button again shows this again.
      </Notice>
      <footer>
        <Button look="primary" onClick={onClose}>
          Done
        </Button>
      </footer>
    </Dialog>
  );
}
