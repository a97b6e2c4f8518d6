"""Documents of the partitions: all that the intake must remember, and nothing about a unit.

One document per partition, so that counts, how far each emitter is counted, and the number of the commit change
together or not at all: that is what makes "counted once" true. Its version is the fence of its owner. Whatever an owner
writes is conditional on the version that it read or wrote last; who loses such a write has lost the partition.

Counts are sealed for each window under the window's own key (partitions_keys.py): destroying that key destroys every
copy of them, also those in old pages and backups. Salts are named by their ids, which tell nothing about a unit.

`log` says who wrote the unit log: pairs of (first commit, writer). A writer is one stretch of owning; it never numbers
two commits alike, so a message of the log counts if its writer wrote its commit, and no zombie can add to the log.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

from libs.docstore.store import Body, Collection, Document, Insert, Patch, Replace, Store, Value
from libs.runtime.errors import ConflictError, InternalError
from libs.telemetry import facts
from services.analytics.domain.ports import DAY_SECONDS, Window

PARTITIONS = Collection(
    "partition",
    fields=("owner", "run", "until", "commit", "log", "closed_until", "emitters", "days", "totals", "counts"),
)
PARTITION_COUNT = facts.PARTITIONS

_EMITTER = struct.Struct("<QQQ")
_MAX_EMITTERS = 50_000
_KEYS = [str(number) for number in range(PARTITION_COUNT)]


@dataclass(frozen=True)
class Totals:
    """Facts of one metric by what became of them; whole numbers since the beginning."""

    counted: int = 0
    over_bound: int = 0
    late: int = 0
    malformed: int = 0

    def __add__(self, other: Totals) -> Totals:
        """Return the sums."""
        mine, others = self.values, other.values
        return Totals(*(one + two for one, two in zip(mine, others, strict=True)))

    @property
    def values(self) -> tuple[int, int, int, int]:
        """The four numbers in order of declaration."""
        return (self.counted, self.over_bound, self.late, self.malformed)


@dataclass(frozen=True)
class Term:
    """How often the units of one salt have begun anew on one day. `known` is False from a loss until the next fact."""

    number: int = 1
    known: bool = True


@dataclass(frozen=True)
class Heard:
    """How far an emitter is counted, and when it was last heard of (Unix seconds)."""

    sequence: int
    at: int


@dataclass(frozen=True)
class Lease:
    """Who owns a partition: the replica, its present run, and until when (Unix seconds); "" is nobody."""

    owner: str = ""
    run: str = ""
    until: int = 0


Days = Mapping[int, Mapping[int, Term]]
"""Terms by day (number of the UTC day since 1970) and salt id."""


@dataclass(frozen=True)
class Record:
    """The document of one partition. `version` 0: there is none yet."""

    partition: int
    version: int = 0
    lease: Lease = Lease()
    commit: int = 0
    log: tuple[tuple[int, int], ...] = ()
    closed_until: int = 0
    emitters: Mapping[int, Heard] = field(default_factory=dict)
    days: Days = field(default_factory=dict)
    totals: Mapping[str, Totals] = field(default_factory=dict)
    counts: Mapping[Window, bytes] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The key of its document."""
        return str(self.partition)

    def writer_of(self, commit: int) -> int | None:
        """Return who wrote `commit` into the unit log, None where that is not known any more."""
        found = [writer for first, writer in self.log if first <= commit]
        return found[-1] if found and commit <= self.commit else None


def window_of(name: str) -> Window:
    """Return the window of `Window.name`. Raises: InternalError("window_name")."""
    kind, _, start = name.partition("-")
    if kind not in ("hour", "day") or not start.isdigit():
        raise InternalError("window_name")
    return Window(cast(Literal["hour", "day"], kind), int(start))


def end_of(window: Window, hour_seconds: int) -> int:
    """Return the Unix second at which `window` is over."""
    return window.start + (DAY_SECONDS if window.kind == "day" else hour_seconds)


class Partitions:
    """Reads and writes records."""

    def __init__(self, store: Store) -> None:
        """Use `store`, opened with PARTITIONS among its collections."""
        self._store = store

    async def read(self, partition: int) -> Record | None:
        """Return a record, None where there is no document."""
        document = await self._store.get(PARTITIONS, str(partition))
        return None if document is None else _record(document)

    async def read_all(self) -> dict[int, Record]:
        """Return the records that exist, by number of partition."""
        found = await self._store.get_many(PARTITIONS, _KEYS)
        return {int(key): _record(document) for key, document in found.items()}

    async def write(self, record: Record) -> int:
        """Write all of `record` in place of its version (0: create it) and return the new version.

        Raises: ConflictError if somebody else wrote meanwhile; UnavailableError, after which it may be written or not.
        """
        body = _body(record)
        if record.version == 0:
            return (await self._store.write(Insert(PARTITIONS, record.key, body))).version
        return (await self._store.write(Replace(PARTITIONS, record.key, body, record.version))).version

    async def lease(self, record: Record, lease: Lease) -> int:
        """Write only who owns it, in place of its version, and return the new version. Raises: see `write`."""
        fields = _lease_body(lease)
        return (await self._store.write(Patch(PARTITIONS, record.key, fields, record.version))).version

    async def create_all(self, closed_until: int) -> None:
        """Make those that are absent, without an owner, closed for windows that end at or before `closed_until`."""
        found = await self._store.get_many(PARTITIONS, _KEYS)
        for number in range(PARTITION_COUNT):
            if str(number) not in found:
                try:
                    await self.write(Record(number, closed_until=closed_until))
                except ConflictError as error:
                    if error.reason != "exists":
                        raise


def _lease_body(lease: Lease) -> dict[str, Value]:
    return {"owner": lease.owner, "run": lease.run, "until": lease.until}


def _body(record: Record) -> dict[str, Value]:
    return {
        **_lease_body(record.lease),
        "commit": record.commit,
        "log": [[first, f"{writer:016x}"] for first, writer in record.log],
        "closed_until": record.closed_until,
        "emitters": _emitters_blob(record.emitters),
        "days": {
            str(day): {f"{salt:016x}": [term.number, int(term.known)] for salt, term in salts.items()}
            for day, salts in record.days.items()
        },
        "totals": {metric: list(totals.values) for metric, totals in record.totals.items()},
        "counts": {window.name: sealed for window, sealed in record.counts.items()},
    }


def _emitters_blob(emitters: Mapping[int, Heard]) -> bytes:
    if len(emitters) > _MAX_EMITTERS:
        kept = sorted(emitters.items(), key=lambda item: item[1].at)[-_MAX_EMITTERS:]
        emitters = dict(kept)
    return b"".join(_EMITTER.pack(emitter, heard.sequence, heard.at) for emitter, heard in emitters.items())


def _record(document: Document) -> Record:
    body: Body = document.body
    days = cast(Mapping[str, Mapping[str, Sequence[int]]], body["days"])
    totals = cast(Mapping[str, Sequence[int]], body["totals"])
    return Record(
        partition=int(document.key),
        version=document.version,
        lease=Lease(cast(str, body["owner"]), cast(str, body["run"]), cast(int, body["until"])),
        commit=cast(int, body["commit"]),
        log=tuple((first, int(writer, 16)) for first, writer in cast(Sequence[tuple[int, str]], body["log"])),
        closed_until=cast(int, body["closed_until"]),
        emitters={
            emitter: Heard(sequence, at)
            for emitter, sequence, at in _EMITTER.iter_unpack(cast(bytes, body["emitters"]))
        },
        days={
            int(day): {int(salt, 16): Term(number, bool(known)) for salt, (number, known) in salts.items()}
            for day, salts in days.items()
        },
        totals={metric: Totals(*values) for metric, values in totals.items()},
        counts={window_of(name): sealed for name, sealed in cast(Mapping[str, bytes], body["counts"]).items()},
    )
