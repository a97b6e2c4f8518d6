"""Makes the sealed copies of one mail, one for each mailbox, and brings the large ones to storage.

A large mail is in memory several times over while it is sealed and sent on (our copy, the request, gRPC's copy), so its
copies are made one after the other; those of a small one meet others in the batches of the peers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from libs.mailbox.model import Copy, Crypto, PublicDay, Recipient, Route, Sealed, SealTask, Storage

# What storage takes inside an Append; larger bodies are staged.
INLINE_BYTES = 1024 * 1024
# From here on, all copies of a mail together, a mail is large.
LARGE_BYTES = 4 * 1024 * 1024
_NEVER = timedelta(days=36500)


class Copies:
    """Makes copies with the services crypto and storage."""

    def __init__(self, crypto: Crypto, storage: Storage) -> None:
        """Take whom to call."""
        self._crypto = crypto
        self._storage = storage

    async def make(self, plain: Sequence[tuple[Route, SealTask]], now: datetime) -> list[Copy]:
        """Return the copies, in this order, ready for `Storage.append`; large bodies are staged by then.

        `now` is the time of receipt. Raises SealpostError: no copy is in any mailbox.
        """
        large = sum(len(task.body) for _, task in plain) > LARGE_BYTES
        if large or len(plain) == 1:
            return [await self._make_one(route, task, now, large) for route, task in plain]
        making = (self._make_one(route, task, now, large) for route, task in plain)
        results = await asyncio.gather(*making, return_exceptions=True)
        copies: list[Copy] = []
        for result in results:
            if isinstance(result, BaseException):
                raise result
            copies.append(result)
        return copies

    async def _make_one(self, route: Route, task: SealTask, now: datetime, large: bool) -> Copy:
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
