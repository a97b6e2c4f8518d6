"""Gives numbers to drafts: without a gap, without a double, whoever dies or leads at the same time.

The register is a chain of pages, each a list of up to 1,000 keys of drafts. A draft's number is its place in the list,
so numbers have no gaps by construction; a page is written on condition of the version that was read, so of two that
append at once one begins again. The numbers are then written into the drafts, which can be repeated at any time.

No draft stands in two places, though no transaction spans page and draft. A new page is begun only when the last one
takes no more keys (it is full, or closed at the end of a year) and all its drafts have their numbers. Whoever appends
reads the last page first and the drafts without a number after it: a draft that stood in an earlier page had its
number before the last page began, so it is not among them; one that stands in the last page is seen there, or came
since, and then the version differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from libs.docstore.fields import number, texts
from libs.docstore.store import (
    Collection,
    Document,
    Index,
    Insert,
    Operation,
    Patch,
    Query,
    Replace,
    Store,
    Value,
)
from libs.runtime.backoff import Backoff
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, InternalError, UnavailableError
from services.billing.domain.model import DAY
from services.billing.invoicing.documents import INVOICES, Step, numbered_fields

REGISTER = Collection(
    "invoice_register",
    (Index("pages", ("chain", "ordinal")), Index("begun", ("begun",))),
    fields=("chain", "ordinal", "year", "page", "keys", "days", "closed", "begun"),
)
PAGE = 1000

_CHAIN = "register"
_READ = 500
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True)
class _Page:
    """One page as it was read; `version` 0: not written yet."""

    # From 1 on over all years: two that begin a page at once, and disagree about the year, find the same key.
    ordinal: int
    year: int
    page: int
    keys: tuple[str, ...]
    # The day of issue of each: numbers and days ascend together.
    days: tuple[int, ...]
    closed: bool
    version: int

    @property
    def key(self) -> str:
        return f"{self.ordinal:08d}"

    def takes_more(self, size: int) -> bool:
        return not self.closed and len(self.keys) < size


async def newest_page(store: Store) -> str:
    """Return the key of the page that says which number comes next, "" if there is none. Raises: UnavailableError."""
    found = await store.find(Query(REGISTER, "pages", (_CHAIN,), descending=True, limit=1))
    return found[0].key if found else ""


class Register:
    """The register in one store, opened with REGISTER and INVOICES."""

    def __init__(self, store: Store, clock: Clock, backoff: Backoff | None = None, size: int = PAGE) -> None:
        """Number what is in `store`; who meets others tries as often as `backoff` says.

        `size`: keys of a page; numbers follow from it, so it is for tests and for nobody to change.
        """
        self._size = size
        self._store = store
        self._clock = clock
        self._backoff = backoff or Backoff(first=0.01, ceiling=0.5, attempts=20)
        # The page whose drafts have numbers, and how many of its first; saves reading them again.
        self._settled: tuple[str, int] = ("", 0)

    async def number_some(self) -> int:
        """Give numbers to drafts, at most as many as a page holds; return how many, 0 when there are no more.

        Raises: UnavailableError; InternalError("register_damaged").
        """
        async for _ in self._backoff:
            try:
                return await self._number()
            except ConflictError:
                continue  # somebody else numbers too: begin with what stands there now
        raise UnavailableError("register_contended")

    async def _number(self) -> int:
        tail = await self._tail()
        if tail is not None:
            await self._settle(tail)
        drafts = await self._drafts(tail)
        if not drafts:
            return 0
        today = unix_seconds(self._clock) // DAY
        page = await self._page_for(tail, _year(today))
        # A clock that was set back must not turn the order of days round.
        day = max(today, _first_day(page.year), tail.days[-1] if tail is not None else 0)
        added = drafts[: self._size - len(page.keys)]
        grown = replace(page, keys=(*page.keys, *added), days=(*page.days, *[day] * len(added)))
        await self._write(grown)
        await self._settle(grown)
        return len(added)

    async def _tail(self) -> _Page | None:
        found = await self._store.find(Query(REGISTER, "pages", (_CHAIN,), descending=True, limit=1))
        return _page_of(found[0]) if found else None

    async def _drafts(self, tail: _Page | None) -> list[str]:
        """Return keys of drafts without a number, oldest first. To be called after the last page has been read."""
        taken = frozenset(tail.keys) if tail is not None else frozenset[str]()
        keys: list[str] = []
        after: tuple[int, str] | None = None
        while len(keys) < self._size:
            query = Query(INVOICES, "steps", (Step.NUMBER.value,), after=after, limit=_READ)
            page = await self._store.find(query)
            keys += [document.key for document in page if document.key not in taken]
            if len(page) < _READ:
                break
            after = (number(page[-1].body, "made"), page[-1].key)
        return keys

    async def _page_for(self, tail: _Page | None, year: int) -> _Page:
        """Return the page to append to. Raises: ConflictError."""
        if tail is None:
            return _Page(1, year, 0, (), (), False, 0)
        if tail.takes_more(self._size) and tail.year >= year:
            return tail
        ordinal = tail.ordinal + 1
        if not tail.closed and tail.year >= year:
            return _Page(ordinal, tail.year, tail.page + 1, (), (), False, 0)
        if tail.takes_more(self._size):
            # Whoever still believes in the old year must find the page changed.
            await self._store.write(Patch(REGISTER, tail.key, {"closed": True}, version=tail.version))
        # After a closed page there is no more of its year, whatever a clock says: numbers would leave a gap.
        return _Page(ordinal, max(year, tail.year + 1), 0, (), (), False, 0)

    async def _write(self, page: _Page) -> None:
        body: dict[str, Value] = {
            "chain": _CHAIN,
            "ordinal": page.ordinal,
            "year": page.year,
            "page": page.page,
            "keys": list(page.keys),
            "days": list(page.days),
            "closed": page.closed,
            "begun": page.days[0] * DAY,
        }
        if page.version:
            await self._store.write(Replace(REGISTER, page.key, body, page.version))
        else:
            await self._store.write(Insert(REGISTER, page.key, body))

    async def _settle(self, page: _Page) -> None:
        """Write their numbers into the drafts of a page; whoever has one keeps it, for it is the same."""
        begun = self._settled[1] if self._settled[0] == page.key else 0
        for start in range(begun, len(page.keys), _READ):
            await self._settle_some(page, range(start, min(start + _READ, len(page.keys))))
        self._settled = (page.key, len(page.keys))

    async def _settle_some(self, page: _Page, places: Sequence[int]) -> None:
        operations = await self._numberings(page, places)
        for result in await self._store.write_many(operations):
            if isinstance(result, ConflictError) and result.reason == "duplicate":
                raise InternalError("register_damaged") from result
            if isinstance(result, Exception) and not isinstance(result, ConflictError):
                raise result
        # Who was quicker has written the same.
        if await self._numberings(page, [place for place in places if page.keys[place] in _keys(operations)]):
            raise UnavailableError("register_contended")

    async def _numberings(self, page: _Page, places: Sequence[int]) -> list[Operation]:
        documents = await self._store.get_many(INVOICES, [page.keys[place] for place in places])
        operations: list[Operation] = []
        for place in places:
            document = documents.get(page.keys[place])
            if document is not None and document.body.get("number") is None:
                fields = numbered_fields(document, page.year, page.page * self._size + place + 1, page.days[place])
                operations.append(Patch(INVOICES, document.key, fields, version=document.version))
        return operations


def _keys(operations: Sequence[Operation]) -> frozenset[str]:
    return frozenset(operation.key for operation in operations)


def _page_of(document: Document) -> _Page:
    body = document.body
    days = body.get("days")
    if not isinstance(days, list):
        raise InternalError("document_damaged")
    return _Page(
        number(body, "ordinal"),
        number(body, "year"),
        number(body, "page"),
        texts(body, "keys"),
        tuple(number({"day": day}, "day") for day in days),
        body.get("closed") is True,
        document.version,
    )


def _year(day: int) -> int:
    return (_EPOCH + timedelta(days=day)).year


def _first_day(year: int) -> int:
    return (date(year, 1, 1) - _EPOCH).days
