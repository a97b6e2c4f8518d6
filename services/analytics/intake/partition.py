"""One partition in the hands of its owner: facts counted in memory, then committed, then confirmed.

A tick is counted in one go and becomes a pending commit. It is carried out in steps, each of which may be repeated
until it succeeds: what units have used goes into the log in memory (1), then the document is replaced (2), then
emitters are told (3). Until (2) has happened nothing has: whoever reads the document and the log stands before the
tick, and emitters repeat it. After (2) the tick is counted, whether anybody has been told or not. Nothing else is
counted while a commit is pending, so memory is ahead of the document by one tick at most.

A write whose outcome is unknown is settled by reading: the version that is there, and whose run wrote it, tell. A lost
fence (ConflictError, NotFoundError) ends the ownership; memory is dropped then.

After every new connection the log is published again as a whole: NATS may have begun anew, and keeps nothing on disk.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Literal

from libs.envelope import open_sealed
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, UnavailableError
from libs.runtime.secret import Secret
from services.analytics.domain.bounding import Used
from services.analytics.domain.counting import PartitionCounter
from services.analytics.domain.ports import DAY_SECONDS, Window
from services.analytics.intake.leases import Leases
from services.analytics.intake.ports import Arrived, Broker, FactReader
from services.analytics.intake.sequences import Sequences
from services.analytics.intake.ticks import Change, Pending, accepted, next_record, unknown_terms
from services.analytics.intake.unit_log import messages, recover
from services.analytics.partitions import Partitions, Record, end_of
from services.analytics.partitions_counts import decode_counts, encode_counts
from services.analytics.partitions_keys import WindowKeys, counts_place


@dataclass(frozen=True)
class Snapshots:
    """When a whole state is published: after so many commits or seconds, or once changes outweigh it by rows."""

    commits: int = 600
    seconds: float = 3600.0
    rows: int = 50_000


@dataclass(frozen=True)
class Tools:
    """What all partitions of a replica work with."""

    partitions: Partitions
    leases: Leases
    keys: WindowKeys
    broker: Broker
    clock: Clock
    hour_seconds: int
    make_counter: Callable[[int], PartitionCounter]
    snapshots: Snapshots = Snapshots()


class Partition:
    """A partition that this replica owns, as far as it knows.

    All methods raise UnavailableError (try again), and ConflictError or NotFoundError where it is owned no more.
    """

    def __init__(self, tools: Tools, record: Record) -> None:
        """Take a record whose lease is ours; `load` comes before counting."""
        self._tools = tools
        self._writer = secrets.randbits(64)
        self._counter: PartitionCounter | None = None
        self._reader: FactReader | None = None
        self._doubt: Literal["", "lease", "commit"] = ""
        self._lost = False
        self._sequences = Sequences(record.emitters)
        self._log = _LogMarks(tools.clock.monotonic())
        self.record = record
        self.pending: Pending | None = None

    @property
    def may_load(self) -> bool:
        """Whether the state is to be put into memory now; not while the document is about to change."""
        return self._counter is None and self.pending is None

    async def load(self) -> None:
        """Put the state together from the document and the log, and begin to read facts."""
        tools, record = self._tools, self.record
        session = tools.broker.session
        days = recover(record, await tools.broker.read_units(record.partition))
        windows = [window for window in record.counts if self._is_open(window)]
        keys = await tools.keys.find(windows)
        counter = tools.make_counter(record.partition)
        await asyncio.to_thread(_fill, counter, record, keys, days or {})
        if days is None:
            # Units may now count up to their bounds again, so what is counted next belongs to a new term.
            self.record, self._lost = replace(record, days=unknown_terms(record.days)), True
        self._counter, self._log.session = counter, session
        self._reader = tools.broker.read_facts(record.partition)

    def take(self) -> list[Arrived]:
        """Return facts to be given to `prepare`; none while a commit is pending."""
        return [] if self._reader is None or self.pending is not None else self._reader.take()

    def prepare(self, arrived: Sequence[Arrived], closed_until: int, gone: AbstractSet[Window]) -> None:
        """Count what has arrived and make a pending commit of it, if anything has changed. May run in a thread.

        `closed_until`: up to when windows are closed; `gone`: windows whose keys are destroyed.
        """
        if self.pending is not None:
            return
        now = unix_seconds(self._tools.clock)
        counter, record = self._counter, self.record
        self._sequences = Sequences(record.emitters)
        batches = accepted(arrived, self._sequences, now)
        closed_until = max(closed_until, record.closed_until)
        dropped = gone & record.counts.keys()
        if not (batches or dropped or self._lost or closed_until > record.closed_until):
            return
        tick = None
        if counter is not None:
            tick = counter.count(batches, closed_until, now)
            counter.forget(closed_until)
        change = Change(tick, closed_until, dropped, self._sequences.heard(now), self._lost, now)
        self.pending = next_record(record, change, self._writer, self._log.base)
        waited = max((one.waited for one in arrived), default=0.0)
        if tick is not None:
            self.pending.seal(_cells(counter, tick.windows), self._tools.keys, waited)

    async def commit(self) -> Pending | None:
        """Carry out the pending commit and return it; None if there was none."""
        pending = self.pending
        if pending is None:
            return None
        if not await self._settled():
            if pending.units is not None:
                await self._publish(pending, pending.units)
            record = replace(pending.record, version=self.record.version, lease=self._tools.leases.lease())
            self._doubt = "commit"
            version = await self._tools.partitions.write(record)
            self._doubt = ""
            self.record = replace(record, version=version)
        self.pending, self._lost = None, False
        if pending.snapshot is not None:
            self._log.whole(self.record.commit, pending.snapshot)
        return pending

    def confirmed(self) -> Mapping[int, int]:
        """Return how far the emitters heard in the last tick are counted, once; nothing while a commit is pending."""
        if self.pending is not None:
            return {}
        confirmed, self._sequences.touched = self._sequences.confirmed(), set()
        return confirmed

    async def keep(self) -> None:
        """Renew the lease where it is time, and keep the log whole and short."""
        if self.pending is None or self._doubt == "lease":
            await self._settled()
        if not self._doubt and self._tools.leases.is_due(self.record):
            self._doubt = "lease"
            self.record = await self._tools.leases.renew(self.record)
            self._doubt = ""
        if self._counter is not None and self.pending is None and not self._lost:
            await self._keep_log(self._counter)

    def closed_windows(self) -> list[Window]:
        """Return windows that are closed here and whose counts are still in the document."""
        return [window for window in self.record.counts if not self._is_open(window)]

    async def close(self) -> None:
        """Stop reading; the lease stays."""
        if self._reader is not None:
            await self._reader.close()

    async def _keep_log(self, counter: PartitionCounter) -> None:
        session, record = self._tools.broker.session, self.record
        writer = record.writer_of(record.commit)
        if session == 0 or writer is None:
            return
        due = self._log.is_due(self._tools.snapshots, self._tools.clock.monotonic())
        if session != self._log.session or due:
            used = counter.used()
            place = await self._append(messages(writer, record.commit, used, snapshot=True))
            self._log.published(session, self._tools.clock.monotonic(), _rows(used))
            self._log.whole(record.commit, place)
        if self._log.purge:
            # Messages before a whole state whose commit is in the document.
            await self._tools.broker.purge_units(record.partition, self._log.purge)
            self._log.purge = 0

    async def _publish(self, pending: Pending, units: Mapping[int, Used]) -> None:
        session = self._tools.broker.session
        if session == 0:
            raise UnavailableError("events_unavailable")
        if pending.logged == session:
            return
        counter = self._counter
        commit = pending.record.commit
        if counter is not None and (pending.whole or session != self._log.session):
            used = counter.used()
            pending.snapshot = await self._append(messages(self._writer, commit, used, snapshot=True))
            self._log.published(session, self._tools.clock.monotonic(), _rows(used))
        else:
            await self._append(messages(self._writer, commit, units))
            self._log.changed(_rows(units))
        pending.logged = session

    async def _append(self, log: Sequence[bytes]) -> int:
        return await self._tools.broker.append_units(self.record.partition, log)

    async def _settled(self) -> bool:
        """Find out what became of a write without an answer; tell whether it was the pending commit, and is there."""
        if not self._doubt:
            return False
        stored = await self._tools.partitions.read(self.record.partition)
        if stored is None or (
            stored.version != self.record.version and stored.lease.run != self._tools.leases.replica.run
        ):
            raise ConflictError("version")
        doubt, self._doubt = self._doubt, ""
        if stored.version == self.record.version:
            return False
        landed = doubt == "commit"
        base = self.pending.record if landed and self.pending is not None else self.record
        self.record = replace(base, version=stored.version, lease=stored.lease)
        return landed

    def _is_open(self, window: Window) -> bool:
        return end_of(window, self._tools.hour_seconds) > self.record.closed_until


class _LogMarks:
    """How the log stands: in which connection it is known to be whole, and how much has been added since.

    `base`: the commit of the last whole state; `purge`: its place, as long as older messages are there, else 0.
    """

    def __init__(self, now: float) -> None:
        self.session = 0
        self.base = 0
        self.purge = 0
        self._rows = self._added = self._commits = 0
        self._at = now

    def whole(self, commit: int, place: int) -> None:
        """The whole state of `commit`, which is in the document, stands at `place`."""
        self.base, self.purge = commit, place

    def published(self, session: int, now: float, rows: int) -> None:
        self.session, self._at, self._rows = session, now, rows
        self._added = self._commits = 0

    def changed(self, rows: int) -> None:
        self._added += rows
        self._commits += 1

    def is_due(self, rule: Snapshots, now: float) -> bool:
        outgrown = self._added > max(rule.rows, self._rows)
        return self._commits >= rule.commits or outgrown or now - self._at >= rule.seconds


def _cells(counter: PartitionCounter | None, windows: AbstractSet[Window]) -> dict[Window, bytes]:
    """Return the counts of `windows` as bytes."""
    return {} if counter is None else {window: encode_counts(counter.cells(window)) for window in windows}


def _rows(days: Mapping[int, Used]) -> int:
    return sum(len(used.units) for used in days.values())


def _fill(
    counter: PartitionCounter, record: Record, keys: Mapping[Window, Secret[bytes]], days: Mapping[int, Sequence[Used]]
) -> None:
    for window, key in keys.items():
        sealed = record.counts[window]
        counter.put_cells(window, decode_counts(open_sealed(key, counts_place(record.partition, window), sealed)))
    for day, parts in days.items():
        if (day + 1) * DAY_SECONDS > record.closed_until:
            for part in parts:
                counter.put_used(day, part)
