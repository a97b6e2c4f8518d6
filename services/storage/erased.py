"""Mailboxes that are erased for good: one small document each, written before anything of the mailbox is deleted.

The key is a hash of the mailbox's id, which is random: whoever has the id can ask, nobody learns one from here. While
the document stands, nothing is appended, staged, listed, opened, exported or changed. It stays for good, since a mail
may be on its way to the mailbox for days, and costs a hundred bytes.

What had looked before the tombstone was written may still write after it. Where one process has the whole store, it
waits for those (limits.Gate); where others work on the same store, the mailbox is looked at once more when all of them
have ended (`look_at`), and until then the document holds its id. So it does while the erasure is under way; one that
nobody goes on with is ended here, an hour later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from libs.docstore.fields import number
from libs.docstore.store import Collection, Document, Index, Insert, Patch, Query, Store
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, NotFoundError
from services.storage.domain import OPERATION_SECONDS, is_name
from services.storage.limits import Gate

ERASED = Collection("erased", (Index("look_at", ("look_at",)),), small=True, fields=("mailbox", "look_at"))
AGAIN_SECONDS = 2 * OPERATION_SECONDS
ABANDONED_SECONDS = 3600
_LOOKS = 100
_WAIT_SECONDS = 0.25


class ErasedMailboxes:
    """Which mailboxes are erased."""

    def __init__(self, store: Store, gate: Gate, clock: Clock) -> None:
        """Keep them in `store`."""
        self._store = store
        # An engine within the process has no other users: its files are locked.
        self._alone: bool = getattr(store, "one_commit", False)
        self._gate = gate
        self._clock = clock

    async def bury(self, mailbox_id: str) -> None:
        """Have a mailbox be erased, durably. Repeatable."""
        if not is_name(mailbox_id) or await self._store.get(ERASED, _key(mailbox_id)) is not None:
            return
        look_at = unix_seconds(self._clock) + ABANDONED_SECONDS
        try:
            await self._store.write(Insert(ERASED, _key(mailbox_id), {"mailbox": mailbox_id, "look_at": look_at}))
        except ConflictError:
            return  # buried by another call of the same erasure

    async def is_settled(self) -> bool:
        """Wait a moment for changes that began before the tombstone; tell whether all of this process have ended."""
        return await self._gate.passed(_WAIT_SECONDS)

    async def close(self, mailbox_id: str) -> None:
        """Note that nothing is left; the id goes at once, or with the last look."""
        found = await self._store.get(ERASED, _key(mailbox_id)) if is_name(mailbox_id) else None
        if found is None or found.body.get("mailbox") is None:
            return
        if self._alone:
            await self.end(found)
        else:
            again = unix_seconds(self._clock) + AGAIN_SECONDS
            if number(found.body, "look_at") > again:
                await self._store.write(Patch(ERASED, found.key, {"look_at": again}))

    async def end(self, found: Document) -> None:
        """Forget the id in the document `found`: nothing can come any more."""
        await self._store.write(Patch(ERASED, found.key, {"mailbox": None, "look_at": None}))

    async def due(self) -> list[Document]:
        """Return those that are to be looked at once more."""
        return await self._store.find(Query(ERASED, "look_at", upper=unix_seconds(self._clock), limit=_LOOKS))

    async def open(self) -> int:
        """Return how many have an id still, as far as anybody wants to count."""
        return await self._store.count(ERASED, 10_000, "look_at")

    async def check(self, mailbox_id: str) -> None:
        """Raise NotFoundError("mailbox") for one that is erased."""
        if await self._store.get(ERASED, _key(mailbox_id)) is not None:
            raise NotFoundError("mailbox")

    async def among(self, mailbox_ids: Iterable[str]) -> set[str]:
        """Return those of any number of mailboxes that are erased."""
        keys = {_key(mailbox_id): mailbox_id for mailbox_id in mailbox_ids}
        listed, found = list(keys), set()
        for start in range(0, len(listed), 1000):
            found |= {keys[key] for key in await self._store.get_many(ERASED, listed[start : start + 1000])}
        return found


def _key(mailbox_id: str) -> str:
    return hashlib.sha256(b"erased mailbox\x00" + mailbox_id.encode()).hexdigest()[:32]
