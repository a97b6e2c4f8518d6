"""Enters in the books what became of payments, once each, and lets the rest of billing know.

a payment's step ─▶ entry of the books, by a reference made of payment and step ─▶ invoices say so ─▶ step done

Whoever gives back at the provider what an invoice was paid with takes so much of the invoice back: there is a credit
note for it. A payment that went back against our will, by a dispute or a transfer that was not there, leaves its
invoice open.
"""

from __future__ import annotations

from dataclasses import replace

from libs.docstore.store import Patch, Query, Store
from libs.runtime.errors import ConflictError, NotFoundError, SealpostError, UnavailableError
from libs.telemetry import metrics
from libs.telemetry.facts import NoFacts, Recorder
from libs.telemetry.logs import get_logger
from services.billing.domain.journal import Book, Entry, Kind, Posting
from services.billing.ledger.books import Books
from services.billing.payments.model import PAYMENTS, Payment, Purpose, Step, payment_of
from services.billing.payments.ports import Invoices

_PAGE = 100
_SIZES = ((500, "to_5"), (2_000, "to_20"), (10_000, "to_100"), (50_000, "to_500"))
_log = get_logger("payments")
_BOOKED = metrics.counter(
    "sealpost_billing_payments_booked_total", "Payments entered in the books, by step.", {"step": tuple(Step)}
)
_FAILED = metrics.counter("sealpost_billing_payments_not_booked_total", "Steps of payments that the books refused.")
_UNDOING = {Step.REVERSED: Kind.REVERSED, Step.DISPUTED: Kind.DISPUTED, Step.WON: Kind.DISPUTE_WON}


class Booking:
    """The steps of payments in `store`, opened with PAYMENTS."""

    def __init__(self, store: Store, books: Books, invoices: Invoices, facts: Recorder | None = None) -> None:
        """Enter in `books`, and tell statistics by `facts`, which know amounts by their size only."""
        self._facts = facts or NoFacts()
        self._store = store
        self._books = books
        self._invoices = invoices

    async def step(self) -> int:
        """Do what was left to be done; return how many steps there were. Raises: UnavailableError."""
        done = 0
        for step in Step:
            for document in await self._store.find(Query(PAYMENTS, "steps", (step.value,), limit=_PAGE)):
                done += await self._one(payment_of(document))
        return done

    async def book(self, payment: Payment) -> Payment:
        """Do the step of a payment; return it without. Raises: UnavailableError; as Books.post."""
        if payment.step is None:
            return payment
        entry = await self._books.post(payment.account_id, _posting(payment, payment.step))
        if payment.step is Step.REFUNDED and payment.purpose is not Purpose.CREDITS:
            await self._take_back(payment, entry)
        await self._let_know(payment)
        try:
            written = await self._store.write(
                Patch(PAYMENTS, payment.payment_id, {"step": None}, version=payment.version)
            )
        except ConflictError:
            # It has gone on meanwhile: whoever looks next does the step that stands there now.
            return payment
        _BOOKED.inc(step=payment.step)
        self._facts.record(
            "payments",
            payment.account_id.encode(),
            purpose=payment.purpose.value,
            outcome=payment.step.value,
            amount=_size(payment.amount),
        )
        return replace(payment, step=None, version=written.version)

    async def _one(self, payment: Payment) -> int:
        try:
            return int((await self.book(payment)).step is None)
        except UnavailableError:
            raise
        except SealpostError as error:
            # The others must not wait for it; operators see the counter.
            _FAILED.inc()
            _log.error("payment_not_booked", error=error, reason=error.reason)
            return 0

    async def _take_back(self, payment: Payment, refund: Entry) -> None:
        """Credit the invoices that were paid with what was given back; of what was still prepaid there is none."""
        gross = refund.posting.amounts[0] - refund.lines.get(Book.PREPAID, 0)
        number = payment.what if payment.purpose is Purpose.INVOICE else ""
        try:
            await self._invoices.take_back(payment.account_id, number, refund.posting.reference, gross)
        except NotFoundError:
            _log.warning("invoice_unknown")  # law has let go of it

    async def _let_know(self, payment: Payment) -> None:
        """Have the invoices of the account say what the books say by now."""
        if payment.purpose is Purpose.INVOICE:
            try:
                await self._invoices.settled(payment.account_id, payment.what)
            except NotFoundError:
                _log.warning("invoice_unknown")
        if payment.purpose is Purpose.PLAN:
            await self._invoices.settle_prepaid(payment.account_id)


def _size(amount: int) -> str:
    """Return how large an amount is, as a word of the policy; currencies have a hundredth, or nearly so."""
    return next((word for most, word in _SIZES if amount <= most), "above")


def reference_of(payment: Payment) -> str:
    """Return what the books call a payment."""
    return f"payment/{payment.payment_id}"


def _posting(payment: Payment, step: Step) -> Posting:
    of = reference_of(payment)
    if step is Step.PAID:
        if payment.purpose is Purpose.CREDITS:
            return Posting(Kind.CREDITS_BOUGHT, of, (payment.net, payment.tax))
        if payment.purpose is Purpose.INVOICE:
            return Posting(Kind.PAID, of, (payment.amount,), of=f"invoice/{payment.what}")
        return Posting(Kind.PREPAID, of, (payment.amount,))
    if step is Step.REFUNDED:
        back, before = payment.refunds[-1], payment.refunds[-2] if len(payment.refunds) > 1 else 0
        # Of an invoice the tax is the credit note's.
        of_credits = payment.purpose is Purpose.CREDITS
        tax = _tax_part(payment, back) - _tax_part(payment, before) if of_credits else 0
        return Posting(Kind.REFUNDED, f"refund/{payment.payment_id}/{back}", (back - before - tax, tax), of=of)
    # Each dispute has one end.
    again = f"/{payment.disputes}" if payment.disputes > 1 and step is not Step.REVERSED else ""
    return Posting(_UNDOING[step], f"{step.value}/{payment.payment_id}{again}", (), of=of)


def _tax_part(payment: Payment, back: int) -> int:
    """Return how much of `back` is tax, half up; of all of it all."""
    if back >= payment.amount:
        return payment.tax
    return (2 * payment.tax * back + payment.amount) // (2 * payment.amount)
