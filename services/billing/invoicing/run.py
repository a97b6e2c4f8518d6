"""Bills months that are over: drafts, then numbers, then entries in the books; each can be broken off at any point.

A month has a document that says how far its drafts have come; accounts are drafted in order of their ids, a page at a
time, and a page that is drafted twice finds its drafts there. Numbers and entries are not bound to the month: they are
done for whatever waits for them, so a credit note takes the same way. Nothing here needs a leader to be exact, only to
be done once instead of several times; and one document that cannot be booked leaves the others alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from libs.docstore.fields import number, text
from libs.docstore.store import Collection, Document, Index, Insert, Patch, Query, Store
from libs.envelope import Vault
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, SealpostError, UnavailableError
from libs.telemetry import metrics
from libs.telemetry.logs import get_logger
from services.billing.domain.model import DAY
from services.billing.invoicing.documents import INVOICES, Invoice, Kind, Step, invoice_of
from services.billing.invoicing.drafting import Drafting, first_day, month_of
from services.billing.invoicing.notes import Notes
from services.billing.invoicing.ports import Accounts, Billable, Booking, Prices, UsageReader
from services.billing.invoicing.register import Register

RUNS = Collection("invoice_runs", (Index("months", ("chain", "month")),), fields=("chain", "month", "after", "drafted"))

_CHAIN = "runs"
_PAGE = 200
_AT_ONCE = 20
_log = get_logger("invoicing")
_DRAFTED = metrics.counter("sealpost_billing_invoices_drafted_total", "Invoices drafted.")
_NUMBERED = metrics.counter("sealpost_billing_invoices_numbered_total", "Invoices and credit notes numbered.")
_FAILED = metrics.counter("sealpost_billing_invoices_failed_total", "Steps of invoices that failed and are repeated.")


@dataclass(frozen=True)
class Sources:
    """What a run reads and where it books."""

    accounts: Accounts
    usage: UsageReader
    prices: Prices
    booking: Booking


class Run:
    """The billing of all months, in one store opened with RUNS, INVOICES and REGISTER."""

    def __init__(self, store: Store, clock: Clock, sources: Sources, vault: Vault, settle_days: int = 2) -> None:
        """Bill a month once it has been over for `settle_days`, so that what was used late in it is counted."""
        self._store = store
        self._clock = clock
        self._sources = sources
        self._vault = vault
        self._settle_days = settle_days
        self._register = Register(store, clock)
        self._notes = Notes(store, clock, vault)

    async def turn(self) -> int:
        """Do all there is to be done; return 0. Repeat it now and then. Raises: UnavailableError, InternalError."""
        while (month := await self._next_month()) is not None:
            await self._draft_month(month)
        await self.finish()
        return 0

    async def finish(self) -> None:
        """Number and book whatever waits for it. Raises: as `turn`."""
        await self._notes.finish()
        while numbered := await self._register.number_some():
            _NUMBERED.inc(numbered)
        await self._book_all()

    async def _next_month(self) -> int | None:
        """Return the month to be drafted, None if there is none; of a platform that is new the one before this."""
        over = month_of(unix_seconds(self._clock) // DAY - self._settle_days) - 1
        found = await self._store.find(Query(RUNS, "months", (_CHAIN,), descending=True, limit=1))
        if not found:
            month = over
        else:
            last = number(found[0].body, "month")
            month = last + 1 if found[0].body.get("drafted") is True else last
        return month if month <= over else None

    async def _draft_month(self, month: int) -> None:
        key = f"{month:06d}"
        run = await self._store.get(RUNS, key)
        if run is None:
            await self._begin(key, month)
        after = text(run.body, "after") if run is not None else ""
        drafting = Drafting(self._sources.prices.on(first_day(month)), month, self._vault)
        while page := await self._sources.accounts.billable(drafting.first_day, drafting.last_day, after, _PAGE):
            await self._draft_page(drafting, page)
            after = page[-1].account_id
            await self._store.write(Patch(RUNS, key, {"after": after}))
        await self._store.write(Patch(RUNS, key, {"drafted": True, "after": ""}))
        _log.info("invoices_drafted")

    async def _begin(self, key: str, month: int) -> None:
        try:
            await self._store.write(Insert(RUNS, key, {"chain": _CHAIN, "month": month, "after": "", "drafted": False}))
        except ConflictError:
            _log.info("invoices_begun_elsewhere")

    async def _draft_page(self, drafting: Drafting, page: Sequence[Billable]) -> None:
        costing = [billable for billable in page if drafting.costs(billable)]
        inserts: list[Insert] = []
        made = unix_seconds(self._clock)
        for start in range(0, len(costing), _AT_ONCE):
            some = costing[start : start + _AT_ONCE]
            drafts = await asyncio.gather(*(self._draft(drafting, one, made) for one in some))
            inserts += [draft for draft in drafts if draft is not None]
        for result in await self._store.write_many(inserts):
            if isinstance(result, ConflictError):
                continue  # drafted before somebody died
            if isinstance(result, Exception):
                raise result
            _DRAFTED.inc()

    async def _draft(self, drafting: Drafting, billable: Billable, made: int) -> Insert | None:
        usage = await self._sources.usage.of(billable.subjects, drafting.first_day, drafting.last_day)
        return drafting.draft(billable, usage, await self._sources.accounts.payer(billable.account_id), made)

    async def _book_all(self) -> None:
        after: tuple[int, str] | None = None
        while page := await self._store.find(Query(INVOICES, "steps", (Step.BOOK.value,), after=after, limit=_PAGE)):
            for start in range(0, len(page), _AT_ONCE):
                await self._book_some(page[start : start + _AT_ONCE])
            after = (number(page[-1].body, "made"), page[-1].key)

    async def _book_some(self, documents: Sequence[Document]) -> None:
        invoices = [invoice_of(document) for document in documents]
        results = await asyncio.gather(*map(self._book, invoices), return_exceptions=True)
        booked: list[Invoice] = []
        for invoice, result in zip(invoices, results, strict=True):
            if result is None:
                booked.append(invoice)
            elif isinstance(result, UnavailableError) or not isinstance(result, SealpostError):
                raise result
            else:
                _FAILED.inc()
                _log.error("invoice_not_booked", error=result)
        if changed := await self._tick_off(booked):
            # What is prepaid has paid them meanwhile; whoever else ticked them off is not in the way.
            found = await self._store.get_many(INVOICES, [invoice.key for invoice in changed])
            await self._tick_off([one for one in map(invoice_of, found.values()) if one.step is Step.BOOK])

    async def _tick_off(self, booked: Sequence[Invoice]) -> Sequence[Invoice]:
        """Write down that invoices are booked; return those that somebody else has changed."""
        patches = [Patch(INVOICES, one.key, {"step": None}, version=one.version) for one in booked]
        changed: list[Invoice] = []
        for invoice, written in zip(booked, await self._store.write_many(patches), strict=True):
            if isinstance(written, ConflictError):
                changed.append(invoice)
            elif isinstance(written, Exception):
                raise written
        return changed

    async def _book(self, invoice: Invoice) -> None:
        book = self._sources.booking
        if invoice.kind is Kind.INVOICE:
            await book.invoiced(invoice.account_id, invoice.number, invoice.net, invoice.tax)
        else:
            await book.credited(invoice.account_id, invoice.number, invoice.of, invoice.net, invoice.tax)
