"""Counts the facts of one partition: decoded, bounded, added to the cells of open windows, in memory and without I/O.

The same batches in the same order give the same counts, however they are divided among calls and whether the state went
through `used`, `put_used`, `cells` and `put_cells` in between. Not safe for two threads at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from libs.policy import Metric
from protos.facts.v1.facts_pb2 import FactBatch
from services.analytics.domain.bounding import Bounds, Used
from services.analytics.domain.cells import Cells
from services.analytics.domain.columns import Decoder
from services.analytics.domain.ports import DAY_SECONDS, CellCounts, CutId, Window
from services.analytics.domain.windows import over


@dataclass(frozen=True)
class Fates:
    """What became of facts of one metric: how many."""

    counted: int = 0
    over_bound: int = 0
    late: int = 0
    malformed: int = 0


@dataclass(frozen=True)
class Counted:
    """What counting has changed.

    `units`: what units have used now, of those that changed, by number of the UTC day. `windows`: whose cells have
    changed. `fates`: by metric; "" for metrics that are unknown. `days`: pairs of (number of the UTC day, salt id) that
    facts were of which were not late.
    """

    units: Mapping[int, Used]
    windows: AbstractSet[Window]
    fates: Mapping[str, Fates]
    days: AbstractSet[tuple[int, int]]


class PartitionCounter:
    """The counts of one partition, and what its units have used."""

    def __init__(self, metrics: Mapping[str, Metric], hour_seconds: int, partition: int | None = None) -> None:
        """Begin empty. `hour_seconds` divides a day; units of another partition than `partition` are refused."""
        if DAY_SECONDS % hour_seconds:
            raise ValueError("the short window does not divide a day")
        named = list(metrics.items())
        self._names = list(metrics)
        self._hour_seconds = hour_seconds
        self._decoder = Decoder(named, hour_seconds, partition)
        self._bounds = Bounds(named)
        self._cells = Cells(named)

    def count(self, batches: Sequence[FactBatch], closed_until: int, now: int) -> Counted:
        """Count batches, in order. Windows that end at or before `closed_until` take nothing any more.

        Both are Unix seconds. Raises nothing, whatever the batches hold: malformed columns are refused and told.
        """
        decoded = self._decoder.decode(batches, closed_until, now)
        admitted = self._bounds.admit(decoded.facts)
        taken = decoded.facts.where(admitted.mask)
        windows = self._cells.add(taken, self._hour_seconds)
        arrived, counted = self._by_metric(decoded.facts.metrics), self._by_metric(taken.metrics)
        names = {name for name in self._names if arrived.get(name)} | set(decoded.late) | set(decoded.malformed)
        fates = {
            name: Fates(
                counted.get(name, 0),
                arrived.get(name, 0) - counted.get(name, 0),
                decoded.late.get(name, 0),
                decoded.malformed.get(name, 0),
            )
            for name in sorted(names)
        }
        return Counted(admitted.changed, windows, fates, decoded.days)

    def cells(self, window: Window) -> Mapping[CutId, CellCounts]:
        """Return the counts of a window."""
        return self._cells.counts(window)

    def put_cells(self, window: Window, cells: Mapping[CutId, CellCounts]) -> None:
        """Begin with these counts of a window."""
        self._cells.put(window, cells)

    def used(self) -> Mapping[int, Used]:
        """Return what all units have used, by number of the UTC day."""
        return self._bounds.snapshot()

    def put_used(self, day: int, used: Used) -> None:
        """Set what some units have used on a day; units that are not among them stay as they are."""
        self._bounds.restore(day, used)

    def forget(self, closed_until: int) -> None:
        """Let go of windows that are closed, and of units of days that are over by then."""
        for window in over(self._cells.windows(), closed_until, self._hour_seconds):
            self._cells.drop(window)
        self._bounds.forget(closed_until // DAY_SECONDS)

    @property
    def nbytes(self) -> int:
        """Return the bytes that the memory of the units takes."""
        return self._bounds.nbytes

    @property
    def remembered(self) -> int:
        """Return how many rows the memory of the units has."""
        return len(self._bounds)

    def _by_metric(self, metrics: NDArray[np.int64]) -> dict[str, int]:
        counts = np.bincount(metrics, minlength=len(self._names)).tolist()
        return dict(zip(self._names, counts, strict=True))
