"""Messages whose time is over, and inboxes that keep only their newest.

Two expiry indexes, because there are two costs. What is not counted (disposable inboxes, most of what expires) goes by
`delete_range`: the engine walks its index and deletes, and no document is read. What is counted is read, deleted at its
version, and taken off the counters. Both go in small batches, so that mail that arrives meanwhile waits for one of
them at most. Bodies outside the message document follow by their own due time (bodies.py). When to sweep, retention
says (held/); what has expired is not shown any more from that second on, swept or not (mailboxes.py).

Trimming is noted at append and done shortly after, once for however many mails an inbox got meanwhile: one walk along
the index, newest first, past those to keep. A crash forgets the notes: the next mail to the inbox, or expiry, makes up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from libs.docstore.store import Document, Query, Store
from libs.owner.model import Swept
from libs.telemetry import metrics
from services.storage.domain import NewMessage
from services.storage.removal import Remover
from services.storage.repository import MESSAGES, text
from services.storage.spells import in_pieces

FREE_BATCH = 1000
COUNTED_BATCH = 200
MAX_NOTES = 20_000
_TRIM_MAILBOXES = 32
_TRIM_EXTRA = 20
_REST_EXTRA = 200
_MOST = 1000

_DELETED = metrics.counter(
    "sealpost_storage_deleted_total", "Messages deleted by rule.", {"rule": ("expired", "trimmed")}
)


class Expiry:
    """Deletes what has expired."""

    def __init__(self, store: Store, remover: Remover) -> None:
        """Delete from `store`."""
        self._store = store
        self._remover = remover

    async def sweep(self, until: int, limit: int) -> Swept:
        """Delete at most `limit` messages that had expired at `until`, Unix seconds, for the length of a spell."""

        async def delete_free(asked: int) -> int:
            return await self._store.delete_range(MESSAGES, "free_expiry", (), until, asked)

        async def delete_counted(asked: int) -> int:
            found = await self._store.find(Query(MESSAGES, "counted_expiry", upper=until, limit=asked))
            # One that has changed since it was read is found again.
            await self._remover.remove(found)
            return len(found)

        free = await in_pieces(delete_free, limit, FREE_BATCH)
        _DELETED.inc(free.deleted, rule="expired")
        if free.more:
            return free
        counted = await in_pieces(delete_counted, limit - free.deleted, COUNTED_BATCH)
        _DELETED.inc(counted.deleted, rule="expired")
        return Swept(free.deleted + counted.deleted, counted.more)


class Trimmer:
    """Deletes what an inbox holds beyond its newest."""

    def __init__(self, store: Store, remover: Remover) -> None:
        """Delete from `store`."""
        self._store = store
        self._remover = remover
        self._notes: dict[str, int] = {}

    def note(self, messages: Iterable[NewMessage]) -> bool:
        """Note the inboxes of `messages` that keep only so many; tell whether there are any.

        The notes are bounded; the oldest is dropped for a new one, and made again by the next mail to that inbox.
        """
        for message in messages:
            if message.keep_newest:
                self._notes.pop(message.mailbox_id, None)
                self._notes[message.mailbox_id] = message.keep_newest
                if len(self._notes) > MAX_NOTES:
                    del self._notes[next(iter(self._notes))]
        return bool(self._notes)

    async def step(self) -> int:
        """Trim a bounded number of noted inboxes, in one commit where they hold a few too many; return how many."""
        notes = {mailbox_id: self._notes.pop(mailbox_id) for mailbox_id in list(self._notes)[:_TRIM_MAILBOXES]}
        try:
            first = await asyncio.gather(*[self._page(*note, None, _TRIM_EXTRA) for note in notes.items()])
            await self._remove([one for page, keep in zip(first, notes.values(), strict=True) for one in page[keep:]])
            for page, (mailbox_id, keep) in zip(first, notes.items(), strict=True):
                if len(page) == _limit(keep, _TRIM_EXTRA):
                    await self._trim_rest(mailbox_id, keep - len(page), page[-1])
        except BaseException:
            self._notes = {**notes, **self._notes}
            raise
        return len(notes)

    async def _trim_rest(self, mailbox_id: str, keep: int, last: Document) -> None:
        """Go on after `last`: `keep` more messages stay (none if it is not positive), the others go."""
        page = [last]
        while page:
            keep = max(0, keep)
            page = await self._page(mailbox_id, keep, page[-1], _REST_EXTRA)
            await self._remove(page[keep:])
            keep -= len(page)

    async def _page(self, mailbox_id: str, keep: int, last: Document | None, extra: int) -> list[Document]:
        """Return the next messages to keep, newest first, and some more."""
        after = None if last is None else (text(last.body, "message"), last.key)
        return await self._store.find(
            Query(MESSAGES, "listed", (mailbox_id,), after=after, descending=True, limit=_limit(keep, extra))
        )

    async def _remove(self, documents: Sequence[Document]) -> None:
        _DELETED.inc(len(await self._remover.remove(documents)), rule="trimmed")


def _limit(keep: int, extra: int) -> int:
    return min(_MOST, keep + extra)
