"""Counts what is told, exactly once.

    uses ─▶ by day ─▶ without those whose ids are counted already ─▶ sums ─▶ one document of the log for each day

A use is told again after any failure: of the caller, of the broker, of this process. It is counted if and only if the
hash of its id stands in the log of its day, and the log of a day is kept for as long as its uses may come
(`keep_days`). What comes later than that, or claims a day that has not begun, is not counted, but how many they were
is: it shows in the reconciliation. Of ten million ids of a day two have the same eight bytes once in 370,000 days.

The ids of the last days are in memory, the others are read when they are asked for. Whoever else writes to the log is
noticed at the next write, by its number.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from libs.docstore.store import Query, Store
from libs.envelope import KeyedHash
from libs.runtime.backoff import Backoff
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, InternalError, UnavailableError
from services.billing.domain.model import DAY, Meter
from services.billing.metering.known import Ids, KnownIds, bytes_of, ids_of
from services.billing.metering.log import ID_BYTES, METER_LOG, Counted, counted_of, in_order, insert
from services.billing.metering.state import folded_upto

_DAYS_IN_MEMORY = 4
_PAGE = 200
_MOST = 20_000


@dataclass(frozen=True, slots=True)
class Use:
    """That a subject used something: told any number of times, under one id. `day` is the day of the use."""

    use_id: str
    subject: str
    meter: Meter
    day: int
    units: int = 1


@dataclass
class _Day:
    """What a batch has of one day."""

    uses: list[Use] = field(default_factory=list)
    ids: bytearray = field(default_factory=bytearray)


_Make = Callable[[], tuple[int, Counted]]


class Intake:
    """Writes the log in `store`, opened with METER_LOG and STATE."""

    def __init__(self, store: Store, hashes: KeyedHash, clock: Clock, keep_days: int) -> None:
        """Count uses of the last `keep_days` days."""
        self._store = store
        self._hashes = hashes
        self._clock = clock
        self._keep_days = keep_days
        self._known: OrderedDict[int, KnownIds] = OrderedDict()
        # The number of the last document known; None before the log was looked at.
        self._last: int | None = None
        self._turn = asyncio.Lock()
        self._backoff = Backoff(first=0.005, ceiling=0.2, attempts=10)

    async def take(self, uses: Sequence[Use]) -> int:
        """Count at most 20,000 uses, durably; return how many were new.

        Raises: UnavailableError: some may be counted, and all may be told again.
        """
        if len(uses) > _MOST:
            raise InternalError("too_many_uses")
        async with self._turn:
            return await self._take(uses)

    async def _take(self, uses: Sequence[Use]) -> int:
        new = 0
        days, late = self._by_day(uses)
        for day, part in sorted(days.items()):
            new += await self._take_day(day, part)
        if late:
            await self._write(lambda: (0, Counted(0, unix_seconds(self._clock) // DAY, {}, b"", late)))
        return new

    def _by_day(self, uses: Sequence[Use]) -> tuple[dict[int, _Day], Mapping[Meter, int]]:
        today = unix_seconds(self._clock) // DAY
        days: defaultdict[int, _Day] = defaultdict(_Day)
        late: Counter[Meter] = Counter()
        for use in uses:
            # A clock may be a little ahead of ours at midnight.
            if not today - self._keep_days < use.day <= today + 1:
                late[use.meter] += 1
                continue
            part = days[use.day]
            part.uses.append(use)
            part.ids += self._hashes.digest("metered", use.use_id.encode())[:ID_BYTES]
        return days, late

    async def _take_day(self, day: int, part: _Day) -> int:
        ids = ids_of(bytes(part.ids))
        known = await self._ids_of(day)
        return await self._write(lambda: _new(day, part.uses, ids, known))

    async def _write(self, make: _Make) -> int:
        """Write what `make` finds to be new, under the next number; make it anew where others have written."""
        async for _ in self._backoff:
            last = await self._catch_up() if self._last is None else self._last
            new, counted = make()
            if not new and not counted.late:
                return 0
            numbered = Counted(last + 1, counted.day, counted.sums, counted.ids, counted.late)
            try:
                await self._store.write(insert(numbered))
            except ConflictError:
                self._last = None
                continue
            except UnavailableError:
                # It may be there or not.
                self._last = None
                raise
            self._note(numbered)
            return new
        raise UnavailableError("meter_log_contended")

    async def _catch_up(self) -> int:
        """Read what the log has and this process does not know; return the last number."""
        newest = await self._store.find(Query(METER_LOG, "number", in_order(), descending=True, limit=1))
        last = counted_of(newest[0]).number if newest else 0
        for day, known in self._known.items():
            await self._load(day, known)
        self._last = max(last, await folded_upto(self._store))
        return self._last

    def _note(self, counted: Counted) -> None:
        # Nobody has written since the last look, or the number would have been taken: all days in memory are complete.
        self._last = counted.number
        known = self._known.get(counted.day)
        if known is not None:
            known.add(ids_of(counted.ids))
        for one in self._known.values():
            one.upto = counted.number

    async def _ids_of(self, day: int) -> KnownIds:
        known = self._known.get(day)
        if known is None:
            known = KnownIds()
            await self._load(day, known)
            self._known[day] = known
            if len(self._known) > _DAYS_IN_MEMORY:
                self._known.popitem(last=False)
        self._known.move_to_end(day)
        return known

    async def _load(self, day: int, known: KnownIds) -> None:
        """Have `known` know all ids of a day that the log has by now."""
        lower = known.upto + 1
        while True:
            page = await self._store.find(Query(METER_LOG, "day", (day,), lower=lower, limit=_PAGE))
            for document in page:
                ids = ids_of(counted_of(document).ids)
                known.add(ids[~known.contains(ids)])
            if page:
                known.upto = lower = counted_of(page[-1]).number
                lower += 1
            if len(page) < _PAGE:
                return


def _new(day: int, uses: Sequence[Use], ids: Ids, known: KnownIds) -> tuple[int, Counted]:
    """Return how many of `uses` are not known, and the document that counts them."""
    _, first = np.unique(ids, return_index=True)
    once = np.zeros(len(ids), dtype=np.bool_)
    once[first] = True
    once &= ~known.contains(ids)
    sums: defaultdict[tuple[str, Meter], int] = defaultdict(int)
    for position in np.flatnonzero(once).tolist():
        use = uses[position]
        sums[use.subject, use.meter] += use.units
    return int(once.sum()), Counted(0, day, sums, bytes_of(ids[once]))
