"""The intake of one replica: each tick it looks after its partitions, counts what has come, commits, confirms.

One loop does everything in turn, so that nothing writes a partition's document beside it. Partitions fail one by one: a
failure that time may heal leaves its partition as it was, to be tried again in the next tick; a lost fence gives the
partition up, and its state is put together anew by whoever owns it next. All documents of a tick are written together,
so that SQLite puts them into one commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from libs.runtime.backoff import Backoff
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import ConflictError, NotFoundError, SealpostError, UnavailableError
from libs.telemetry.logs import get_logger
from services.analytics.domain.ports import DAY_SECONDS, Window
from services.analytics.intake import metrics
from services.analytics.intake.partition import Partition, Tools
from services.analytics.partitions import end_of
from services.analytics.partitions_pending import Closing

_STEP_SECONDS = 15.0
_LEAVE_SECONDS = 2.5
_SALT_SECONDS = 3600
_AHEAD_SECONDS = 150
"""Keys of windows are made so long before: facts of clocks that are ahead find them."""

_log = get_logger("intake")


@dataclass(frozen=True)
class Rhythm:
    """`tick`: seconds between commits; `backoff`: pauses after failures."""

    tick: float
    backoff: Backoff = Backoff(first=0.2, ceiling=5.0, attempts=None)  # noqa: RUF009 - frozen


class Intake:
    """Owns its share of the partitions while it runs."""

    def __init__(self, tools: Tools, closing: Closing, rhythm: Rhythm) -> None:
        """Take the parts; `run` does the work."""
        self._tools = tools
        self._closing = closing
        self._rhythm = rhythm
        self._partitions: dict[int, Partition] = {}
        self._ensured: frozenset[Window] = frozenset()
        self._begun = False
        self._salts_gone = 0
        metrics.OWNED.watch(lambda: len(self._partitions))

    @property
    def owned(self) -> dict[int, Partition]:
        """The partitions that this replica owns, as far as it knows."""
        return dict(self._partitions)

    async def run(self) -> None:
        """Tick until cancelled; then give all partitions back."""
        failures = 0
        try:
            while True:
                failures = 0 if await self.step() else failures + 1
                if failures:
                    await asyncio.sleep(max(0.05, self._rhythm.backoff.pause(failures)))
                else:
                    await self._tools.broker.wait(self._rhythm.tick)
        finally:
            await self.leave()

    async def step(self) -> bool:
        """Do one tick; tell whether all of it succeeded. Failures that time may heal are logged, others raised."""
        try:
            async with asyncio.timeout(_STEP_SECONDS):
                await self._own()
                closed_until = await self._windows()
        except (SealpostError, TimeoutError) as error:
            _log.warning("intake_delayed", stage="ownership", error=error)
            return False
        partitions = list(self._partitions.values())
        sound = await self._all("load", (one for one in partitions if one.may_load), Partition.load)
        gone = await self._gone(partitions)
        began = self._tools.clock.monotonic()
        await asyncio.to_thread(_prepare, partitions, closed_until, gone)
        changed = [one for one in partitions if one.pending is not None]
        metrics.LAG.set(max((one.pending.waited for one in changed if one.pending is not None), default=0.0))
        sound &= await self._all("commit", changed, self._commit)
        if changed:
            metrics.COMMIT.observe(self._tools.clock.monotonic() - began)
        sound &= await self._all("keep", list(self._partitions.values()), Partition.keep)
        sound &= await self._forget_salt()
        return await self._confirm(partitions) and sound

    async def leave(self) -> None:
        """Give back what this run owns. What fails here ends with the lease."""
        try:
            async with asyncio.timeout(_LEAVE_SECONDS):
                for partition in self._partitions.values():
                    await partition.close()
                run = self._tools.leases.replica.run
                records = (await self._tools.partitions.read_all()).values()
                mine = [record for record in records if record.lease.run == run]
                await asyncio.gather(*(self._tools.leases.give_back(record) for record in mine))
                await self._tools.leases.leave()
        except (SealpostError, TimeoutError) as error:
            _log.warning("partitions_not_released", count=len(self._partitions), error=error)
        self._partitions.clear()

    async def _own(self) -> None:
        leases = self._tools.leases
        if not self._begun:
            now, hour = unix_seconds(self._tools.clock), self._tools.hour_seconds
            closed_until = await self._closing.read()
            if closed_until is None:
                closed_until = await self._closing.raise_to(now - now % hour - hour)
            await self._tools.partitions.create_all(closed_until)
            self._begun = True
        share = await leases.share()
        for partition in list(self._partitions.values())[share:]:
            # With a commit under way it is given back later: nothing need be counted twice in memory for that.
            if partition.pending is None:
                await self._drop(partition)
                await leases.give_back(partition.record)
        for record in await leases.take(self._partitions.keys(), share):
            self._partitions[record.partition] = Partition(self._tools, record)

    async def _windows(self) -> int:
        """Return up to when windows are closed, having made the keys of all open ones that have begun."""
        now, hour = unix_seconds(self._tools.clock), self._tools.hour_seconds
        # What is older than yesterday is never counted any more, whether it has been released or not.
        closed_until = max(await self._closing.read() or 0, now - now % DAY_SECONDS - DAY_SECONDS)
        # What is late goes to the first open window, begun or not.
        begun = max(now + _AHEAD_SECONDS, closed_until + 1)
        hours = range(closed_until - closed_until % hour, begun, hour)
        days = range(closed_until - closed_until % DAY_SECONDS, begun, DAY_SECONDS)
        windows = [*(Window("hour", start) for start in hours), *(Window("day", start) for start in days)]
        wanted = [one for one in windows if end_of(one, hour) > closed_until]
        await self._tools.keys.ensure([one for one in wanted if one not in self._ensured])
        self._ensured = frozenset(wanted)
        return closed_until

    async def _gone(self, partitions: Iterable[Partition]) -> set[Window]:
        closed = {window for one in partitions for window in one.closed_windows()}
        if not closed:
            return set()
        try:
            return await self._tools.keys.gone(closed)
        except SealpostError as error:
            _log.warning("intake_delayed", stage="keys", error=error)
            return set()

    async def _commit(self, partition: Partition) -> None:
        pending = await partition.commit()
        if pending is not None:
            metrics.committed(pending.totals)

    async def _confirm(self, partitions: Iterable[Partition]) -> bool:
        counted: dict[int, dict[int, int]] = {}
        for partition in partitions:
            for emitter, sequence in partition.confirmed().items():
                counted.setdefault(emitter, {})[partition.record.partition] = sequence
        if not counted:
            return True
        try:
            await self._tools.broker.confirm(counted)
        except UnavailableError:
            return False  # emitters ask again, and are told again
        return True

    async def _forget_salt(self) -> bool:
        """Have the salt of a day removed one hour after it; emitters have forgotten it by then."""
        day = (unix_seconds(self._tools.clock) - _SALT_SECONDS) // DAY_SECONDS - 1
        if day > self._salts_gone and self._partitions and self._tools.broker.session:
            try:
                await self._tools.broker.forget_salt(day)
            except UnavailableError:
                return False
            self._salts_gone = day
        return True

    async def _all(
        self, stage: str, partitions: Iterable[Partition], call: Callable[[Partition], Awaitable[None]]
    ) -> bool:
        results = await asyncio.gather(*(self._guarded(stage, one, call) for one in list(partitions)))
        return all(results)

    async def _guarded(self, stage: str, partition: Partition, call: Callable[[Partition], Awaitable[None]]) -> bool:
        try:
            async with asyncio.timeout(_STEP_SECONDS):
                await call(partition)
        except (ConflictError, NotFoundError) as error:
            _log.warning("partition_lost", stage=stage, error=error)
            await self._drop(partition)
            return False
        except (UnavailableError, TimeoutError) as error:
            _log.warning("intake_delayed", stage=stage, error=error)
            return False
        return True

    async def _drop(self, partition: Partition) -> None:
        self._partitions.pop(partition.record.partition, None)
        await partition.close()


def _prepare(partitions: Iterable[Partition], closed_until: int, gone: set[Window]) -> None:
    for partition in partitions:
        partition.prepare(partition.take(), closed_until, gone)
