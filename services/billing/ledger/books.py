"""Keeps the books of customers: an entry is added at the end, once for each reference, or not at all.

Whoever adds reads the last entry, works out the next and inserts it under the next number. Of two that do so at once
one finds the number taken, and begins again with what stands there now. A happening that comes a second time finds its
reference and is answered with the entry that there is; so every caller may repeat after any failure.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from libs.docstore.store import Query, Store
from libs.runtime.backoff import Backoff
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, InternalError, InvalidError, NotFoundError, UnavailableError
from services.billing.domain.about import MOST_ABOUT, About, lines_about, open_amount, went_back
from services.billing.domain.journal import Balances, Book, Entry, Kind, Lines, Posting, balances_of, entered
from services.billing.ledger.entries import BOOKS, entry_of, insert

_PAGE = 200
_MOST_PAGE = 200
_MOST_REFERENCE = 120


@dataclass(frozen=True)
class Page:
    """Some entries of a book, newest first; `cursor` is 0 where there are no older ones."""

    entries: tuple[Entry, ...]
    cursor: int


class Books:
    """The books in one store, opened with BOOKS."""

    def __init__(self, store: Store, clock: Clock, backoff: Backoff | None = None) -> None:
        """Keep them in `store`; who meets others at the end of one book tries as often as `backoff` says."""
        self._store = store
        self._clock = clock
        self._backoff = backoff or Backoff(first=0.002, ceiling=0.1, attempts=30)

    async def post(self, account_id: str, posting: Posting) -> Entry:
        """Add an entry; the same reference with the same amounts again changes nothing and answers the entry there is.

        Raises: ConflictError("reference") for another happening of this reference; as journal.entered, and with `of` as
        about.lines_about; InvalidError("reference"); UnavailableError.
        """
        if not 0 < len(posting.reference) <= _MOST_REFERENCE:
            raise InvalidError("reference")
        async for _ in self._backoff:
            # In this order: what came in between is then found by its reference, and cannot make its own repetition
            # look like more than the book has.
            last = await self.last(account_id)
            known = await self.find(account_id, posting.reference)
            if known is not None:
                return _same(known, posting)
            lines = await self._lines_about(account_id, last, posting) if posting.of else None
            entry = entered(last, posting, unix_seconds(self._clock), lines)
            try:
                await self._store.write(insert(account_id, entry))
            except ConflictError:
                continue  # somebody else was quicker, with this entry or another
            return entry
        raise UnavailableError("book_contended")

    async def balances(self, account_id: str) -> Balances:
        """Return how a book stands; of nobody's, nothing. Raises: UnavailableError."""
        last = await self.last(account_id)
        return last.balances if last is not None else balances_of({})

    async def last(self, account_id: str) -> Entry | None:
        """Return the newest entry. Raises: UnavailableError."""
        found = await self._store.find(Query(BOOKS, "account", (account_id,), descending=True, limit=1))
        return entry_of(found[0]) if found else None

    async def find(self, account_id: str, reference: str) -> Entry | None:
        """Return the entry of a happening. Raises: UnavailableError."""
        found = await self._store.find(Query(BOOKS, "reference", (account_id, reference), limit=1))
        return entry_of(found[0]) if found else None

    async def about(self, account_id: str, reference: str) -> tuple[Entry, ...]:
        """Return what was entered with `of` this reference, oldest first. Raises: UnavailableError."""
        query = Query(BOOKS, "about", (account_id, reference), limit=MOST_ABOUT)
        return tuple(entry_of(document) for document in await self._store.find(query))

    async def open_amount(self, account_id: str, reference: str) -> int:
        """Return what of an invoice has to be paid. Raises: NotFoundError("invoice"), UnavailableError."""
        invoice = await self.find(account_id, reference)
        if invoice is None or invoice.posting.kind is not Kind.INVOICED:
            raise NotFoundError("invoice")
        counts: list[Entry] = []
        for one in await self.about(account_id, reference):
            paid = one.posting.kind is Kind.PAID
            if not paid or not went_back(await self.about(account_id, one.posting.reference)):
                counts.append(one)
        return open_amount(invoice, counts)

    async def statement(self, account_id: str, limit: int, cursor: int = 0) -> Page:
        """Return 1 to 200 entries, newest first; `cursor` as the page before gave it. Raises: InvalidError("limit")."""
        if not 0 < limit <= _MOST_PAGE:
            raise InvalidError("limit")
        upper = cursor or None
        query = Query(BOOKS, "account", (account_id,), upper=upper, descending=True, limit=limit + 1)
        found = [entry_of(document) for document in await self._store.find(query)]
        return Page(tuple(found[:limit]), found[limit].seq if len(found) > limit else 0)

    async def verify(self, account_id: str) -> Balances:
        """Work the balances out from all entries again, and compare with what each entry says.

        Raises: InternalError("book_damaged") where an entry is missing, does not balance or says something else.
        """
        sums: dict[Book, int] = {}
        seq = 0
        async for entry in self._all(account_id):
            if not seq:
                # What law no longer keeps has been swept: the book begins with what the first entry found.
                seq = entry.seq - 1
                sums = {book: amount - entry.lines.get(book, 0) for book, amount in entry.after.items()}
            sums = {book: sums.get(book, 0) + entry.lines.get(book, 0) for book in {*sums, *entry.lines}}
            seq += 1
            if entry.seq != seq or sum(entry.lines.values()) != 0 or _standing(sums) != _standing(entry.after):
                raise InternalError("book_damaged")
        stands = balances_of(sums)
        if min(stands.credits, stands.held, stands.due, stands.prepaid) < 0:
            raise InternalError("book_damaged")
        return stands

    async def _lines_about(self, account_id: str, last: Entry | None, posting: Posting) -> Lines:
        about = About(await self.find(account_id, posting.of), await self.about(account_id, posting.of))
        return lines_about(posting, last.balances if last is not None else balances_of({}), about)

    async def _all(self, account_id: str) -> AsyncIterator[Entry]:
        lower = 1
        while True:
            page = await self._store.find(Query(BOOKS, "account", (account_id,), lower=lower, limit=_PAGE))
            for document in page:
                yield entry_of(document)
            if len(page) < _PAGE:
                return
            lower = entry_of(page[-1]).seq + 1


def _same(known: Entry, posting: Posting) -> Entry:
    if (known.posting.kind, known.posting.amounts, known.posting.of) != (posting.kind, posting.amounts, posting.of):
        raise ConflictError("reference")
    return known


def _standing(sums: Lines) -> dict[Book, int]:
    return {book: amount for book, amount in sums.items() if amount}
