"""Keeps what the transparency report counts, one document for each half-year. They are never deleted."""

from __future__ import annotations

from collections.abc import Sequence

from libs.docstore.fields import nested, number, text, texts
from libs.docstore.store import Body, Collection, Document, Index, Insert, Query, Replace, Store, Value
from services.retention.domain.transparency import HalfYear

HALF_YEARS = Collection("half_year", (Index("name", ("name",)),), fields=("name", "counts", "added"))


class HalfYearRepository:
    """domain.transparency.HalfYearStore on a store that was opened with HALF_YEARS."""

    def __init__(self, store: Store) -> None:
        """Use `store`."""
        self._store = store

    async def get(self, name: str) -> HalfYear:
        """See HalfYearStore."""
        found = await self._store.get(HALF_YEARS, name)
        return HalfYear(name) if found is None else _half(found)

    async def all(self, limit: int) -> Sequence[HalfYear]:
        """See HalfYearStore."""
        return [_half(one) for one in await self._store.find(Query(HALF_YEARS, "name", descending=True, limit=limit))]

    async def put(self, half: HalfYear) -> None:
        """See HalfYearStore."""
        added: list[Value] = list(half.added)
        body: Body = {"name": half.name, "counts": dict(half.counts), "added": added}
        if half.revision:
            await self._store.write(Replace(HALF_YEARS, half.name, body, half.revision))
        else:
            await self._store.write(Insert(HALF_YEARS, half.name, body))


def _half(document: Document) -> HalfYear:
    counts = nested(document.body, "counts")
    return HalfYear(
        text(document.body, "name"),
        {name: number(counts, name) for name in counts},
        texts(document.body, "added"),
        document.version,
    )
