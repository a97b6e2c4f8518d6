"""What may be done so often in a day, counted in the store for all processes together, under keyed hashes."""

from __future__ import annotations

from libs.docstore.store import Collection, Increment, Index, Store
from libs.envelope import KeyedHash
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ExhaustedError

COUNTS = Collection("forward_counts", (Index("expires", ("expires",)),))

_DAY = 86400
_FIELD = "count"


class DailyCounts:
    """Counts per UTC day."""

    def __init__(self, store: Store, hashes: KeyedHash, clock: Clock) -> None:
        """Count in `store`, opened with COUNTS."""
        self._store = store
        self._hashes = hashes
        self._clock = clock

    async def add(self, kind: str, name: str, most: int) -> None:
        """Count one for `name`.

        Raises: ExhaustedError("forward_asks") with the seconds until tomorrow above `most`; UnavailableError.
        """
        now = unix_seconds(self._clock)
        key = f"{kind}/{now // _DAY}/{self._hashes.digest(f'forwards/{kind}', name.encode()).hex()}"
        expires = (now // _DAY + 2) * _DAY
        try:
            await self._store.write(Increment(COUNTS, key, {_FIELD: 1}, {_FIELD: most}, {"expires": expires}))
        except ExhaustedError as error:
            raise ExhaustedError("forward_asks", retry_after=float(_DAY - now % _DAY)) from error

    async def sweep(self) -> int:
        """Forget at most 1,000 counts of days that are over; return how many."""
        return await self._store.delete_range(COUNTS, "expires", (), unix_seconds(self._clock), 1000)
