"""Bounds what one unit adds to a metric in a day, so that the noise of the releases hides it.

kind count: the first `per_unit` facts of a unit in a day count. kind distinct: the first fact of a unit (and key) in
each distinct_window counts, up to `per_unit` of them in the day. First means first to arrive, so the same facts in the
same order count alike, however they are cut into batches.

The memory of a day is one table of 64-bit mixes: of (unit, metric) with how many of its facts have counted, and for
distinct metrics also of (unit, metric, key, window) with 1, a mark that this one is taken. Only facts that count leave
a mark, so a unit has at most `per_unit` of them, and memory follows the units and not the facts. Where the window is
the day and there is no key, the count alone says the same and no mark is made. Two mixes that fall together (a chance
of 3 in 10^6 for ten million of them) can only make a fact not count: bounds hold regardless.

A call sorts its facts by mix and arrival; a fact's place among its equals and what the table knows make its number of
the day.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from libs.policy import Metric
from services.analytics.domain.ports import DAY_SECONDS
from services.analytics.domain.units import UnitTable

Words = NDArray[np.uint64]
Mask = NDArray[np.bool_]

_MULTIPLIERS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_MARK = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class Facts:
    """Facts in order of arrival, side by side; none of them late.

    `metrics`: numbers of metrics, as in Bounds. `keys`: all 0 where a metric has none. `hours`, `days`: Unix seconds at
    which the windows begin that the fact counts in.
    """

    metrics: NDArray[np.int64]
    units: Words
    keys: Words
    cells: NDArray[np.uint32]
    hours: NDArray[np.int64]
    days: NDArray[np.int64]

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self.units)

    def where(self, mask: Mask) -> Facts:
        """Return those of `mask`, in order."""
        if mask.all():
            return self
        return Facts(
            self.metrics[mask],
            self.units[mask],
            self.keys[mask],
            self.cells[mask],
            self.hours[mask],
            self.days[mask],
        )


@dataclass(frozen=True)
class Used:
    """What units (mixes: 64 bits, opaque) have used on a day, absolute; each unit once."""

    units: Words
    used: NDArray[np.uint16]


@dataclass(frozen=True)
class Admitted:
    """`mask`: which facts count. `changed`: what the units that changed have used now, by number of the UTC day."""

    mask: Mask
    changed: Mapping[int, Used]


class Bounds:
    """What the units of one partition have used, by day. Days are numbers of the UTC day since 1970."""

    def __init__(self, metrics: Sequence[tuple[str, Metric]]) -> None:
        """Take the metrics by name; their places are the numbers that facts carry."""
        self._salts = np.array([_word(name) for name, _ in metrics], np.uint64)
        self._limits = np.array([_limit(metric) for _, metric in metrics], np.int64)
        self._marked = np.array([_needs_marks(metric) for _, metric in metrics], bool)
        self._by_day = np.array([metric.distinct_window == "day" for _, metric in metrics], bool)
        self._days: dict[int, UnitTable] = {}

    def admit(self, facts: Facts) -> Admitted:
        """Decide which facts count, and remember it. Deterministic in the facts and their order."""
        mask = np.zeros(len(facts), bool)
        changed: dict[int, Used] = {}
        for day in np.unique(facts.days).tolist():
            of_day = facts.days == day
            table = self._days.setdefault(day // DAY_SECONDS, UnitTable())
            mask[of_day], rows = self._admit(table, facts.where(of_day))
            if len(rows.units):
                changed[day // DAY_SECONDS] = rows
        return Admitted(mask, changed)

    def restore(self, day: int, used: Used) -> None:
        """Set what some units have used on a day; later calls replace earlier ones, unit by unit."""
        if len(used.units):
            units, last = np.unique(used.units[::-1], return_index=True)
            self._days.setdefault(day, UnitTable()).put(units, used.used[::-1][last])

    def snapshot(self) -> dict[int, Used]:
        """Return what all units have used, by day."""
        return {day: Used(*table.rows()) for day, table in self._days.items()}

    def forget(self, before: int) -> None:
        """Drop days below `before`."""
        for day in [day for day in self._days if day < before]:
            del self._days[day]

    def __len__(self) -> int:
        """Return how many rows are remembered."""
        return sum(map(len, self._days.values()))

    @property
    def nbytes(self) -> int:
        """Return the bytes that the memory takes."""
        return sum(table.nbytes for table in self._days.values())

    def _admit(self, table: UnitTable, facts: Facts) -> tuple[Mask, Used]:
        mixes = _mix(facts.units ^ self._salts[facts.metrics])
        marked = np.flatnonzero(self._marked[facts.metrics])
        if not len(marked):
            mask, units, used = self._within(table, mixes, self._limits[facts.metrics])
            return mask, Used(units, used)
        marks = self._marks(facts, marked, mixes)
        asks = np.ones(len(facts), bool)
        asks[marked] = _first(marks) & (table.get(marks) == 0)
        mask = np.zeros(len(facts), bool)
        mask[asks], units, used = self._within(table, mixes[asks], self._limits[facts.metrics[asks]])
        taken = marks[mask[marked]]
        table.put(taken, np.ones(len(taken), np.uint16))
        return mask, Used(np.concatenate((units, taken)), np.concatenate((used, np.ones(len(taken), np.uint16))))

    def _marks(self, facts: Facts, rows: NDArray[np.int64], mixes: Words) -> Words:
        by_day = self._by_day[facts.metrics[rows]]
        windows = np.where(by_day, facts.days[rows], facts.hours[rows]).astype(np.uint64)
        return _mix(mixes[rows] ^ _mix(facts.keys[rows] + _MARK) ^ _mix(windows))

    @staticmethod
    def _within(table: UnitTable, mixes: Words, limits: NDArray[np.int64]) -> tuple[Mask, Words, NDArray[np.uint16]]:
        """Return which of these count, and the changed mixes with what they have used."""
        order = np.argsort(mixes)
        ordered = mixes[order]
        starts = np.flatnonzero(_differs(ordered))
        sizes = np.diff(starts, append=len(ordered))
        order = _by_arrival(order, sizes)
        units, room = ordered[starts], limits[order[starts]]
        before, after = table.advance(units, sizes, room)
        mask = np.empty(len(mixes), bool)
        mask[order] = np.arange(len(mixes)) - np.repeat(starts, sizes) < np.repeat(after - before, sizes)
        moved = after > before
        return mask, units[moved], after[moved].astype(np.uint16)


def _limit(metric: Metric) -> int:
    once = metric.kind == "distinct" and not _needs_marks(metric)
    return 1 if once else metric.per_unit


def _needs_marks(metric: Metric) -> bool:
    return metric.kind == "distinct" and (metric.distinct_window != "day" or bool(metric.key))


def _word(name: str) -> int:
    """Return a word for a metric that outlives restarts and changes of the policy."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")


def _mix(words: Words) -> Words:
    """Return the words, stirred (the finisher of splitmix64: a permutation), 0 replaced by 1."""
    words = (words ^ (words >> np.uint64(30))) * _MULTIPLIERS[0]
    words = (words ^ (words >> np.uint64(27))) * _MULTIPLIERS[1]
    words ^= words >> np.uint64(31)
    return np.maximum(words, np.uint64(1))


def _first(words: Words) -> Mask:
    """Return which words stand at their first place."""
    mask = np.zeros(len(words), bool)
    mask[np.unique(words, return_index=True)[1]] = True
    return mask


def _by_arrival(order: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return `order` with each group of neighbours sorted; two unstable sorts cost less than a stable one."""
    groups = np.repeat(np.arange(len(sizes)), sizes) << 32
    return np.sort(groups | order) & 0xFFFFFFFF


def _differs(ordered: Words) -> Mask:
    """Return which of these sorted words differ from the one before."""
    mask = np.ones(len(ordered), bool)
    mask[1:] = ordered[1:] != ordered[:-1]
    return mask
