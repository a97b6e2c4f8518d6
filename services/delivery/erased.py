"""Accounts that are erased, for the hour in which something about them may still be under way.

Before anything of an account is deleted, its mark is written here. From then on nothing is queued for it and nothing is
told of it. What has looked just before that may write just after the deleting has passed; so when the mark's time is
over, everything is deleted once more by it, and then the mark itself (services/delivery/held). An hour is longer than
any mail is in a worker's hands.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from libs.docstore.fields import blob
from libs.docstore.store import Body, Collection, Document, Index, Insert, Patch, Store, Written
from libs.envelope import KeyedHash
from libs.policy import Terms
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, NotFoundError
from services.delivery.customers.marks import Marks
from services.delivery.domain.ports import Beside, Happening, Happenings, Teller

# key = mark of the account: {mails: what stands for it in documents of the queue, keys: whether its keys are destroyed,
# expires}
ERASED = Collection("erased", (Index("expires", ("expires",)),), small=True, fields=("mails", "keys", "expires"))


@dataclass(frozen=True, slots=True)
class Whose:
    """What stands for an account: in documents of customers, and in those of the queue (queue.codec.Hashes)."""

    mark: str
    mails: bytes


class ErasedAccounts:
    """Who is erased."""

    def __init__(self, store: Store, hashes: KeyedHash, clock: Clock, terms: Terms) -> None:
        """Keep marks in `store`, opened with ERASED."""
        self._store = store
        self._hashes = hashes
        self._marks = Marks(hashes)
        self._clock = clock
        self._terms = terms

    def whose(self, account_id: str) -> Whose:
        """Return what stands for an account."""
        return Whose(self._marks.account(account_id), self._hashes.digest("delivery/account", account_id.encode()))

    async def note(self, account_id: str) -> bool:
        """Have an account be gone, durably; tell whether its keys are known to be destroyed."""
        whose = self.whose(account_id)
        # By the terms in force: there is nobody any more who could have kept others.
        expires = unix_seconds(self._clock) + self._terms.rule("erased_account_seconds")
        body: Body = {"mails": whose.mails, "keys": False, "expires": expires}
        try:
            await self._store.write(Insert(ERASED, whose.mark, body))
        except ConflictError:
            found = await self._store.get(ERASED, whose.mark)
            return found is not None and found.body.get("keys") is True
        return False

    async def note_keys(self, account_id: str) -> None:
        """Note that the keys of an account are destroyed."""
        try:
            await self._store.write(Patch(ERASED, self.whose(account_id).mark, {"keys": True}))
        except NotFoundError:
            return

    async def is_gone(self, account_id: str) -> bool:
        """Tell whether an account is erased. Raises: UnavailableError."""
        return await self._store.get(ERASED, self._marks.account(account_id)) is not None

    async def among(self, account_ids: Iterable[str]) -> set[str]:
        """Return those of at most 1,000 accounts that are erased. Raises: UnavailableError."""
        marks = {self._marks.account(account_id): account_id for account_id in set(account_ids)}
        if not marks:
            return set()
        return {marks[key] for key in await self._store.get_many(ERASED, list(marks))}


def whose_of(document: Document) -> Whose:
    """Return whom a document of ERASED is about. Raises: InternalError("document_damaged")."""
    return Whose(document.key, blob(document.body, "mails"))


class LiveHappenings:
    """Implements domain.ports.Happenings and domain.ports.Teller; of an erased account's mail nothing is kept."""

    def __init__(self, happenings: Happenings, teller: Teller, erased: ErasedAccounts) -> None:
        """Tell `happenings` and `teller` of those that are not `erased`."""
        self._happenings = happenings
        self._teller = teller
        self._erased = erased

    async def note(self, happenings: Sequence[Happening]) -> None:
        """See domain.ports.Happenings."""
        await self._happenings.note(await self._live(happenings))

    async def beside(self, happenings: Sequence[Happening]) -> Beside | None:
        """See domain.ports.Teller."""
        live = await self._live(happenings)
        return await self._teller.beside(live) if live else Beside((), _nothing)

    async def _live(self, happenings: Sequence[Happening]) -> Sequence[Happening]:
        gone = await self._erased.among(one.account_id for one in happenings)
        return [one for one in happenings if one.account_id not in gone] if gone else happenings


def _nothing(results: Sequence[Written | Exception]) -> None:
    """Nothing was written, so nothing is counted."""
