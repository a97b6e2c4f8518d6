"""Mails on their way out, and what is remembered of them after.

A mail in the queue is sealed under its own data key at crypto, so to erase an account is first to destroy those keys:
whatever is left of the mails then, here or in a backup, opens for nobody. Before that the account is noted as gone, so
that nothing new is queued, and after it the mails of this process are nobody's; other processes find theirs gone at the
next renewal of their lease or when they write. What a worker holds in memory at that moment begins no new transaction.

A mail whose time is over is given up by the worker, which tells its sender. One that is still here a day later - nobody
could open it, or nobody works - is deleted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from libs.docstore.fields import delete_quietly, number, text
from libs.docstore.store import Document, IndexValue, Query, Store
from libs.owner.model import Count, Erased, Item, Subject, Swept, Wanted
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import InternalError, NotFoundError
from libs.telemetry.logs import get_logger
from services.delivery.erased import Whose
from services.delivery.held.kept import Keeping, Row, count_of, documents, one_item
from services.delivery.queue.collections import CONTENTS, LOST, MAILS, QUEUED, SETTLED
from services.delivery.queue.entry import Entry
from services.delivery.queue.keys import DataKeys
from services.delivery.queue.repository import QueueRepository
from services.delivery.queue.shredder import Shredder

_PAGE = 200
# Read at once of mails that are looked at with what is inside.
_OPEN = 50
_KEYS = 1000

_log = get_logger("held")


class Desk(Protocol):
    """worker.desk.Desk, as erasing sees it."""

    def lose(self, account_id: str) -> None:
        """Have the mails of an account be nobody's."""


class OutgoingMails:
    """Implements libs.owner.model.HeldClass: outgoing_mail."""

    name = "outgoing_mail"

    def __init__(
        self, keeping: Keeping, queue: QueueRepository, keys: DataKeys, shredder: Shredder, desk: Desk
    ) -> None:
        """Take where mails are, who has their keys, and who works on them here."""
        self._store = keeping.store
        self._erased = keeping.erased
        self._clock = keeping.clock
        self._terms = keeping.terms
        self._queue = queue
        self._keys = keys
        self._shredder = shredder
        self._desk = desk

    async def count(self) -> Count:
        """See HeldClass."""
        # A mail has the time of its next attempt for as long as it is in the queue.
        count = await count_of(self._store, MAILS, "due")
        first = await self._store.find(Query(MAILS, "until", (QUEUED,), limit=1))
        due = self._gone_by(first[0]) if first else 0
        return Count(count.count, at_least=count.at_least, first_due=due)

    async def sweep(self, until: int, limit: int) -> Swept:
        """See HeldClass."""
        now, most = min(until, unix_seconds(self._clock)), min(limit, _PAGE)
        found: list[Document] = []
        # Those that are over and may still wait are few: the worker gives up what it can open.
        async for document in documents(self._store, Query(MAILS, "until", (QUEUED,), upper=now, limit=_OPEN)):
            found += [document] if self._gone_by(document) <= now else []
            if len(found) == most:
                break
        await self._remove(found)
        if found:
            _log.warning("mails_swept", count=len(found))
        return Swept(len(found), more=len(found) == most)

    async def export(self, subject: Subject, wanted: Wanted) -> AsyncIterator[Item]:
        """See HeldClass: to whom, when and with what success; the mail itself is in the sender's folder."""
        if not wanted.disclosure:
            mails = self._erased.whose(subject.account_id).mails
            async for item in one_item(f"{self.name}.json", _told(self._store, self._queue, (mails, QUEUED), wanted)):
                yield item

    async def erase_keys(self, subject: Subject) -> int:
        """See HeldClass. Repeated, it has nothing to do; a mail that slipped in before is found by `erase`."""
        if await self._erased.note(subject.account_id):
            return 0
        self._desk.lose(subject.account_id)
        await self._shredder.destroy_settled()
        mails, destroyed = self._erased.whose(subject.account_id).mails, 0
        key_ids: list[str] = []
        async for document in documents(self._store, Query(MAILS, "account", (mails, QUEUED), limit=_PAGE)):
            key_ids.append(text(document.body, "key_id"))
            if len(key_ids) == _KEYS:
                await self._keys.destroy(key_ids)
                destroyed, key_ids = destroyed + len(key_ids), []
        if key_ids:
            await self._keys.destroy(key_ids)
        self._desk.lose(subject.account_id)
        await self._erased.note_keys(subject.account_id)
        return destroyed + len(key_ids)

    async def erase(self, subject: Subject, limit: int) -> Erased:
        """See HeldClass."""
        self._desk.lose(subject.account_id)
        return await self.erase_of(self._erased.whose(subject.account_id), limit)

    async def erase_of(self, whose: Whose, limit: int) -> Erased:
        """Delete at most `limit` mails of an account, known by what stands for it; their keys go before them."""
        deleted = 0
        for state in (QUEUED, LOST):
            while deleted < limit:
                page = min(_PAGE, limit - deleted)
                found = await self._store.find(Query(MAILS, "account", (whose.mails, state), limit=page))
                await self._remove(found)
                deleted += len(found)
                if len(found) < page:
                    break
        return Erased(deleted, keys=0, more=deleted >= limit)

    async def _remove(self, found: Sequence[Document]) -> None:
        if not found:
            return
        await self._keys.destroy([text(one.body, "key_id") for one in found])
        pieces = [f"{text(one.body, 'key_id')}/{n}" for one in found for n in range(number(one.body, "pieces", 0))]
        for start in range(0, len(pieces), _KEYS):
            await delete_quietly(self._store, CONTENTS, pieces[start : start + _KEYS])
        await delete_quietly(self._store, MAILS, [one.key for one in found])

    def _gone_by(self, document: Document) -> int:
        """Return until when, in Unix seconds, a mail may be here after it was to be given up."""
        late = self._terms.rule("outgoing_mail_late_seconds", number(document.body, "terms", 0))
        return number(document.body, "until") + late


class OutgoingTrails:
    """Implements libs.owner.model.HeldClass: outgoing_trail."""

    name = "outgoing_trail"

    def __init__(self, keeping: Keeping, queue: QueueRepository) -> None:
        """Take where trails are, and what opens them."""
        self._store = keeping.store
        self._erased = keeping.erased
        self._clock = keeping.clock
        self._queue = queue

    async def count(self) -> Count:
        """See HeldClass."""
        count = await count_of(self._store, MAILS, "expires")
        first = await self._store.find(Query(MAILS, "expires", limit=1))
        due = number(first[0].body, "expires") if first else 0
        return Count(count.count, at_least=count.at_least, first_due=due)

    async def sweep(self, until: int, limit: int) -> Swept:
        """See HeldClass."""
        until = min(until, unix_seconds(self._clock))
        deleted = await self._store.delete_range(MAILS, "expires", (), until, limit)
        return Swept(deleted, more=deleted >= limit)

    async def export(self, subject: Subject, wanted: Wanted) -> AsyncIterator[Item]:
        """See HeldClass."""
        if not wanted.disclosure:
            mails = self._erased.whose(subject.account_id).mails
            async for item in one_item(f"{self.name}.json", _told(self._store, self._queue, (mails, SETTLED), wanted)):
                yield item

    async def erase_keys(self, subject: Subject) -> int:
        """See HeldClass; the key of a trail is in its document."""
        return 0

    async def erase(self, subject: Subject, limit: int) -> Erased:
        """See HeldClass."""
        return await self.erase_of(self._erased.whose(subject.account_id), limit)

    async def erase_of(self, whose: Whose, limit: int) -> Erased:
        """Delete at most `limit` trails of an account, known by what stands for it."""
        deleted = 0
        while deleted < limit:
            page = min(_KEYS, limit - deleted)
            found = await self._store.find(Query(MAILS, "account", (whose.mails, SETTLED), limit=page))
            await delete_quietly(self._store, MAILS, [one.key for one in found])
            deleted += len(found)
            if len(found) < page:
                return Erased(deleted)
        return Erased(deleted, more=True)


async def _told(
    store: Store, queue: QueueRepository, equal: tuple[IndexValue, ...], wanted: Wanted
) -> AsyncIterator[Row]:
    async for document in documents(store, Query(MAILS, "account", equal, limit=_PAGE)):
        try:
            entry = await queue.open(document)
        except (NotFoundError, InternalError) as error:
            # Its key is gone, or it is damaged: nobody can tell more of it.
            _log.warning("mail_not_exported", error=error)
            yield {"submission_id": document.key, "readable": False}
            continue
        at = entry.mail.submitted_at
        if at >= wanted.since and not (wanted.until and at > wanted.until):
            yield _row(entry)


def _row(entry: Entry) -> Row:
    mail, order = entry.mail, entry.mail.order
    return {
        "submission_id": mail.mail_id,
        "message_id": entry.facts.message_id,
        "submitted_at": mail.submitted_at,
        "send_at": order.send_at,
        "from": order.mail_from,
        "campaign": order.campaign,
        "forwarded": order.forwarded is not None,
        "recipients": [
            {
                "address": one.address,
                "state": one.state.value,
                "attempts": one.attempts,
                "next_attempt": one.due,
                "status": one.status,
                "reply": one.text,
                "host": one.host,
            }
            for one in mail.recipients
        ],
    }
