"""Credits set aside for a job that is not done yet.

A hold is an entry of the book and so is its end. Capture and release share one reference, which a book has once: a hold
ends in one way, whoever else tries. The list of open holds is an index on the entries themselves; a hold that its end
could not take off the list, because somebody died in between, is found settled by the next sweep.
"""

from __future__ import annotations

from dataclasses import replace

from libs.docstore.store import Document, Patch, Query, Store
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, NotFoundError
from services.billing.domain.journal import Entry, Kind, Posting
from services.billing.ledger.books import Books
from services.billing.ledger.entries import BOOKS, entry_key, entry_of


class Holds:
    """Credits that are set aside for a job: captured when it is done, released when it is not, or when time is over."""

    def __init__(self, books: Books, store: Store, clock: Clock, seconds: int) -> None:
        """Let a hold lapse after `seconds`."""
        self._books = books
        self._store = store
        self._clock = clock
        self._seconds = seconds

    async def hold(self, account_id: str, reference: str, amount: int) -> Entry:
        """Set credits aside. Raises: ExhaustedError("credits"), and as Books.post."""
        until = unix_seconds(self._clock) + self._seconds
        return await self._books.post(account_id, Posting(Kind.HELD, f"hold/{reference}", (amount,), until))

    async def capture(self, account_id: str, reference: str, amount: int) -> Entry:
        """Take `amount` of what is held, and release the rest; 0 releases all.

        Raises: NotFoundError("hold"); ConflictError("held") for more than is held, ConflictError("reference") where it
        was settled otherwise; UnavailableError.
        """
        held = await self._held(account_id, reference)
        if not amount:
            return await self.release(account_id, reference)
        return await self._settle(account_id, reference, held, Posting(Kind.CAPTURED, "", (amount, _amount(held))))

    async def release(self, account_id: str, reference: str) -> Entry:
        """Give back what is held. Raises: NotFoundError("hold"), ConflictError("reference"), UnavailableError."""
        held = await self._held(account_id, reference)
        return await self._settle(account_id, reference, held, Posting(Kind.RELEASED, "", (_amount(held),)))

    async def settled(self, account_id: str, reference: str) -> Entry | None:
        """Return the entry that ended a hold, None while it is open. Raises: UnavailableError."""
        return await self._books.find(account_id, f"settle/{reference}")

    async def sweep(self, limit: int = 200) -> int:
        """Release at most `limit` holds whose time is over; return how many they were. Raises: UnavailableError."""
        now = unix_seconds(self._clock)
        due = await self._store.find(Query(BOOKS, "open_holds", upper=now, limit=limit))
        for document in due:
            await self._lapse(document)
        return len(due)

    async def _lapse(self, document: Document) -> None:
        account_id, held = str(document.body["account"]), entry_of(document)
        reference = held.posting.reference.removeprefix("hold/")
        if await self.settled(account_id, reference) is not None:
            # Whoever settled it died before taking it off the list.
            return await self._close(account_id, held)
        try:
            await self.release(account_id, reference)
        except ConflictError:
            # Captured at this moment: it is off the list by the next sweep.
            return

    async def _held(self, account_id: str, reference: str) -> Entry:
        held = await self._books.find(account_id, f"hold/{reference}")
        if held is None:
            raise NotFoundError("hold")
        return held

    async def _settle(self, account_id: str, reference: str, held: Entry, posting: Posting) -> Entry:
        # Capture and release share one reference: a book has it once, so a hold ends in one way.
        entry = await self._books.post(account_id, replace(posting, reference=f"settle/{reference}"))
        await self._close(account_id, held)
        return entry

    async def _close(self, account_id: str, held: Entry) -> None:
        await self._store.write(Patch(BOOKS, entry_key(account_id, held.seq), {"hold_until": None}))


def _amount(held: Entry) -> int:
    return held.posting.amounts[0]
