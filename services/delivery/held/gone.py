"""The marks of erased accounts: when one's time is over, whatever came after the erasing goes, and then the mark."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from libs.docstore.fields import delete_quietly
from libs.docstore.store import Query
from libs.owner.model import Erased, Item, Subject, Swept, Wanted
from libs.runtime.clock import unix_seconds
from services.delivery.erased import ERASED, Whose, whose_of
from services.delivery.held.kept import Keeping, KeptClass, Rows

_AT_ONCE = 50
_LIMIT = 1000


class OfAccounts(Protocol):
    """A class that deletes what is an account's by what stands for it."""

    async def erase_of(self, whose: Whose, limit: int) -> Erased:
        """Delete at most `limit` documents. Raises: SealpostError."""


class HeldMarks(KeptClass):
    """Implements libs.owner.model.HeldClass: erased_account."""

    def __init__(self, keeping: Keeping, others: Sequence[OfAccounts]) -> None:
        """Take where marks are, and what else holds something of accounts."""
        super().__init__("erased_account", keeping, [Rows(ERASED, "expires", owned="")])
        self._others = others

    async def sweep(self, until: int, limit: int) -> Swept:
        """See HeldClass."""
        limit = min(limit, _AT_ONCE)
        query = Query(ERASED, "expires", upper=min(until, unix_seconds(self._clock)), limit=limit)
        found = await self._store.find(query)
        for document in found:
            for other in self._others:
                while (await other.erase_of(whose_of(document), _LIMIT)).more:
                    continue
            await delete_quietly(self._store, ERASED, [document.key])
        return Swept(len(found), more=len(found) == limit)

    async def export(self, subject: Subject, wanted: Wanted) -> AsyncIterator[Item]:
        """See HeldClass: who could ask is not erased."""
        nothing: tuple[Item, ...] = ()
        for item in nothing:
            yield item

    async def erase_of(self, whose: Whose, limit: int) -> Erased:
        """See KeptClass: the mark is what an erasure leaves, for an hour."""
        return Erased()
