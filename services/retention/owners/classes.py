"""The data classes of retention's core: the ledger, the register, receipts, and what the schedule knows.

None of them is about anybody by name; an account's erasure leaves them as they are, the register because it is what
keeps the account erased.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from libs.docstore.store import Collection, Query, Store
from libs.owner.model import Count, Erased, Item, Subject, Swept, Wanted
from services.retention.domain.ports import Numbers
from services.retention.erasing.register import Register
from services.retention.ledger.ledger import LEDGER, Ledger
from services.retention.ledger.roots import ROOTS
from services.retention.repository.erasures import RECEIPTS

_DAY = 86_400
_MOST = 1000


class Impersonal:
    """What all of them have in common: nothing is anybody's."""

    name = ""

    async def export(self, subject: Subject, wanted: Wanted) -> AsyncIterator[Item]:
        """Give nothing."""
        nothing: tuple[Item, ...] = ()
        for item in nothing:
            yield item

    async def erase_keys(self, subject: Subject) -> int:
        """Destroy nothing."""
        return 0

    async def erase(self, subject: Subject, limit: int) -> Erased:
        """Delete nothing."""
        return Erased()


class EvidenceLedger(Impersonal):
    """Entries and roots, for ledger_seconds."""

    name = "evidence_ledger"

    def __init__(self, store: Store, ledger: Ledger, terms: Numbers) -> None:
        """Use `store`, opened with LEDGER and ROOTS."""
        self._store = store
        self._ledger = ledger
        self._terms = terms

    async def count(self) -> Count:
        """See HeldClass."""
        first, last = await self._ledger.first(), await self._ledger.last()
        if first is None or last is None:
            return Count(0)
        return Count(last.number - first.number + 1, False, first.at + self._terms.rule("ledger_seconds"))

    async def sweep(self, until: int, limit: int) -> Swept:
        """Delete the oldest entries, and the roots that end with them, from the beginning and without gaps."""
        before = until - self._terms.rule("ledger_seconds")
        limit = min(limit, _MOST)
        old = 0
        entries = await self._ledger.read(1, limit)
        for entry in entries:
            if entry.at > before:
                break
            old = entry.number
        if not old:
            return Swept(0)
        deleted = await self._store.delete_range(LEDGER, "number", (), old, limit)
        await self._store.delete_range(ROOTS, "entry", (), old, limit)
        return Swept(deleted, len(entries) == limit and entries[-1].number == old)


class ErasureRegister(Impersonal):
    """Lines of the register, for erasure_register_seconds: as long as a backup may be restored."""

    name = "erasure_register"

    def __init__(self, register: Register, terms: Numbers) -> None:
        """Sweep `register`."""
        self._register = register
        self._terms = terms

    async def count(self) -> Count:
        """See HeldClass."""
        lines, first_day = await self._register.count()
        due = (first_day + 1) * _DAY + self._terms.rule("erasure_register_seconds") if lines else 0
        return Count(lines, False, due)

    async def sweep(self, until: int, limit: int) -> Swept:
        """See HeldClass."""
        day = (until - self._terms.rule("erasure_register_seconds")) // _DAY - 1
        deleted = await self._register.forget(day, limit) if day >= 0 else 0
        return Swept(deleted, deleted > 0)


class Receipts(Impersonal):
    """Receipts, for receipt_seconds."""

    name = "receipt"

    def __init__(self, store: Store, terms: Numbers) -> None:
        """Use `store`, opened with RECEIPTS."""
        self._store = store
        self._terms = terms

    async def count(self) -> Count:
        """See HeldClass."""
        count = await self._store.count(RECEIPTS)
        first = await self._store.find(Query(RECEIPTS, "done_at", limit=1))
        done_at = first[0].body.get("done_at") if first else 0
        due = done_at + self._terms.rule("receipt_seconds") if isinstance(done_at, int) and done_at else 0
        return Count(count, count >= 1_000_000, due)

    async def sweep(self, until: int, limit: int) -> Swept:
        """See HeldClass."""
        before = until - self._terms.rule("receipt_seconds")
        deleted = await self._store.delete_range(RECEIPTS, "done_at", (), before, limit)
        return Swept(deleted, deleted == limit)


class Schedule(Impersonal):
    """What the schedule knows, and erasures under way: it goes by itself."""

    name = "schedule"

    def __init__(self, store: Store, *collections: Collection) -> None:
        """Count the documents of `collections`."""
        self._store = store
        self._collections = collections

    async def count(self) -> Count:
        """See HeldClass."""
        return Count(sum([await self._store.count(one) for one in self._collections]))

    async def sweep(self, until: int, limit: int) -> Swept:
        """Delete nothing."""
        return Swept(0)
