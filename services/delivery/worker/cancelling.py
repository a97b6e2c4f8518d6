"""Cancels what is not sent yet.

A cancellation is written into the mail. One that nobody holds is due at once by that, and whoever takes it settles it
instead of sending it. Whoever holds one finds that before it begins, or when it writes down what it has done: what is
being sent at that moment goes out, and the mail says so then.
"""

from __future__ import annotations

import asyncio

from libs.docstore.store import Document
from libs.runtime.errors import NotFoundError
from services.delivery.domain.model import State
from services.delivery.domain.queue import pending
from services.delivery.queue.collections import QUEUED
from services.delivery.queue.entry import Entry
from services.delivery.queue.repository import QueueRepository
from services.delivery.queue.trails import MailTrails
from services.delivery.worker.worker import Worker

_PAGE = 100
_AT_ONCE = 20
_WAIT_SECONDS = 3.0
_STEP = 0.1
_TRIES = 5


class Cancelling:
    """Implements domain.ports.Stopper."""

    def __init__(self, queue: QueueRepository, trails: MailTrails, worker: Worker) -> None:
        """Take where mails are, and who holds some of them here."""
        self._queue = queue
        self._trails = trails
        self._worker = worker

    async def cancel(self, account_id: str, mail_id: str) -> Entry:
        """Cancel what is not sent yet of a mail of an account; return how it stands then.

        Where it is being sent right now, this waits for some seconds for the outcome. Raises: NotFoundError.
        """
        entry, _ = await self._trails.of_account(account_id, mail_id)
        if pending(entry.mail):
            await self._cancel(mail_id)
            try:
                async with asyncio.timeout(_WAIT_SECONDS):
                    while pending(entry.mail):
                        await asyncio.sleep(_STEP)
                        entry, _ = await self._trails.of_account(account_id, mail_id)
            except TimeoutError:
                pass
        return entry

    async def withdraw(self, mail_id: str) -> None:
        """Cancel what is not sent yet of a mail, without waiting for what comes of that. Raises: UnavailableError."""
        await self._cancel(mail_id)

    async def stop_campaign(self, account_id: str, campaign: str) -> int:
        """See domain.ports.Stopper."""
        name = self._queue.codec.hashes.campaign(account_id, campaign)
        if name is None:
            return 0
        stopped, after = 0, None
        limit = asyncio.Semaphore(_AT_ONCE)

        async def one(document: Document) -> int:
            async with limit:
                return await self._count_and_cancel(document)

        while True:
            page = await self._queue.of_campaign(name, after, _PAGE)
            stopped += sum(await asyncio.gather(*map(one, page)))
            if len(page) < _PAGE:
                return stopped
            after = (name, page[-1].key)

    async def _count_and_cancel(self, document: Document) -> int:
        if document.body.get("state") != QUEUED:
            return 0
        try:
            waiting = len(pending((await self._queue.open(document)).mail))
            await self._cancel(document.key)
        except NotFoundError:
            return 0
        return waiting

    async def _cancel(self, mail_id: str) -> None:
        """Note it, and see to it that somebody acts on it."""
        for _ in range(_TRIES):
            document = await self._queue.get(mail_id)
            if document is None or document.body.get("state") != QUEUED:
                return
            if not await self._queue.cancel(document):
                continue
            self._worker.desk.hasten(mail_id)
            self._worker.wake()
            return


def shown_state(state: State, cancelled: bool) -> State:
    """Return how a recipient stands: one that waits in a cancelled mail is not sent to any more."""
    return State.CANCELLED if cancelled and state is State.QUEUED else state
