"""The whole way of a mail in, in one function that reads top to bottom.

Admission has reserved the room before the first byte of data came, and holds it until this returns. Whatever goes wrong
in here is an error of the tree; the edge makes a 4xx or 5xx of it, and the sender keeps the mail. Only when storage has
answered that every copy is durable does the edge say 250. What is forwarded is with delivery before that (forwarding).

Large mails go one after the other in each process (libs.mailbox.copies says why).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext

from libs.mail import envelope
from libs.mail.letter import Letter
from libs.mailbox.copies import LARGE_BYTES, Copies, one_per_mailbox, owner
from libs.mailbox.model import Crypto, Delivery, SealTask, Storage
from libs.runtime.clock import Clock
from libs.runtime.errors import UnavailableError
from libs.runtime.ids import new_id, new_message_id
from services.ingest import trace
from services.ingest.domain import Authentication, Mail
from services.ingest.forwarding import Forwarding

_OFFLOAD_BYTES = 1024 * 1024
_SECONDS = 240.0
_ALONE: AbstractAsyncContextManager[None] = nullcontext()


def _nothing() -> None:
    return


class Inbound:
    """Receives mails for one process."""

    def __init__(
        self, hostname: str, crypto: Crypto, storage: Storage, clock: Clock, large_done: Callable[[], None] = _nothing
    ) -> None:
        """Take the name that trace fields carry, whom to call, and what to do when a large mail is done with."""
        self._hostname = hostname
        self._copies = Copies(crypto, storage)
        self._storage = storage
        self._clock = clock
        self._large = asyncio.Semaphore(1)
        self._large_done = large_done
        # None where nothing is forwarded.
        self.forwarding: Forwarding | None = None

    async def receive(self, mail: Mail, authentication: Authentication) -> str:
        """Return the id of the delivery once a sealed copy for every recipient is durable.

        `mail.content` is emptied on the way, so that a large mail is not held twice.

        Raises:
            InvalidError: the mail must not be accepted ("loop", "results").
            SealpostError: nothing is stored, or, after a deadline of storage, it is not known; try again later.
        """
        try:
            async with asyncio.timeout(_SECONDS):
                letter = Letter(mail.content)
                forged = trace.forged_results(letter, self._hostname)
                verdict = await authentication.finish(letter)
                draft = await self._draft(letter)
                recipients = one_per_mailbox(mail.recipients)
                ahead = self.forwarding.plan(mail, recipients, letter) if self.forwarding else []
                large = len(mail.content) * len(recipients) > LARGE_BYTES
                if large:
                    await self._large.acquire()
                try:
                    now = self._clock.now()
                    delivery_id = new_id()
                    fields = trace.compose(mail, verdict, self._hostname, delivery_id, now)
                    body = trace.assemble(letter, fields, forged)
                    del letter
                    mail.content = bytearray()
                    plain = [(one, envelope.finish(draft, one.address, verdict)) for one in recipients]
                    tasks = [
                        (one.route, SealTask(owner(one.route, now), new_message_id(self._clock), sealed_envelope, body))
                        for one, sealed_envelope in plain
                    ]
                    forwarded = self.forwarding.ahead(ahead, body, verdict) if self.forwarding and ahead else _ALONE
                    del body
                    async with forwarded:
                        copies = await self._copies.make(tasks, now)
                        await self._storage.append(Delivery(delivery_id, copies))
                finally:
                    if large:
                        self._large.release()
                        self._large_done()
                return delivery_id
        except TimeoutError as error:
            raise UnavailableError("deadline") from error

    async def _draft(self, letter: Letter) -> envelope.Draft:
        if len(letter.content) > _OFFLOAD_BYTES:
            return await asyncio.to_thread(envelope.draft, letter)
        return envelope.draft(letter)
