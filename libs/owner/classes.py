"""Data classes of the usual forms: documents with a time in an index, documents of an account, documents of nobody.

A service puts its classes together from these, or writes one of its own where a document takes others along.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from libs.docstore.store import Collection, Delete, Document, Query, Store
from libs.owner.model import Count, Erased, Item, Subject, Swept, Wanted
from libs.runtime.errors import ConflictError, NotFoundError

AT_MOST = 1_000_000
_PAGE = 1000
_BLOCK = 256 * 1024


@dataclass(frozen=True)
class Due:
    """An index whose last field says when a document's time is over, `offset` seconds after it."""

    index: str
    equal: tuple[str | int | bytes, ...] = ()
    # Read at each sweep, since the numbers in force may change.
    offset: Callable[[], int] = lambda: 0


@dataclass(frozen=True)
class Owned:
    """An index whose leading fields are what `key_of` makes of a subject; None where nothing can be his."""

    index: str
    key_of: Callable[[Subject], str | bytes | None]


class StoredClass:
    """Implements HeldClass for the documents of some collections of one store.

    `due` says what is swept, by collection; without it nothing is, for something else ends these documents. `owned`
    says what is a subject's, by collection. `shown` makes the exported form of a document, None to leave it out.
    """

    def __init__(
        self,
        name: str,
        store: Store,
        collections: Sequence[Collection],
        *,
        due: dict[str, Due] | None = None,
        owned: dict[str, Owned] | None = None,
        shown: Callable[[Collection, Document, Wanted], dict[str, Any] | None] | None = None,
    ) -> None:
        """Answer for `name` with `collections` of `store`."""
        self.name = name
        self._store = store
        self._collections = tuple(collections)
        self._due = due or {}
        self._owned = owned or {}
        self._shown = shown

    async def count(self) -> Count:
        """See HeldClass."""
        total, at_least, first = 0, False, 0
        for collection in self._collections:
            number = await self._store.count(collection, AT_MOST)
            total, at_least = total + number, at_least or number >= AT_MOST
            due = await self._first_due(collection)
            first = min(first or due, due) if due else first
        return Count(total, at_least, first)

    async def _first_due(self, collection: Collection) -> int:
        due = self._due.get(collection.name)
        if due is None:
            return 0
        found = await self._store.find(Query(collection, due.index, due.equal, limit=1))
        if not found:
            return 0
        at = found[0].body[_last_field(collection, due.index)]
        return at + due.offset() if isinstance(at, int) else 0

    async def sweep(self, until: int, limit: int) -> Swept:
        """See HeldClass."""
        left = limit
        for collection in self._collections:
            due = self._due.get(collection.name)
            if due is not None and left:
                # Strictly: an item whose time is over at `until` has been held for all of it.
                upper = until - due.offset()
                left -= await self._store.delete_range(collection, due.index, due.equal, upper, left)
        return Swept(limit - left, left == 0)

    async def export(self, subject: Subject, wanted: Wanted) -> AsyncIterator[Item]:
        """See HeldClass."""
        if self._shown is None:
            return
        for collection in self._collections:
            position = 0
            async for document in self._of(collection, subject):
                body = self._shown(collection, document, wanted)
                if body is not None:
                    position += 1
                    yield json_item(f"{collection.name}-{position:06d}.json", body)

    async def erase_keys(self, subject: Subject) -> int:
        """See HeldClass: there are none."""
        return 0

    async def erase(self, subject: Subject, limit: int) -> Erased:
        """See HeldClass."""
        deleted = 0
        for collection in self._collections:
            while deleted < limit:
                page = await self._page(collection, subject, min(_PAGE, limit - deleted))
                deleted += await delete_all(self._store, collection, page)
                if not page:
                    break
            else:
                return Erased(deleted, more=True)
        return Erased(deleted)

    async def _of(self, collection: Collection, subject: Subject) -> AsyncIterator[Document]:
        after: tuple[Any, str] | None = None
        while page := await self._page(collection, subject, _PAGE, after):
            for document in page:
                yield document
            last = page[-1].body.get(_last_field(collection, self._owned[collection.name].index))
            if len(page) < _PAGE or not isinstance(last, str | int | bytes):
                return
            after = (last, page[-1].key)

    async def _page(
        self, collection: Collection, subject: Subject, limit: int, after: tuple[Any, str] | None = None
    ) -> list[Document]:
        owned = self._owned.get(collection.name)
        key = owned.key_of(subject) if owned is not None else None
        if owned is None or key is None or key in ("", b""):
            return []
        return await self._store.find(Query(collection, owned.index, (key,), after=after, limit=limit))


def _last_field(collection: Collection, name: str) -> str:
    return next(index.fields[-1] for index in collection.indexes if index.name == name)


async def delete_all(store: Store, collection: Collection, documents: Sequence[Document]) -> int:
    """Delete `documents`, durably; return how many of them were there. Raises: UnavailableError."""
    if not documents:
        return 0
    deleted = 0
    for result in await store.write_many([Delete(collection, document.key) for document in documents]):
        if isinstance(result, (NotFoundError, ConflictError)):
            continue
        if isinstance(result, Exception):
            raise result
        deleted += 1
    return deleted


def json_item(name: str, body: object) -> Item:
    """Return `body` as an item; bytes in it become base64."""
    return Item(name, "json", _blocks(json.dumps(body, ensure_ascii=False, indent=1, default=_encoded).encode()))


def _encoded(value: object) -> str:
    import base64

    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    raise TypeError(type(value).__name__)


async def _blocks(content: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(content), _BLOCK):
        yield content[start : start + _BLOCK]
