"""A world for the intake: emitters and NATS in memory, a store on a file, and faults at any step of either."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Collection, Document, IndexValue, Operation, PendingEvent, Query, Written
from libs.envelope import KeyEncryptionKeys
from libs.policy import Cut, Metric
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import UnavailableError
from libs.runtime.secret import Secret
from protos.facts.v1.facts_pb2 import FactBatch, FactColumns
from services.analytics.domain.counting import PartitionCounter
from services.analytics.intake.intake import Intake, Rhythm
from services.analytics.intake.leases import Leases, Replica
from services.analytics.intake.partition import Snapshots, Tools
from services.analytics.intake.ports import Arrived
from services.analytics.partitions import Partitions, Totals
from services.analytics.partitions_keys import WindowKeys
from services.analytics.partitions_pending import Closing, StoredWindows
from tests.support.clock import ManualClock

KEK = KeyEncryptionKeys({1: Secret(bytes(range(32)))})
BOUND = 3
METRICS = {
    "seen": Metric(
        title="Seen things",
        help="Things that were seen.",
        unit="ip",
        per_unit=BOUND,
        dimensions={"kind": ("a", "b", "other")},
        cuts={
            "by_kind": Cut(title="By kind", dimensions=("kind",), window="hour", epsilon=1.0),
            "in_day": Cut(title="In the day", window="day", epsilon=1.0),
        },
    )
}
SALT = 2**63 + 11


class Crash(BaseException):
    """The process dies here."""


@dataclass
class Faults:
    """What happens at the next steps: after `steps` more steps, `kind` strikes once, before or after the effect."""

    kind: str = ""
    steps: int = 0
    after: bool = False

    def strike(self, *, after: bool) -> None:
        if not self.kind or self.after != after:
            return
        self.steps -= 1
        if self.steps < 0:
            kind, self.kind = self.kind, ""
            raise Crash if kind == "crash" else UnavailableError("away")


class FaultyStore:
    """A libs.docstore.store.Store whose writes may fail, and may fail after they have succeeded."""

    def __init__(self, store: SqliteStore, faults: Faults) -> None:
        self._store, self.faults = store, faults

    async def write(self, operation: Operation) -> Written:
        self.faults.strike(after=False)
        written = await self._store.write(operation)
        self.faults.strike(after=True)
        return written

    async def write_many(self, operations: Sequence[Operation]) -> list[Written | Exception]:
        return await self._store.write_many(operations)

    async def get(self, collection: Collection, key: str) -> Document | None:
        return await self._store.get(collection, key)

    async def get_many(self, collection: Collection, keys: Sequence[str]) -> dict[str, Document]:
        return await self._store.get_many(collection, keys)

    async def count(self, collection: Collection, at_most: int = 1_000_000, index: str = "") -> int:
        return await self._store.count(collection, at_most, index)

    def files(self) -> tuple[Path, ...]:
        return self._store.files()

    async def find(self, query: Query) -> list[Document]:
        return await self._store.find(query)

    async def delete_range(
        self, collection: Collection, index: str, equal: tuple[IndexValue, ...], upper: IndexValue, limit: int
    ) -> int:
        return await self._store.delete_range(collection, index, equal, upper, limit)

    async def pending_events(self, limit: int) -> list[PendingEvent]:
        return await self._store.pending_events(limit)

    async def clear_events(self, events: Sequence[PendingEvent]) -> None:
        await self._store.clear_events(events)

    async def compact(self) -> None:
        await self._store.compact()

    async def close(self) -> None:
        await self._store.close()


class Reader:
    """A FactReader on the lists of a MemoryBroker."""

    def __init__(self, broker: MemoryBroker, partition: int) -> None:
        self._broker, self._partition = broker, partition
        self._session = self._read = 0

    def take(self) -> list[Arrived]:
        if self._broker.session != self._session:
            self._session, self._read = self._broker.session, 0
        found = self._broker.facts[self._partition][self._read :]
        self._read += len(found)
        return [Arrived(data) for data in found]

    async def close(self) -> None:
        self._read = 0


@dataclass
class MemoryBroker:
    """A Broker; `lose` restarts it empty."""

    faults: Faults
    session: int = 1
    place: int = 0
    facts: list[list[bytes]] = field(default_factory=lambda: [[] for _ in range(8)])
    units: list[list[tuple[int, bytes]]] = field(default_factory=lambda: [[] for _ in range(8)])
    told: dict[int, dict[int, int]] = field(default_factory=dict)
    salts_gone: list[int] = field(default_factory=list)

    def lose(self) -> None:
        self.session += 1
        self.facts, self.units = [[] for _ in range(8)], [[] for _ in range(8)]

    def read_facts(self, partition: int) -> Reader:
        return Reader(self, partition)

    async def wait(self, seconds: float) -> None:
        raise AssertionError("the tests tick themselves")

    async def read_units(self, partition: int) -> Sequence[bytes]:
        return [data for _place, data in self.units[partition]]

    async def append_units(self, partition: int, messages: Sequence[bytes]) -> int:
        first = self.place + 1
        for data in messages:
            self.faults.strike(after=False)
            self.place += 1
            self.units[partition].append((self.place, data))
            self.faults.strike(after=True)
        return first

    async def purge_units(self, partition: int, before: int) -> None:
        self.units[partition] = [(place, data) for place, data in self.units[partition] if place >= before]

    async def forget_salt(self, day: int) -> None:
        self.salts_gone.append(day)

    async def confirm(self, counted: Mapping[int, Mapping[int, int]]) -> None:
        self.faults.strike(after=False)
        for emitter, partitions in counted.items():
            self.told.setdefault(emitter, {}).update(partitions)
        self.faults.strike(after=True)


@dataclass
class Emitter:
    """Records facts of numbered units, and holds batches until they are confirmed."""

    broker: MemoryBroker
    clock: ManualClock
    number: int = 77
    salt: int = SALT
    last: list[int] = field(default_factory=lambda: [0] * 8)
    held: list[dict[int, FactBatch]] = field(default_factory=lambda: [{} for _ in range(8)])
    ledger: dict[int, int] = field(default_factory=dict)

    def record(self, units: Sequence[int], *, ago: int = 0, cell: int = 1) -> None:
        slot = (unix_seconds(self.clock) - ago) // 10
        for partition in range(8):
            mine = [unit for unit in units if unit % 8 == partition]
            if not mine:
                continue
            for unit in mine:
                self.ledger[unit] = self.ledger.get(unit, 0) + 1
            columns = FactColumns(
                metric="seen",
                slot=slot,
                units=np.array(mine, "<u8").tobytes(),
                cells=np.full(len(mine), cell, "<u4").tobytes(),
            )
            self.last[partition] += 1
            self.held[partition][self.last[partition]] = FactBatch(
                emitter=self.number, sequence=self.last[partition], salt_id=self.salt, columns=[columns]
            )
        self.publish()

    def publish(self) -> None:
        """Let go of what is confirmed, and publish all that is not."""
        for partition, held in enumerate(self.held):
            told = self.broker.told.get(self.number, {}).get(partition, 0)
            for sequence in [one for one in held if one <= told]:
                del held[sequence]
            for batch in held.values():
                batch.floor = min(held)
                self.broker.facts[partition].append(batch.SerializeToString())

    @property
    def waiting(self) -> int:
        return sum(map(len, self.held))


class World:
    """One or several replicas on one store."""

    def __init__(self, store: SqliteStore) -> None:
        self.faults = Faults()
        self.store = FaultyStore(store, self.faults)
        self.clock = ManualClock()
        self.broker = MemoryBroker(self.faults)
        self.emitter = Emitter(self.broker, self.clock)
        self.partitions = Partitions(store)
        self.windows = StoredWindows(store, WindowKeys(store, KEK, 3600), 3600)

    def intake(self, name: str = "one", run: str = "1", snapshots: Snapshots | None = None) -> Intake:
        leases = Leases(self.store, self.clock, Replica(name, run), 15)
        tools = Tools(
            partitions=Partitions(self.store),
            leases=leases,
            keys=WindowKeys(self.store, KEK, 3600),
            broker=self.broker,
            clock=self.clock,
            hour_seconds=3600,
            make_counter=lambda partition: PartitionCounter(METRICS, 3600, partition),
        )
        if snapshots is not None:
            tools = replace(tools, snapshots=snapshots)
        return Intake(tools, Closing(self.store), Rhythm(1.0))

    async def totals(self) -> Totals:
        """Return what became of all facts, over all partitions."""
        total = Totals()
        for record in (await self.partitions.read_all()).values():
            total = total + record.totals.get("seen", Totals())
        return total
