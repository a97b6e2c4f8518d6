"""Counters against abuse that cannot become a record of who came: keyed hashes, whose key lives one window.

A rate counter must recognise an address or an account for a minute and must not know it afterwards. Each limiter draws
a random key per window, keeps `keyed hash -> count` in memory, and at the end of the window forgets both together.
Windows are fixed: a burst across a border may reach twice the limit, the price for keeping nothing about the past.
Memory is bounded by `capacity`; the least recently counted fall out first, so a flood of new names does not
push out a name that keeps coming.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from libs.runtime.clock import Clock
from libs.runtime.errors import ExhaustedError

_DIGEST_BYTES = 16


class KeyedLimiter:
    """Allows `limit` units per key and `window` seconds. For one event loop; not thread-safe."""

    def __init__(self, limit: int, window: float, capacity: int, clock: Clock) -> None:
        """Take units, seconds, the number of keys remembered, and the clock whose monotonic time turns windows."""
        if limit < 0 or window <= 0 or capacity < 1:
            raise ValueError("the bounds of a limiter are positive")
        self._limit = limit
        self._window = window
        self._capacity = capacity
        self._clock = clock
        self._counts: OrderedDict[bytes, int] = OrderedDict()
        self._secret = b""
        self._end = float("-inf")

    def __len__(self) -> int:
        """Return how many keys are remembered."""
        self._turn()
        return len(self._counts)

    def allow(self, key: bytes | str, weight: int = 1) -> float:
        """Count `weight` units and return 0.0, or the seconds to wait where that would exceed the limit.

        What is refused is not counted; a weight of 0 asks without counting.
        """
        now = self._turn()
        hashed = _hash(key, self._secret)
        count = self._counts.get(hashed, 0) + weight
        if count > self._limit:
            return self._end - now
        if weight:
            self._counts[hashed] = count
            self._counts.move_to_end(hashed)
            if len(self._counts) > self._capacity:
                self._counts.popitem(last=False)
        return 0.0

    def _turn(self) -> float:
        now = self._clock.monotonic()
        if now >= self._end:
            self._counts.clear()
            self._secret = secrets.token_bytes(32)
            self._end = now + self._window
        return now


class KeyedGauge:
    """Bounds what one key does at the same time, connections for one. For one event loop; not thread-safe."""

    def __init__(self, limit: int, capacity: int) -> None:
        """Take the most holds per key, and the most keys at once."""
        if limit < 1 or capacity < 1:
            raise ValueError("the bounds of a gauge are positive")
        self._limit = limit
        self._capacity = capacity
        self._holds: dict[bytes, int] = {}
        self._secret = b""

    def __len__(self) -> int:
        """Return how many keys hold something."""
        return len(self._holds)

    @contextmanager
    def hold(self, key: bytes | str) -> Iterator[None]:
        """Hold one for the length of the block.

        Raises ExhaustedError: "too_many_at_once" above the limit of the key, "gauge_full" where it is a new key and
        `capacity` keys hold something.
        """
        if not self._holds:
            self._secret = secrets.token_bytes(32)
        hashed = _hash(key, self._secret)
        count = self._holds.get(hashed, 0)
        if count >= self._limit:
            raise ExhaustedError("too_many_at_once")
        if count == 0 and len(self._holds) >= self._capacity:
            raise ExhaustedError("gauge_full")
        self._holds[hashed] = count + 1
        try:
            yield
        finally:
            left = self._holds[hashed] - 1
            if left:
                self._holds[hashed] = left
            else:
                del self._holds[hashed]


def _hash(key: bytes | str, secret: bytes) -> bytes:
    data = key.encode("utf-8", "surrogateescape") if isinstance(key, str) else key
    return hashlib.blake2b(data, key=secret, digest_size=_DIGEST_BYTES).digest()
