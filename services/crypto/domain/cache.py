"""A bounded memory with a time limit: least recently used falls out, and nothing is believed for longer than its time.

The time limit is what bounds how long another process may still use what this one has destroyed.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

from libs.runtime.clock import Clock

V = TypeVar("V")


class TimedLru(Generic[V]):
    """At most `capacity` values by key, each for at most `lifetime` seconds after it was put."""

    def __init__(self, capacity: int, lifetime: float, clock: Clock) -> None:
        """Start empty."""
        self._capacity = capacity
        self._lifetime = lifetime
        self._clock = clock
        self._entries: OrderedDict[str, tuple[float, V]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many are held, those past their time included."""
        return len(self._entries)

    def get(self, key: str) -> V | None:
        """Return the value, unless it is absent or past its time."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry[0] <= self._clock.monotonic():
            del self._entries[key]
            return None
        self._entries.move_to_end(key)
        return entry[1]

    def put(self, key: str, value: V) -> None:
        """Hold `value` from now on."""
        self._entries[key] = (self._clock.monotonic() + self._lifetime, value)
        self._entries.move_to_end(key)
        while len(self._entries) > self._capacity:
            self._entries.popitem(last=False)

    def drop(self, key: str) -> None:
        """Forget it."""
        self._entries.pop(key, None)
