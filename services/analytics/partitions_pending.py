"""What the releases see of the intake: windows that are over, closed in every partition, summed, destroyed.

A document says up to when windows are closed; the owner of each partition takes that over with its next commit, and
from then on nothing is counted in them. A partition that has no document yet gets one here, closed from its first
moment, so that whoever takes it first cannot count in a window that is already released. Everything works on documents,
in any replica: the counts of a partition without a live owner are as readable as the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

from libs.docstore.store import Collection, Insert, Replace, Store
from libs.envelope import open_sealed
from libs.runtime.errors import ConflictError
from libs.runtime.secret import Secret
from services.analytics.domain.ports import DAY_SECONDS, CellCounts, Collected, CutId, Window
from services.analytics.partitions import PARTITION_COUNT, PARTITIONS, Partitions, Record, end_of
from services.analytics.partitions_counts import decode_counts, sum_counts
from services.analytics.partitions_keys import KEYS, WindowKeys, counts_place

CLOSING = Collection("closing", fields=("until",))
_KEY = "closing"
_ATTEMPTS = 20

INTAKE_COLLECTIONS = (PARTITIONS, KEYS, CLOSING)
"""Of partitions, keys and closing; intake.leases adds its own."""


class Closing:
    """Up to when windows are closed; only grows."""

    def __init__(self, store: Store) -> None:
        """Use `store`, opened with CLOSING among its collections."""
        self._store = store

    async def read(self) -> int | None:
        """Return the Unix second up to which windows are closed, None before the first start."""
        document = await self._store.get(CLOSING, _KEY)
        return None if document is None else cast(int, document.body["until"])

    async def raise_to(self, until: int) -> int:
        """Close what ends at or before `until`, and return up to when windows are closed.

        Raises: UnavailableError; ConflictError if others change it all the time.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            document = await self._store.get(CLOSING, _KEY)
            if document is not None and cast(int, document.body["until"]) >= until:
                return cast(int, document.body["until"])
            try:
                if document is None:
                    await self._store.write(Insert(CLOSING, _KEY, {"until": until}))
                else:
                    await self._store.write(Replace(CLOSING, _KEY, {"until": until}, document.version))
            except ConflictError:
                if attempt == _ATTEMPTS:
                    raise
            else:
                return until
        raise AssertionError("the last attempt returns or raises")


class StoredWindows:
    """Implements services.analytics.domain.ports.PendingWindows."""

    def __init__(self, store: Store, keys: WindowKeys, hour_seconds: int) -> None:
        """Use `store`, opened with INTAKE_COLLECTIONS; `hour_seconds`: length of the short window."""
        self._partitions = Partitions(store)
        self._closing = Closing(store)
        self._keys = keys
        self._hour_seconds = hour_seconds

    async def over(self, until: int) -> Sequence[Window]:
        """See PendingWindows: all windows with a key, and every window of the clock has one, whether used or not."""
        return await self._keys.over(until)

    async def close(self, until: int) -> None:
        """See PendingWindows."""
        closed_until = await self._closing.raise_to(until)
        await self._partitions.create_all(closed_until)

    async def collect(self, window: Window) -> Collected | None:
        """See PendingWindows. Raises: UnavailableError, InvalidError for counts that were tampered with."""
        records = await self._partitions.read_all()
        end = end_of(window, self._hour_seconds)
        if len(records) < PARTITION_COUNT or any(record.closed_until < end for record in records.values()):
            return None
        await self._keys.gone([window])  # another replica may have destroyed a key that is remembered here
        key = (await self._keys.find([window])).get(window)
        cells = {} if key is None else await asyncio.to_thread(_cells, list(records.values()), window, key)
        return Collected(cells, terms_of(list(records.values()), window))

    async def destroy(self, window: Window) -> None:
        """See PendingWindows: unreadable at once; the owners drop the sealed bytes with their next commits."""
        await self._keys.destroy(window)


def terms_of(records: Sequence[Record], window: Window) -> int:
    """Return how often a unit may have been counted up to its bound on the window's day; at least 1."""
    longest: dict[int, int] = {}
    for record in records:
        for salt, term in record.days.get(window.day // DAY_SECONDS, {}).items():
            longest[salt] = max(longest.get(salt, 0), term.number)
    return max(1, sum(longest.values()))


def _cells(records: Sequence[Record], window: Window, key: Secret[bytes]) -> dict[CutId, CellCounts]:
    return sum_counts(
        decode_counts(open_sealed(key, counts_place(record.partition, window), record.counts[window]))
        for record in records
        if window in record.counts
    )
