"""Stores that stop a leader in the middle, drafts to be numbered, what the register must have done in the end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Document, Insert, Operation, Query, Store, Written
from services.billing.invoicing.documents import INVOICES, Invoice, Kind, draft_body, invoice_key


class PausingStore:
    """A Store over another that runs something else before a chosen call, as if this process had stood still."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._calls = -1
        self._meanwhile: Callable[[], Awaitable[None]] | None = None

    def pause_before(self, calls: int, meanwhile: Callable[[], Awaitable[None]]) -> None:
        """Run `meanwhile` before the call that follows `calls` more."""
        self._calls, self._meanwhile = calls, meanwhile

    async def _pause(self) -> None:
        if self._meanwhile is None:
            return
        self._calls -= 1
        if self._calls < 0:
            meanwhile, self._meanwhile = self._meanwhile, None
            await meanwhile()

    async def write(self, operation: Operation) -> Written:
        """See Store."""
        await self._pause()
        return await self._store.write(operation)

    async def write_many(self, operations: Sequence[Operation]) -> list[Written | Exception]:
        """See Store."""
        await self._pause()
        return await self._store.write_many(operations)

    async def find(self, query: Query) -> list[Document]:
        """See Store."""
        await self._pause()
        return await self._store.find(query)

    async def get_many(self, collection: Any, keys: Sequence[str]) -> dict[str, Document]:
        """See Store."""
        await self._pause()
        return await self._store.get_many(collection, keys)

    def __getattr__(self, name: str) -> Any:
        """Pass everything else on."""
        return getattr(self._store, name)


def draft_of(account_id: str, month: int = 682, net: int = 500) -> Invoice:
    """Return a draft of 19 % tax."""
    key = invoice_key(account_id, month)
    return Invoice(key, account_id, Kind.INVOICE, month, "", net, net * 19 // 100, "EUR", 14)


async def put_drafts(store: Store, drafts: Sequence[Invoice], made: int = 1) -> None:
    """Write drafts with no content."""
    results = await store.write_many([Insert(INVOICES, draft.key, draft_body(draft, made, b"")) for draft in drafts])
    assert not [result for result in results if isinstance(result, Exception)]


async def numbers_of(store: SqliteStore) -> dict[str, str]:
    """Return the numbers of all documents by key; without one, an empty text."""
    found: dict[str, str] = {}
    for step in ("number", "book"):
        after: Any = None
        while page := await store.find(Query(INVOICES, "steps", (step,), after=after, limit=1000)):
            found.update({document.key: str(document.body.get("number") or "") for document in page})
            after = (page[-1].body["made"], page[-1].key)
    return found


def assert_gapless(numbers: Sequence[str]) -> None:
    """Check that every year counts from 1 on, each number once."""
    by_year: dict[str, list[int]] = {}
    for number in numbers:
        year, _, count = number.partition("-")
        by_year.setdefault(year, []).append(int(count))
    for counts in by_year.values():
        assert sorted(counts) == list(range(1, len(counts) + 1))
