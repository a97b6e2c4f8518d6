"""What the classes of storage have in common: an erasure of a mailbox begins with its tombstone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from libs.docstore.store import Collection, Delete, Store
from libs.owner.model import Count, Erased, Item, Subject, Swept, Wanted
from libs.runtime.errors import NotFoundError
from services.storage.erased import ErasedMailboxes

COUNT_AT_MOST = 200_000


@dataclass(frozen=True)
class Keeping:
    """What all classes work with."""

    store: Store
    erased: ErasedMailboxes


class MailboxClass:
    """Implements HeldClass for what belongs to a mailbox; the mailbox is what an account has here."""

    name = ""

    def __init__(self, keeping: Keeping) -> None:
        """Take what all classes work with."""
        self._store = keeping.store
        self._erased = keeping.erased

    async def count(self) -> Count:
        """See HeldClass."""
        raise NotImplementedError

    async def sweep(self, until: int, limit: int) -> Swept:
        """See HeldClass: nothing has a time here, unless a class says so."""
        return Swept(0)

    async def export(self, subject: Subject, wanted: Wanted) -> AsyncIterator[Item]:
        """See HeldClass: of an erased mailbox nothing. Raises: NotFoundError("mailbox") if it is erased meanwhile."""
        if subject.mailbox_id and not await self._erased.among([subject.mailbox_id]):
            async for item in self._items(subject.mailbox_id, wanted):
                yield item

    async def _items(self, mailbox_id: str, wanted: Wanted) -> AsyncIterator[Item]:
        return
        yield

    async def erase_keys(self, subject: Subject) -> int:
        """See HeldClass: the keys are not here; what is here is closed for good."""
        if subject.mailbox_id:
            await self._erased.bury(subject.mailbox_id)
        return 0

    async def erase(self, subject: Subject, limit: int) -> Erased:
        """See HeldClass."""
        if not subject.mailbox_id:
            return Erased()
        if not await self._erased.is_settled():
            return Erased(more=True)
        return await self._erase(subject.mailbox_id, limit)

    async def _erase(self, mailbox_id: str, limit: int) -> Erased:
        return Erased()


async def counted(store: Store, collection: Collection, index: str = "") -> Count:
    """Return how many documents there are, or how many of them are in an index."""
    number = await store.count(collection, COUNT_AT_MOST, index)
    return Count(number, number >= COUNT_AT_MOST)


async def delete_one(store: Store, collection: Collection, key: str) -> int:
    """Delete a document; return how many there were."""
    # Asked first: each call of an erasure comes by here, and a write for nothing is somebody else's for the engine,
    # beside whom it deletes a fraction as fast.
    if await store.get(collection, key) is None:
        return 0
    try:
        await store.write(Delete(collection, key))
    except NotFoundError:
        return 0
    return 1
