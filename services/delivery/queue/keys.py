"""Data keys of mails: made in advance by crypto, fetched in batches, destroyed in batches.

A key is durable at crypto before anything is sealed under it, and a submission must not wait for a call of its own; so
a pool of unused keys is held in memory. A key lives long enough for the latest mail that may be sealed under it: 30
days ahead, 5 days of attempts and some. Keys that were not used are destroyed when the process ends; those of a process
that was killed are destroyed when their time has come.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from libs.runtime.batch import Batcher
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import SealpostError
from libs.runtime.secret import Secret
from libs.telemetry.logs import get_logger

_DAY = 86400
_LIFETIME = 40 * _DAY
_FRESH = 2 * _DAY
_BATCH = 500
_LOW = 250

_log = get_logger("keys")


class DataKeys(Protocol):
    """Of the service crypto."""

    async def new(self, count: int, destroy_after: int) -> Sequence[tuple[str, Secret[bytes]]]:
        """Return new keys with their ids; durable. `destroy_after` in Unix seconds. Raises SealpostError."""

    async def get(self, key_ids: Sequence[str]) -> Sequence[Secret[bytes] | Exception]:
        """Return at most 1,000 keys, an error in the place of each that cannot be had. Raises SealpostError."""

    async def destroy(self, key_ids: Sequence[str]) -> None:
        """Destroy at most 1,000 keys; absent ones are fine. Raises SealpostError."""


class KeyRing:
    """Gives keys to new mails and finds those of old ones."""

    def __init__(self, keys: DataKeys, clock: Clock) -> None:
        """Take whom to ask."""
        self._keys = keys
        self._clock = clock
        self._pool: deque[tuple[int, str, Secret[bytes]]] = deque()
        self._filling = asyncio.Lock()
        self._refill: asyncio.Task[None] | None = None
        self._fetch: Batcher[str, Secret[bytes]] = Batcher(
            keys.get, max_items=500, max_weight=500, weigh=lambda _: 1, max_delay=0.0, concurrency=2, max_queued=20_000
        )

    async def take(self) -> tuple[str, Secret[bytes]]:
        """Return an unused key and its id. Raises: SealpostError where there is none and crypto gives none."""
        while True:
            fresh = unix_seconds(self._clock) - _FRESH
            while self._pool:
                made, key_id, key = self._pool.popleft()
                if made >= fresh:
                    self._top_up()
                    return key_id, key
            await self._fill()

    async def get(self, key_id: str) -> Secret[bytes]:
        """Return the key of a mail. Raises: NotFoundError if it was destroyed, SealpostError."""
        return await self._fetch.submit(key_id)

    async def close(self) -> None:
        """Destroy what was not used."""
        await self._fetch.close()
        if self._refill is not None:
            self._refill.cancel()
            await asyncio.gather(self._refill, return_exceptions=True)
        unused = [key_id for _, key_id, _ in self._pool]
        self._pool.clear()
        try:
            if unused:
                await self._keys.destroy(unused[:1000])
        except SealpostError as error:
            _log.warning("keys_kept", count=len(unused), error=error)

    def _top_up(self) -> None:
        if len(self._pool) < _LOW and (self._refill is None or self._refill.done()):
            self._refill = asyncio.get_running_loop().create_task(self._quietly())

    async def _quietly(self) -> None:
        try:
            await self._fill()
        except SealpostError as error:
            # Whoever finds the pool empty asks again and is told.
            _log.warning("keys_not_made", error=error)

    async def _fill(self) -> None:
        async with self._filling:
            if len(self._pool) >= _LOW:
                return
            now = unix_seconds(self._clock)
            made = await self._keys.new(_BATCH, now + _LIFETIME)
            self._pool.extend((now, key_id, key) for key_id, key in made)
