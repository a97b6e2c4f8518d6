"""Books as a data class: entries go when law has kept them for long enough, what they leave behind does not.

The newest entry of a book is its state. When its time is over and the account is still there, an entry that moves
nothing takes the sums over first; then it goes like the others. Of an account that is no more everything goes. An
erasure deletes nothing here: it says what is kept, and until when. Entries have no words but those of this service, and
of people nothing but the account's id.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from libs.docstore.fields import number, text
from libs.docstore.store import Collection, Document, Query, Store
from libs.owner.classes import Due, Owned, StoredClass, delete_all
from libs.owner.model import Erased, HeldClass, Subject, Swept, Wanted
from services.billing.domain.journal import Kind, Posting
from services.billing.domain.model import DAY
from services.billing.ledger.books import Books
from services.billing.ledger.entries import BOOKS

_PAGE = 200
_SHOWN = ("seq", "at", "kind", "reference", "lines", "after")

Living = Callable[[str], Awaitable[bool]]


def classes(store: Store, books: Books, seconds: Callable[[], int], living: Living) -> list[HeldClass]:
    """Return the class `book`; see BookClass."""
    return [BookClass(store, books, seconds, living)]


class BookClass(StoredClass):
    """All books. `seconds`: how long law keeps an entry; `living` tells whether an account is still a customer."""

    def __init__(self, store: Store, books: Books, seconds: Callable[[], int], living: Living) -> None:
        """Answer for `books` in `store`."""
        super().__init__(
            "book",
            store,
            [BOOKS],
            due={BOOKS.name: Due("at", offset=seconds)},
            owned={BOOKS.name: Owned("account", lambda subject: subject.account_id)},
            shown=_shown,
        )
        self._books = books
        self._seconds = seconds
        self._living = living

    async def sweep(self, until: int, limit: int) -> Swept:
        """See HeldClass."""
        deleted, upper = 0, until - self._seconds()
        while deleted < limit:
            wanted = min(_PAGE, limit - deleted)
            page = await self._store.find(Query(BOOKS, "at", upper=upper, limit=wanted))
            await self._carry(page)
            deleted += await delete_all(self._store, BOOKS, page)
            if len(page) < wanted:
                return Swept(deleted)
        return Swept(deleted, more=True)

    async def erase(self, subject: Subject, limit: int) -> Erased:
        """See HeldClass: law keeps all of them."""
        last = await self._books.last(subject.account_id) if subject.account_id else None
        if last is None:
            return Erased()
        oldest = await self._store.find(Query(BOOKS, "account", (subject.account_id,), limit=1))
        first = number(oldest[0].body, "seq") if oldest else last.seq
        return Erased(kept=last.seq - first + 1, kept_until_day=(last.at + self._seconds()) // DAY + 1)

    async def _carry(self, page: Sequence[Document]) -> None:
        """Let no living account lose its state with the last entry of its book."""
        newest = {text(document.body, "account"): number(document.body, "seq") for document in page}
        for account_id, seq in newest.items():
            last = await self._books.last(account_id)
            if last is not None and last.seq == seq and await self._living(account_id):
                await self._books.post(account_id, Posting(Kind.CARRIED, f"carried/{seq}", ()))


def _shown(collection: Collection, document: Document, wanted: Wanted) -> dict[str, Any] | None:
    at = number(document.body, "at")
    if at < wanted.since or (wanted.until and at > wanted.until):
        return None
    return {name: document.body.get(name) for name in _SHOWN}
