"""A data class whose documents are found by the account's mark and, where they have a time, by when it is over.

Both are declared indexes, so whatever is asked about an account or a time costs what it finds and no more. An export is
one JSON array for each class, made while it is read: a page of documents is in memory, never all of them.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from libs.docstore.fields import number
from libs.docstore.store import Collection, Document, IndexValue, Query, Store
from libs.owner.model import Count, Erased, Item, Subject, Swept, Wanted
from libs.policy import Terms
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import InternalError
from services.delivery.erased import ErasedAccounts, Whose

_PAGE = 200
_BLOCK = 64 * 1024
FOR_EVER = 2**62
_MOST = 1_000_000

Row: TypeAlias = "dict[str, Any]"
Tell: TypeAlias = "Callable[[Document], Row | None]"


@dataclass(frozen=True)
class Keeping:
    """Where everything is kept, and what stands for whom."""

    store: Store
    erased: ErasedAccounts
    clock: Clock
    terms: Terms


@dataclass(frozen=True)
class Rows:
    """Documents of one collection. `expires`: index of the time that is over, "" where they have none.

    `owned`: index whose fields are the account's mark and a whole number, "" where none is an account's. `at`: the
    field that says when something was, in Unix seconds, for exports of a period; "" where nothing does. `tell`: what an
    export says of a document, None for nothing. `unit`: seconds in a unit of the time.
    """

    collection: Collection
    expires: str = ""
    owned: str = "account"
    tell: Tell | None = None
    at: str = ""
    unit: int = 1
    expires_field: str = field(default="expires")


class KeptClass:
    """Implements libs.owner.model.HeldClass on such documents."""

    def __init__(self, name: str, keeping: Keeping, rows: Sequence[Rows]) -> None:
        """Take the class's name in the policy and where its documents are."""
        self._name = name
        self._store = keeping.store
        self._erased = keeping.erased
        self._clock = keeping.clock
        self._rows = rows

    @property
    def name(self) -> str:
        """See HeldClass."""
        return self._name

    async def count(self) -> Count:
        """See HeldClass."""
        counts = [await self._counted(rows) for rows in self._rows]
        dues = [one.first_due for one in counts if one.first_due]
        at_least = any(one.at_least for one in counts)
        return Count(sum(one.count for one in counts), at_least=at_least, first_due=min(dues, default=0))

    async def sweep(self, until: int, limit: int) -> Swept:
        """See HeldClass."""
        until, deleted = min(until, unix_seconds(self._clock)), 0
        for rows in self._rows:
            if rows.expires and deleted < limit:
                upper = until // rows.unit
                deleted += await self._store.delete_range(rows.collection, rows.expires, (), upper, limit - deleted)
        return Swept(deleted, more=deleted >= limit)

    async def export(self, subject: Subject, wanted: Wanted) -> AsyncIterator[Item]:
        """See HeldClass."""
        if not wanted.disclosure:
            whose = self._erased.whose(subject.account_id)
            async for item in one_item(f"{self._name}.json", self._told(whose, wanted)):
                yield item

    async def erase_keys(self, subject: Subject) -> int:
        """See HeldClass; what is sealed here has its key in the document, and goes with it."""
        return 0

    async def erase(self, subject: Subject, limit: int) -> Erased:
        """See HeldClass."""
        return await self.erase_of(self._erased.whose(subject.account_id), limit)

    async def erase_of(self, whose: Whose, limit: int) -> Erased:
        """Delete at most `limit` documents of an account, known by what stands for it."""
        deleted = 0
        for rows in self._rows:
            if rows.owned and deleted < limit:
                deleted += await self._store.delete_range(
                    rows.collection, rows.owned, (whose.mark,), FOR_EVER, limit - deleted
                )
        return Erased(deleted, more=deleted >= limit)

    async def _counted(self, rows: Rows) -> Count:
        count = await count_of(self._store, rows.collection)
        if rows.expires:
            count = replace(count, first_due=await first_of(self._store, rows))
        return count

    async def _told(self, whose: Whose, wanted: Wanted) -> AsyncIterator[Row]:
        for rows in self._rows:
            if rows.tell is None or not rows.owned:
                continue
            query = Query(rows.collection, rows.owned, (whose.mark,), limit=_PAGE)
            async for document in documents(self._store, query):
                told = rows.tell(document) if within(document, rows.at, wanted) else None
                if told is not None:
                    yield told


async def count_of(store: Store, collection: Collection, index: str = "") -> Count:
    """Return how many documents a collection has, or an index of it."""
    count = await store.count(collection, _MOST, index)
    return Count(count, at_least=count >= _MOST)


async def first_of(store: Store, rows: Rows) -> int:
    """Return when the time of the first document is over, in Unix seconds; 0 where there is none."""
    found = await store.find(Query(rows.collection, rows.expires, limit=1))
    return number(found[0].body, rows.expires_field) * rows.unit if found else 0


async def documents(store: Store, query: Query) -> AsyncIterator[Document]:
    """Yield all documents of a query, page by page."""
    name = next(index.fields[-1] for index in query.collection.indexes if index.name == query.index)
    while True:
        page = await store.find(query)
        for document in page:
            yield document
        if len(page) < query.limit:
            return
        query = replace(query, after=(_index_value(page[-1], name), page[-1].key))


def within(document: Document, at: str, wanted: Wanted) -> bool:
    """Tell whether something is of the period that is wanted."""
    if not at:
        return True
    when = number(document.body, at)
    return when >= wanted.since and not (wanted.until and when > wanted.until)


async def one_item(name: str, rows: AsyncIterator[Row]) -> AsyncIterator[Item]:
    """Give `rows` as one JSON array; nothing where there is none."""
    async for first in rows:
        yield Item(name, "json", _array(first, rows))
        return


async def _array(first: Row, rest: AsyncIterator[Row]) -> AsyncIterator[bytes]:
    block = bytearray(b"[\n" + _line(first))
    async for row in rest:
        block += b",\n" + _line(row)
        while len(block) >= _BLOCK:
            yield bytes(block[:_BLOCK])
            del block[:_BLOCK]
    block += b"\n]\n"
    for start in range(0, len(block), _BLOCK):
        yield bytes(block[start : start + _BLOCK])


def _line(row: Row) -> bytes:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode()


def _index_value(document: Document, name: str) -> IndexValue:
    value = document.body.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, str, bytes)):
        raise InternalError("document_damaged")
    return value
