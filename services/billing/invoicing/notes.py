"""Takes an invoice back, whole or in part, by credit notes.

What is taken back is written into the invoice first, on condition of its version: so it is never more than the invoice
claims, whoever asks at once, and the same reference again is the same credit. The notes are then made from that list,
each with a key that follows from its place, which can be repeated; they get numbers and are booked like invoices.
"""

from __future__ import annotations

from dataclasses import replace

from libs.docstore.fields import number
from libs.docstore.store import Document, Insert, Patch, Query, Store
from libs.envelope import Vault
from libs.runtime.backoff import Backoff
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from services.billing.domain.pricing import Line, half_up
from services.billing.invoicing.content import content_of, seal_content
from services.billing.invoicing.documents import (
    INVOICES,
    Credit,
    Invoice,
    Kind,
    State,
    Step,
    credits_value,
    draft_body,
    invoice_of,
    note_key,
)

_PAGE = 200
_MOST = 100
_MOST_REFERENCE = 120


class Notes:
    """The credit notes of one store, opened with INVOICES."""

    def __init__(self, store: Store, clock: Clock, vault: Vault, backoff: Backoff | None = None) -> None:
        """Keep them in `store`; who meets others at one invoice tries as often as `backoff` says."""
        self._store = store
        self._clock = clock
        self._vault = vault
        self._backoff = backoff or Backoff(first=0.01, ceiling=0.2, attempts=10)

    async def credit(self, account_id: str, number: str, reference: str, gross: int | None = None) -> Credit:
        """Take `gross` of an invoice back, or all that is left of it; a run gives the note its number and books it.

        The same reference again answers what it did the first time. Tax is taken back in proportion, rounded half up,
        and all that is left of it with the last part.

        Raises: NotFoundError("invoice"); InvalidError("reference"); ConflictError("reference") for another amount;
        ConflictError("amount") for nothing, or more than is left; ConflictError("not_booked") while the invoice is
        being issued; UnavailableError.
        """
        credit = await self._credit(account_id, number, reference, gross, at_most=False)
        if gross not in (None, credit.gross):
            raise ConflictError("reference")
        return credit

    async def credit_up_to(self, account_id: str, number: str, reference: str, gross: int) -> int:
        """Take `gross` of an invoice back, or what is left of it where that is less; return how much that was.

        The same reference again answers what it did the first time. Raises: NotFoundError("invoice");
        InvalidError("reference"); ConflictError("not_booked") while the invoice is being issued; UnavailableError.
        """
        try:
            return (await self._credit(account_id, number, reference, gross, at_most=True)).gross
        except ConflictError as error:
            if error.reason == "amount":
                return 0
            raise

    async def _credit(
        self, account_id: str, number: str, reference: str, gross: int | None, *, at_most: bool
    ) -> Credit:
        if not 0 < len(reference) <= _MOST_REFERENCE:
            raise InvalidError("reference")
        async for _ in self._backoff:
            document = await self._find(account_id, number)
            invoice = invoice_of(document)
            known = next((credit for credit in invoice.credits if credit.reference == reference), None)
            credit = known or credit_of(invoice, reference, gross, at_most=at_most)
            try:
                if known is None:
                    invoice = await self._write(invoice, credit)
                await self._make(document, invoice)
            except ConflictError:
                continue  # another credit of this invoice came in between
            return credit
        raise UnavailableError("invoice_contended")

    async def finish(self) -> None:
        """Make the notes that somebody who died left to be made. Raises: UnavailableError, InternalError."""
        after: tuple[int, str] | None = None
        while page := await self._store.find(Query(INVOICES, "steps", (Step.CREDIT.value,), after=after, limit=_PAGE)):
            for document in page:
                try:
                    await self._make(document, invoice_of(document))
                except ConflictError:
                    continue  # whoever changed it makes the notes
            after = (number(page[-1].body, "made"), page[-1].key)

    async def _find(self, account_id: str, number: str) -> Document:
        found = await self._store.find(Query(INVOICES, "number", (number,), limit=1)) if number else []
        invoice = invoice_of(found[0]) if found else None
        if invoice is None or invoice.account_id != account_id or invoice.kind is not Kind.INVOICE:
            raise NotFoundError("invoice")
        return found[0]

    async def _write(self, invoice: Invoice, credit: Credit) -> Invoice:
        credits = (*invoice.credits, credit)
        whole = sum(one.gross for one in credits) == invoice.gross
        state = State.CREDITED if whole else invoice.state
        written = await self._store.write(
            Patch(
                INVOICES,
                invoice.key,
                {"credits": credits_value(credits), "state": state.value, "step": Step.CREDIT.value},
                version=invoice.version,
            )
        )
        return replace(invoice, credits=credits, state=state, step=Step.CREDIT, version=written.version)

    async def _make(self, document: Document, invoice: Invoice) -> None:
        """Make the notes of an invoice's credits, as far as they are not made. Raises: ConflictError."""
        if invoice.step is not Step.CREDIT:
            return
        content = content_of(self._vault, document)
        inserts: list[Insert] = []
        for position, credit in enumerate(invoice.credits):
            key = note_key(invoice.key, position)
            note = Invoice(
                key=key,
                account_id=invoice.account_id,
                kind=Kind.CREDIT_NOTE,
                month=invoice.month,
                of=invoice.number,
                net=credit.net,
                tax=credit.tax,
                currency=invoice.currency,
                payment_days=0,
            )
            line = Line(f"Credit for invoice {invoice.number}", None, 0, credit.net)
            sealed = seal_content(self._vault, key, replace(content, lines=(line,), usage={}))
            inserts.append(Insert(INVOICES, key, draft_body(note, unix_seconds(self._clock), sealed)))
        for result in await self._store.write_many(inserts):
            if isinstance(result, Exception) and not isinstance(result, ConflictError):
                raise result
        await self._store.write(Patch(INVOICES, invoice.key, {"step": None}, version=invoice.version))


def credit_of(invoice: Invoice, reference: str, gross: int | None, *, at_most: bool = False) -> Credit:
    """Return what is to be credited of an invoice; with `at_most` what is left where that is less than `gross`.

    Raises: ConflictError("not_booked" | "amount").
    """
    if invoice.step not in (None, Step.CREDIT):
        raise ConflictError("not_booked")
    left = invoice.net - sum(credit.net for credit in invoice.credits)
    left_tax = invoice.tax - sum(credit.tax for credit in invoice.credits)
    all_left = left + left_tax
    wanted = all_left if gross is None else min(gross, all_left) if at_most else gross
    if not 0 < wanted <= all_left or len(invoice.credits) >= _MOST:
        raise ConflictError("amount")
    if wanted == all_left:
        return Credit(reference, left, left_tax)
    # The share of all that is taken back by then, less what was: so roundings do not add up.
    share = half_up(invoice.tax * (invoice.gross - all_left + wanted), invoice.gross) - (invoice.tax - left_tax)
    # There is no note without a net amount, and one has to be left for the last.
    tax = max(wanted - left + 1, min(share, left_tax, wanted - 1), 0)
    if not 0 < wanted - tax < left:
        raise ConflictError("amount")
    return Credit(reference, wanted - tax, tax)
