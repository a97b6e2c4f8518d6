"""Where submitted mails enter: sealed, written, and handed to the worker at once where it has room.

A mail that the worker takes is written under its lease from the first, so nobody else looks at it; one that it does not
take is due at once, or a little later where its destination is crowded already. Then an event wakes the others; one
in a while is enough, for they look by themselves as well.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from libs.docstore.store import Event
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import NotFoundError
from libs.runtime.ids import new_id
from services.delivery.domain.model import Order, QueuedMail, Recipient
from services.delivery.domain.prepare import Prepared
from services.delivery.domain.queue import Facts
from services.delivery.domain.schedule import Schedule
from services.delivery.domain.submission import Submitted
from services.delivery.erased import ErasedAccounts
from services.delivery.queue.codec import seal_content
from services.delivery.queue.entry import Entry
from services.delivery.queue.keys import KeyRing
from services.delivery.queue.repository import QueueRepository, new_holder
from services.delivery.worker import meters
from services.delivery.worker.desk import only_domain
from services.delivery.worker.worker import Worker

QUEUED_EVENT = "delivery.queued.v1"
_EVENT_EVERY = 0.5
_OFFLOAD_BYTES = 1024 * 1024


class Entrance:
    """Implements domain.submission.Queue."""

    def __init__(self, queue: QueueRepository, keys: KeyRing, worker: Worker, schedule: Schedule, clock: Clock) -> None:
        """Take where mails are written and who may take them at once."""
        self._queue = queue
        self._keys = keys
        self._worker = worker
        self._schedule = schedule
        self._clock = clock
        self._told = float("-inf")
        # Tells whoever publishes events that there is one; None where nobody does.
        self.announce: Callable[[], None] | None = None
        # Who takes nothing any more; None where nobody is erased.
        self.erased: ErasedAccounts | None = None

    async def put(self, order: Order, prepared: Prepared) -> None:
        """See domain.submission.Queue. Raises also: NotFoundError("account_not_found") where the account is erased."""
        if self.erased is not None and await self.erased.is_gone(order.account_id):
            raise NotFoundError("account_not_found")
        entry, pieces = await self._sealed(order, prepared)
        now = unix_seconds(self._clock)
        until = max(now, order.send_at) + self._schedule.max_age(order.terms)
        domain = only_domain(order.recipients)
        if order.send_at > now:
            entry.holder = ""
            await self._queue.insert(entry, pieces, order.send_at, until)
            meters.TAKEN.inc(way="later")
            return
        if not self._worker.desk.admit(domain, entry.size):
            entry.holder = ""
            put_off = self._worker.put_off_for(domain)
            event = None if put_off else self._event()
            entry.waits_for = self._queue.codec.hashes.destination(domain) if put_off else None
            await self._queue.insert(entry, pieces, now + put_off, until, event)
            meters.TAKEN.inc(way="queued")
            if event is not None and self.announce is not None:
                self.announce()
            return
        try:
            await self._queue.insert(entry, pieces, now + self._worker.lease, until)
        except BaseException:
            self._worker.desk.dismiss(domain, entry.size)
            raise
        meters.TAKEN.inc(way="at_once")
        self._worker.desk.take(entry, domain, entry.size)

    async def find(self, account_id: str, mail_id: str) -> Submitted | None:
        """See domain.submission.Queue."""
        document = await self._queue.get(mail_id)
        if document is None or document.body.get("account") != self._queue.codec.hashes.account(account_id):
            return None
        entry = await self._queue.open(document)
        return Submitted(mail_id, entry.facts.message_id)

    async def _sealed(self, order: Order, prepared: Prepared) -> tuple[Entry, list[bytes]]:
        key_id, key = await self._keys.take()
        now = unix_seconds(self._clock)
        start = max(now, order.send_at)
        recipients = [Recipient(address, due=start) for address in order.recipients]
        mail = QueuedMail(order.submission_id, _without_content(order), now, recipients)
        facts = Facts(prepared.message_id, prepared.sender_domain, prepared.auto_submitted)
        content = prepared.content
        if len(content) > _OFFLOAD_BYTES:
            inline, pieces = await asyncio.to_thread(seal_content, order.submission_id, key, content)
        else:
            inline, pieces = seal_content(order.submission_id, key, content)
        entry = Entry(mail, facts, key_id, key, content, len(content), sealed_content=inline, holder=new_holder())
        return entry, pieces

    def _event(self) -> Event | None:
        now = self._clock.monotonic()
        if self.announce is None or now < self._told + _EVENT_EVERY:
            return None
        self._told = now
        return Event(new_id(), QUEUED_EVENT, b"")


def _without_content(order: Order) -> Order:
    return Order(
        submission_id=order.submission_id,
        account_id=order.account_id,
        profile=order.profile,
        mail_from=order.mail_from,
        recipients=order.recipients,
        content=b"",
        send_at=order.send_at,
        campaign=order.campaign,
        one_click_unsubscribe=order.one_click_unsubscribe,
        smtputf8=order.smtputf8,
        forwarded=order.forwarded,
        terms=order.terms,
    )
