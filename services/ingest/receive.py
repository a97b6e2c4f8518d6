"""The whole way of a mail in, in one function that reads top to bottom.

Admission has reserved the room before the first byte of data came, and holds it until this returns. Whatever goes wrong
in here is an error of the tree; the edge makes a 4xx or 5xx of it, and the sender keeps the mail. Only when storage has
answered that every copy is durable does the edge say 250.

A large mail is in memory several times over while it is sealed and sent on (our copy, the request, gRPC's copy), so
large ones go one after the other in each process; small ones meet in the batches of the peers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from libs.runtime.clock import Clock
from libs.runtime.errors import UnavailableError
from libs.runtime.ids import new_id, new_message_id
from services.ingest import envelope, trace
from services.ingest.domain import (
    Authentication,
    Copy,
    Crypto,
    Delivery,
    Mail,
    PublicDay,
    Recipient,
    Route,
    Sealed,
    SealTask,
    Storage,
)
from services.ingest.letter import Letter

# What storage takes inside an Append; larger bodies are staged.
INLINE_BYTES = 1024 * 1024
# From here on, all copies of a mail together, a mail is large.
LARGE_BYTES = 4 * 1024 * 1024
_OFFLOAD_BYTES = 1024 * 1024
_SECONDS = 240.0
_NEVER = timedelta(days=36500)


def _nothing() -> None:
    return


class Inbound:
    """Receives mails for one process."""

    def __init__(
        self, hostname: str, crypto: Crypto, storage: Storage, clock: Clock, large_done: Callable[[], None] = _nothing
    ) -> None:
        """Take the name that trace fields carry, whom to call, and what to do when a large mail is done with."""
        self._hostname = hostname
        self._crypto = crypto
        self._storage = storage
        self._clock = clock
        self._large = asyncio.Semaphore(1)
        self._large_done = large_done

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
                    copies = await self._seal_all(plain, body, now, large)
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

    async def _seal_all(
        self, plain: Sequence[tuple[Recipient, bytes]], body: bytes, now: datetime, large: bool
    ) -> list[Copy]:
        tasks = [
            (one.route, SealTask(owner(one.route, now), new_message_id(self._clock), sealed_envelope, body))
            for one, sealed_envelope in plain
        ]
        if large or len(tasks) == 1:
            return [await self._seal_one(route, task, now, large) for route, task in tasks]
        sealing = (self._seal_one(route, task, now, large) for route, task in tasks)
        results = await asyncio.gather(*sealing, return_exceptions=True)
        copies: list[Copy] = []
        for result in results:
            if isinstance(result, BaseException):
                raise result
            copies.append(result)
        return copies

    async def _seal_one(self, route: Route, task: SealTask, now: datetime, large: bool) -> Copy:
        copy = make_copy(route, task, await self._crypto.seal(task), now)
        if large or len(copy.sealed.body) > INLINE_BYTES:
            await self._storage.stage(route.mailbox_id, task.message_id, copy.sealed.body)
            copy.sealed = replace(copy.sealed, body=b"")
            copy.staged = True
        return copy


def one_per_mailbox(recipients: Sequence[Recipient]) -> list[Recipient]:
    """Return the first recipient of each mailbox: whoever is named twice gets one copy."""
    first: dict[str, Recipient] = {}
    for one in recipients:
        first.setdefault(one.route.mailbox_id, one)
    return list(first.values())


def owner(route: Route, now: datetime) -> str | PublicDay:
    """Return whose key seals a copy: the account's, or that of the public domain's day of receipt."""
    if route.account_id:
        return route.account_id
    closes = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    kept = timedelta(seconds=route.retention_seconds) if route.retention_seconds else _NEVER
    due = closes + kept + timedelta(days=1)
    return PublicDay(route.domain, now.strftime("%Y-%m-%d"), int(due.timestamp()))


def make_copy(route: Route, task: SealTask, sealed: Sealed, now: datetime) -> Copy:
    """Return the copy of a sealed mail; its times are whole minutes, which is how finely they may be known."""
    minute = int(now.timestamp()) // 60
    expires = minute * 60 + route.retention_seconds if route.retention_seconds else 0
    return Copy(route, task.message_id, minute, len(task.body), expires, sealed)
