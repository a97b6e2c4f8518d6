"""The stored ledger. Its documents are created and never changed; the number of an entry is its key.

Any replica may append: whoever creates the document of the next number wins, and the others read it and try the number
after it. So there is one chain whoever leads, without a lock, and an entry is durable when `append` returns.
"""

from __future__ import annotations

from collections.abc import Sequence

from libs.docstore.fields import number, text
from libs.docstore.store import Collection, Document, Index, Insert, Query, Store, Value
from libs.runtime.backoff import Backoff
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, InternalError, UnavailableError
from services.retention.ledger.entries import GENESIS, Data, Entry, canonical, check

LEDGER = Collection(
    "ledger",
    (Index("number", ("number",)), Index("at", ("at",)), Index("once", ("once",), unique=True)),
    fields=("number", "at", "kind", "data", "prev", "hash", "once"),
)
_AGAIN = Backoff(first=0.005, ceiling=0.2, attempts=20)


class Ledger:
    """The ledger of this installation."""

    def __init__(self, store: Store, clock: Clock) -> None:
        """Use `store`, opened with LEDGER."""
        self._store = store
        self._clock = clock

    async def append(self, kind: str, data: Data, once: str = "") -> Entry:
        """Write an entry, durably; `data` holds words, opaque ids, dates and whole numbers, nothing personal.

        Whoever may die between a change and its entry writes the entry again: with the same `once` (at most 150
        characters, kept beside the entry and no part of it) there is one, and that is returned. Raises:
        UnavailableError; ValueError for what an entry must not say.
        """
        check(kind, data)
        async for _ in _AGAIN:
            if once and (known := await self._store.find(Query(LEDGER, "once", (), once, once, limit=1))):
                return _entry(known[0])
            last = await self.last()
            prev = last.hash if last else GENESIS
            entry = Entry(last.number + 1 if last else 1, unix_seconds(self._clock), kind, dict(data), prev)
            body = _body(entry) | ({"once": once} if once else {})
            try:
                await self._store.write(Insert(LEDGER, _key(entry.number), body))
            except ConflictError:
                continue
            return entry
        raise UnavailableError("ledger_busy")

    async def last(self) -> Entry | None:
        """Return the newest entry. Raises: UnavailableError."""
        found = await self._store.find(Query(LEDGER, "number", descending=True, limit=1))
        return _entry(found[0]) if found else None

    async def read(self, first: int, limit: int) -> Sequence[Entry]:
        """Return at most `limit` (1 to 1,000) entries from number `first` on. Raises: UnavailableError."""
        return [_entry(one) for one in await self._store.find(Query(LEDGER, "number", lower=first, limit=limit))]

    async def last_until(self, until: int) -> Entry | None:
        """Return the newest entry whose time is `until` (Unix seconds) or before. Raises: UnavailableError."""
        found = await self._store.find(Query(LEDGER, "at", upper=until, descending=True, limit=1))
        return _entry(found[0]) if found else None

    async def first(self) -> Entry | None:
        """Return the oldest entry that is left. Raises: UnavailableError."""
        found = await self._store.find(Query(LEDGER, "number", limit=1))
        return _entry(found[0]) if found else None


def _key(count: int) -> str:
    return f"{count:016d}"


def _body(entry: Entry) -> dict[str, Value]:
    return {
        "number": entry.number,
        "at": entry.at,
        "kind": entry.kind,
        "data": dict(entry.data),
        "prev": entry.prev,
        "hash": entry.hash,
    }


def _entry(document: Document) -> Entry:
    """Return the entry as stored; that it is what was hashed is for who verifies, not for who reads."""
    body, data = document.body, document.body.get("data")
    if not isinstance(data, dict):
        raise InternalError("document_damaged")
    words = {name: value for name, value in data.items() if isinstance(value, str | int)}
    entry = Entry(number(body, "number"), number(body, "at"), text(body, "kind"), words, text(body, "prev"))
    # A changed document keeps the hash that it was given, so that the chain shows where it was changed.
    object.__setattr__(entry, "hash", text(body, "hash"))
    return entry


def line_of(entry: Entry) -> bytes:
    """Return the line of the file that stands for an entry."""
    return canonical({"entry": entry.fields(), "hash": entry.hash}) + b"\n"
