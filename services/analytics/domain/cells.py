"""Adds admitted facts up into the cells of every cut: how many, by window, key and code.

The facts of a call are grouped once, by Polars, into distinct (metric, hour, key, cell); there are far fewer of those
than facts. Only they are projected onto the dimensions of each cut, which is arithmetic on the mixed radix, and added
to the cut's sorted columns: where all codes stand there already, which is so nearly always, by binary search, else by
sorting both together. Columns are never changed in place, so whoever holds some may encode them in another thread.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from libs.policy import Cut, Metric
from libs.telemetry import metrics
from services.analytics.domain.bounding import Facts
from services.analytics.domain.ports import CellCounts, CutId, Window

MOST_KEYED_CELLS = 100_000
"""Of one cut in one window: beyond them new keys are not counted, for a document has to hold what is pending.

Keys are made by this installation (a campaign's number), so that no stranger can fill the place with them.
"""

_CELL_BITS = np.uint64(32)
_METRIC_BITS = 12
_BEYOND = metrics.counter("sealpost_statistics_beyond_keys_total", "Facts of keys beyond what a window can hold.")
_CELL_MASK = np.uint64((1 << 32) - 1)


@dataclass(frozen=True)
class Projection:
    """A cut's code from a metric's cell: the sum over its dimensions of (cell // divisor) % size * factor."""

    cut: CutId
    window: str
    keyed: bool
    steps: tuple[tuple[int, int, int], ...]

    def codes(self, cells: NDArray[np.int64]) -> NDArray[np.uint32]:
        """Return the codes of `cells`."""
        codes = np.zeros(len(cells), np.int64)
        for divisor, size, factor in self.steps:
            codes += cells // divisor % size * factor
        return codes.astype(np.uint32)


class Cells:
    """The counts of one partition, by window and cut."""

    def __init__(self, metrics: Sequence[tuple[str, Metric]]) -> None:
        """Take the metrics by name; their places are the numbers that facts carry."""
        if len(metrics) >= 1 << _METRIC_BITS:
            raise ValueError("too many metrics")
        self._projections = [[projection(name, metric, cut) for cut in metric.cuts.items()] for name, metric in metrics]
        self._windows: dict[Window, dict[CutId, CellCounts]] = {}

    def add(self, facts: Facts, hour_seconds: int) -> set[Window]:
        """Add admitted facts, and return the windows that have changed."""
        changed = set()
        for group in _groups(facts, hour_seconds):
            hour = Window("hour", group.hour)
            day = Window("day", hour.day)
            for cut in self._projections[group.metric]:
                window = hour if cut.window == "hour" else day
                cuts = self._windows.setdefault(window, {})
                more = CellCounts(group.keys, cut.codes(group.cells), group.counts)
                known = cuts.get(cut.cut)
                if cut.keyed and known is not None and len(known.counts) >= MOST_KEYED_CELLS:
                    more = _of_known_keys(more, known)
                cuts[cut.cut] = _added(known, more, cut.keyed)
                changed.add(window)
        return changed

    def counts(self, window: Window) -> Mapping[CutId, CellCounts]:
        """Return the counts of a window; cuts without any are absent."""
        return dict(self._windows.get(window, {}))

    def put(self, window: Window, counts: Mapping[CutId, CellCounts]) -> None:
        """Begin with these counts of a window, in place of what there is."""
        self._windows[window] = {cut: cells for cut, cells in counts.items() if len(cells.counts)}

    def windows(self) -> set[Window]:
        """Return the windows that hold counts."""
        return set(self._windows)

    def drop(self, window: Window) -> None:
        """Forget a window. Idempotent."""
        self._windows.pop(window, None)


def projection(name: str, metric: Metric, named: tuple[str, Cut]) -> Projection:
    """Return how cells of the metric `name` become codes of a cut (its name, and itself)."""
    cut_name, cut = named
    sizes = {dimension: len(values) for dimension, values in metric.dimensions.items()}
    names = list(sizes)
    divisors = {
        dimension: math.prod(sizes[after] for after in names[names.index(dimension) + 1 :]) for dimension in names
    }
    factors = [math.prod(sizes[after] for after in cut.dimensions[place + 1 :]) for place in range(len(cut.dimensions))]
    steps = [
        (divisors[dimension], sizes[dimension], factor)
        for dimension, factor in zip(cut.dimensions, factors, strict=True)
    ]
    return Projection((name, cut_name), cut.window, bool(metric.key), tuple(steps))


def add_up(parts: Sequence[CellCounts]) -> CellCounts:
    """Return the sum of `parts`, which need be neither sorted nor free of repetition."""
    keys = np.concatenate([part.keys for part in parts])
    codes = np.concatenate([part.codes for part in parts])
    counts = np.concatenate([part.counts for part in parts])
    order = np.lexsort((codes, keys)) if keys.any() else np.argsort(codes, kind="stable")
    keys, codes = keys[order], codes[order]
    first = np.ones(len(keys), bool)
    first[1:] = (keys[1:] != keys[:-1]) | (codes[1:] != codes[:-1])
    starts = np.flatnonzero(first)
    sums = np.add.reduceat(counts[order], starts) if len(starts) else counts
    return CellCounts(keys[starts], codes[starts], sums)


def _added(known: CellCounts | None, more: CellCounts, keyed: bool) -> CellCounts:
    if known is None:
        return add_up([more])
    if not keyed:
        places = np.minimum(known.codes.searchsorted(more.codes), len(known.codes) - 1)
        if (known.codes[places] == more.codes).all():
            counts = known.counts.copy()
            np.add.at(counts, places, more.counts)
            return CellCounts(known.keys, known.codes, counts)
    return add_up([known, more])


def _of_known_keys(more: CellCounts, known: CellCounts) -> CellCounts:
    kept = np.isin(more.keys, known.keys)
    _BEYOND.inc(int(more.counts[~kept].sum()))
    return CellCounts(more.keys[kept], more.codes[kept], more.counts[kept])


@dataclass(frozen=True)
class _Group:
    """Distinct cells of one metric in one hour; `hour`: Unix seconds at which it begins."""

    metric: int
    hour: int
    keys: NDArray[np.uint64]
    cells: NDArray[np.int64]
    counts: NDArray[np.int64]


def _groups(facts: Facts, hour_seconds: int) -> Iterator[_Group]:
    if not len(facts):
        return
    earliest = int(facts.hours.min())
    hours = ((facts.hours - earliest) // hour_seconds).astype(np.uint64)
    groups = (hours << np.uint64(_METRIC_BITS)) | facts.metrics.astype(np.uint64)
    place = pl.Series("place", (groups << _CELL_BITS) | facts.cells)
    if facts.keys.any():
        frame = pl.DataFrame({"place": place, "key": facts.keys}).group_by("place", "key").len("count").sort("place")
        keys = frame["key"].to_numpy()
    else:
        frame = place.value_counts().sort("place")
        keys = np.zeros(len(frame), np.uint64)
    places, counts = frame["place"].to_numpy(), frame["count"].to_numpy().astype(np.int64)
    found = places >> _CELL_BITS
    edges = [0, *(np.flatnonzero(found[1:] != found[:-1]) + 1).tolist(), len(found)]
    for start, end in pairwise(edges):
        group, rows = int(found[start]), slice(start, end)
        hour = earliest + (group >> _METRIC_BITS) * hour_seconds
        cells = (places[rows] & _CELL_MASK).astype(np.int64)
        yield _Group(group & ((1 << _METRIC_BITS) - 1), hour, keys[rows], cells, counts[rows])
