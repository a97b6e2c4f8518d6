"""Facts: what a log line becomes. A declared metric, dimensions from closed vocabularies, and a pseudonym of the unit.

`record` turns a fact into three numbers at once, so that nothing else is ever held: the unit's pseudonym (HMAC-SHA-256
under the salt of the UTC day, cut to 64 bits), the cell (the dimensions' places in their vocabularies, in mixed radix)
and the stretch of ten seconds. They are appended to columns, one set of columns for each metric, stretch and partition
of the units; a publisher (libs.events.facts) takes the columns away each second. Nothing waits and nothing is locked:
one event loop records, and the same one takes away.

The salt is set by the publisher; without it a fact is lost, and counted as lost. Statistics may lose, mail may not.
"""

from __future__ import annotations

import hashlib
import math
import sys
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from libs.policy import OTHER, Metric, Policy, load_policy
from libs.runtime.clock import Clock, SystemClock, unix_seconds
from libs.runtime.secret import Secret
from libs.telemetry import metrics, mode

PARTITIONS = 8
SLOT_SECONDS = 10
DAY_SECONDS = 86_400
LOST_REASONS = ("no_salt", "full", "expired")
_MAX_WAITING = 200_000

RECORDED = metrics.counter("sealpost_facts_recorded_total", "Facts recorded.", {"metric": tuple(load_policy().metrics)})
LOST = metrics.counter("sealpost_facts_lost_total", "Facts that no statistic will hold.", {"reason": LOST_REASONS})


class Recorder(Protocol):
    """What services know of facts."""

    def record(self, metric: str, unit: bytes, /, *, key: int = 0, **dimensions: str) -> None:
        """Record one fact about `unit`; see Facts."""


class NoFacts:
    """Records nothing: for tools, and for tests that are about something else."""

    def record(self, metric: str, unit: bytes, /, *, key: int = 0, **dimensions: str) -> None:
        """Do nothing."""

    def pseudonym(self, kind: str, unit: bytes) -> int | None:
        """Return None: there is no salt."""
        return None


@dataclass(frozen=True)
class Salt:
    """The salt of one UTC day (`day` counts days since 1970); `number` names it and tells nothing of it."""

    day: int
    number: int
    secret: Secret[bytes]


class Columns:
    """Facts of one metric, stretch and partition, side by side; `keys` stays empty for metrics without a key."""

    __slots__ = ("cells", "keys", "units")

    def __init__(self) -> None:
        """Begin empty."""
        self.units = array("Q")
        self.cells = array("I")
        self.keys = array("Q")

    def __len__(self) -> int:
        """Return how many facts there are."""
        return len(self.units)


@dataclass(frozen=True)
class Taken:
    """What was recorded since the last time, by salt; columns by metric, stretch and partition."""

    columns: Mapping[int, Mapping[tuple[str, int, int], Columns]]
    facts: int


@dataclass(frozen=True)
class _Shape:
    prefix: bytes
    keyed: bool
    # Of each dimension: its name, what its places are multiplied by, the places, the place of "other".
    dimensions: tuple[tuple[str, Mapping[str, int], int], ...]
    names: frozenset[str]


_INNER, _OUTER = bytes(byte ^ 0x36 for byte in range(256)), bytes(byte ^ 0x5C for byte in range(256))


class _Day:
    """The columns under one salt. The two halves of HMAC (RFC 2104) are begun once, and copied for each unit."""

    __slots__ = ("_inner", "_outer", "columns", "salt")

    def __init__(self, salt: Salt) -> None:
        key = salt.secret.reveal().ljust(64, b"\0")
        self.salt = salt
        self.columns: dict[tuple[str, int, int], Columns] = {}
        self._inner: Callable[[], hashlib._Hash] = hashlib.sha256(key.translate(_INNER)).copy
        self._outer: Callable[[], hashlib._Hash] = hashlib.sha256(key.translate(_OUTER)).copy

    def pseudonym(self, unit: bytes) -> int:
        inner, outer = self._inner(), self._outer()
        inner.update(unit)
        outer.update(inner.digest())
        return int.from_bytes(outer.digest()[:8], "little")


class Facts:
    """The recorder of one process."""

    def __init__(self, clock: Clock | None = None, policy: Policy | None = None, most: int = _MAX_WAITING) -> None:
        """Take the policy's metrics; at most `most` facts wait to be taken away."""
        self._clock = clock or SystemClock()
        self._shapes = {name: _shape(metric) for name, metric in (policy or load_policy()).metrics.items()}
        self._days: dict[int, _Day] = {}
        self._most = most
        self._waiting = 0

    def set_salt(self, salt: Salt) -> None:
        """Use `salt` for its day from now on."""
        known = self._days.get(salt.day)
        if known is None or known.salt.number == salt.number:
            self._days[salt.day] = known or _Day(salt)
            return
        # Columns under the former salt of the day must leave under its name: they stay beside the new ones.
        self._days[-salt.number] = known
        self._days[salt.day] = _Day(salt)

    def forget_salt(self, day: int) -> None:
        """Forget the salt of `day`; columns under it that were not taken away are lost."""
        dropped = self._days.pop(day, None)
        if dropped is not None:
            lost = sum(map(len, dropped.columns.values()))
            self._waiting -= lost
            LOST.inc(lost, reason="expired")

    def record(self, metric: str, unit: bytes, /, *, key: int = 0, **dimensions: str) -> None:
        """Record one fact about `unit`, an address of the network, an account or a recipient by the metric's kind.

        `key` is the 64-bit key of metrics that have one. A value outside of the vocabulary, or none, is "other". Costs
        some microseconds, never waits and raises nothing, but for a metric or dimension that nobody declared, where
        strict: KeyError.
        """
        shape = self._shapes.get(metric)
        if shape is None or (mode.is_strict() and dimensions.keys() - shape.names):
            if mode.is_strict():
                raise KeyError("this metric or dimension is not in policy.yaml")
            return
        seconds = unix_seconds(self._clock)
        day = self._days.get(seconds // DAY_SECONDS)
        if day is None:
            LOST.inc(reason="no_salt")
            return
        if self._waiting >= self._most:
            LOST.inc(reason="full")
            return
        cell = 0
        for name, places, other in shape.dimensions:
            cell = cell * len(places) + places.get(dimensions.get(name, OTHER), other)
        pseudonym = day.pseudonym(shape.prefix + unit)
        place = (metric, seconds // SLOT_SECONDS, pseudonym & (PARTITIONS - 1))
        columns = day.columns.get(place)
        if columns is None:
            columns = day.columns[place] = Columns()
        columns.units.append(pseudonym)
        columns.cells.append(cell)
        if shape.keyed:
            columns.keys.append(key)
        self._waiting += 1

    def pseudonym(self, kind: str, unit: bytes) -> int | None:
        """Return the pseudonym of a unit of this kind under today's salt, or None without one."""
        day = self._days.get(unix_seconds(self._clock) // DAY_SECONDS)
        return None if day is None else day.pseudonym(kind.encode() + b":" + unit)

    def take(self) -> Taken:
        """Return what was recorded, and begin anew."""
        columns: dict[int, dict[tuple[str, int, int], Columns]] = {}
        for day, held in list(self._days.items()):
            if held.columns:
                columns[held.salt.number] = held.columns
                held.columns = {}
                for (metric, _, _), facts in columns[held.salt.number].items():
                    RECORDED.inc(len(facts), metric=metric)
            if day < 0:
                del self._days[day]
        taken, self._waiting = self._waiting, 0
        return Taken(columns, taken)

    @property
    def ready(self) -> bool:
        """Whether the salt of the day is known, so that facts are recorded."""
        return unix_seconds(self._clock) // DAY_SECONDS in self._days

    @property
    def waiting(self) -> int:
        """Return how many facts wait to be taken away."""
        return self._waiting


def little_endian(column: array[int]) -> bytes:
    """Return the words of a column as they travel."""
    if sys.byteorder == "big":
        column = array(column.typecode, column)
        column.byteswap()
    return column.tobytes()


def _shape(metric: Metric) -> _Shape:
    dimensions = []
    for dimension, values in metric.dimensions.items():
        places = {value: place for place, value in enumerate(values)}
        dimensions.append((dimension, places, places[OTHER]))
    if math.prod(len(places) for _, places, _ in dimensions) > 1 << 31:
        raise ValueError("too many cells")  # the policy's own check; a cell has 32 bits
    return _Shape(
        prefix=metric.unit.encode() + b":",
        keyed=bool(metric.key),
        dimensions=tuple(dimensions),
        names=frozenset(metric.dimensions),
    )
