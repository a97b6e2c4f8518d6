"""Which events have been handled: at-least-once delivery becomes once, for as long as a duplicate can still arrive.

The record is written after the handler and before the acknowledgement. A process that dies between the two handles the
event again, so handlers write by keys that they take from the event; everything else is caught here.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from libs.docstore.store import Collection, Index, Insert, Store
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError

SEEN_EVENTS = Collection("seen_events", (Index("by_expiry", ("expires",)),), fields=("expires",))
"""A service that consumes events declares it among its collections."""

SEEN_SECONDS = 7 * 24 * 3600


class DedupeStore:
    """Remembers handled events in the service's own store for `lifetime` seconds."""

    def __init__(self, store: Store, clock: Clock, lifetime: int = SEEN_SECONDS) -> None:
        """`lifetime` exceeds the age at which the stream drops messages."""
        self._store = store
        self._clock = clock
        self._lifetime = lifetime

    async def seen(self, consumer: str, event_id: str) -> bool:
        """Tell whether `consumer` has handled the event. Raises: UnavailableError."""
        return await self._store.get(SEEN_EVENTS, _key(consumer, event_id)) is not None

    async def remember(self, consumer: str, event_id: str) -> None:
        """Record, durably, that `consumer` has handled the event. Raises: UnavailableError."""
        expires = unix_seconds(self._clock) + self._lifetime
        try:
            await self._store.write(Insert(SEEN_EVENTS, _key(consumer, event_id), {"expires": expires}))
        except ConflictError:
            return  # another delivery of the same event was quicker: it is recorded, which is all that matters

    async def sweep(self, limit: int = 10_000) -> int:
        """Forget at most `limit` records that have expired; return how many."""
        return await self._store.delete_range(SEEN_EVENTS, "by_expiry", (), unix_seconds(self._clock), limit)


class RecentIds:
    """The last `capacity` ids, in memory: for live subscriptions, where only a resend can double an event."""

    def __init__(self, capacity: int = 10_000) -> None:
        """Begin with none."""
        self._capacity = capacity
        self._ids: OrderedDict[str, None] = OrderedDict()

    def add(self, event_id: str) -> bool:
        """Note the id; tell whether it was new."""
        if event_id in self._ids:
            return False
        self._ids[event_id] = None
        if len(self._ids) > self._capacity:
            self._ids.popitem(last=False)
        return True


def _key(consumer: str, event_id: str) -> str:
    return f"{consumer}/{hashlib.sha256(event_id.encode()).hexdigest()[:32]}"
