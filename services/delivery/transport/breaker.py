"""Remembers who did not answer, and leaves them alone for a while.

Each failure in a row doubles the pause up to a bound; half of it is drawn at random, or all mails for a destination
would come back at the same second. After the pause one attempt is let through, and until it has ended (or half a minute
has passed without its end) nobody else. One success forgets everything. Names that have not failed take no memory.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from libs.runtime.clock import Clock

_PROBE_SECONDS = 30.0

K = TypeVar("K", bound=Hashable)


@dataclass(slots=True)
class _Failing:
    times: int
    until: float


class Breaker(Generic[K]):
    """For one event loop."""

    def __init__(self, clock: Clock, *, first: float, most: float, capacity: int) -> None:
        """Take the first and the longest pause in seconds, and how many names are remembered at most."""
        self._clock = clock
        self._first = first
        self._most = most
        self._capacity = capacity
        self._failing: OrderedDict[K, _Failing] = OrderedDict()

    def is_open(self, key: K) -> bool:
        """Whether `key` is to be left alone for now."""
        failing = self._failing.get(key)
        return failing is not None and self._clock.monotonic() < failing.until

    def enter(self, key: K) -> bool:
        """Return whether an attempt may be made; if it is the one after a pause, others may not until it has ended."""
        failing = self._failing.get(key)
        if failing is None:
            return True
        now = self._clock.monotonic()
        if now < failing.until:
            return False
        failing.until = now + _PROBE_SECONDS
        return True

    def fail(self, key: K) -> None:
        """Note that it did not answer. Attempts that were under way together count once."""
        now = self._clock.monotonic()
        failing = self._failing.get(key)
        if failing is None:
            failing = self._failing[key] = _Failing(0, now)
            if len(self._failing) > self._capacity:
                self._failing.popitem(last=False)
        self._failing.move_to_end(key)
        longest = min(self._most, self._first * 2.0 ** min(failing.times, 60))
        failing.times += 1
        failing.until = now + longest * random.uniform(0.5, 1.0)

    def succeed(self, key: K) -> None:
        """Note that it answered."""
        self._failing.pop(key, None)
