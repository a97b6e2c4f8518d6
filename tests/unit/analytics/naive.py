"""Counting as plainly as can be, to compare with: one fact at a time, in dictionaries; and facts as they travel."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from libs.policy import Cut, Metric
from protos.facts.v1.facts_pb2 import FactBatch
from services.analytics.domain.counting import Counted, PartitionCounter
from services.analytics.domain.ports import DAY_SECONDS, CutId, Window

DAY = 20_000
START = DAY * DAY_SECONDS
HOUR = 3600
PARTITIONS = 8


def _cut(window: str, *dimensions: str, keys: str = "known") -> Cut:
    return Cut.model_validate(
        {
            "title": "A cut",
            "dimensions": list(dimensions),
            "window": window,
            "epsilon": 0.1,
            "keys": keys,
            "delta": 1e-6 if keys == "unknown" else 0.0,
        }
    )


def _metric(cuts: Mapping[str, Cut], **more: object) -> Metric:
    return Metric.model_validate({"title": "Of tests", "help": "Of tests.", "unit": "ip", **more, "cuts": cuts})


METRICS = {
    "pages": _metric(
        {"both": _cut("hour", "b", "a"), "one": _cut("day", "b"), "all": _cut("day")},
        per_unit=3,
        dimensions={"a": ["x", "y", "other"], "b": ["p", "q", "r", "s", "other"]},
    ),
    "hourly": _metric(
        {"all": _cut("hour"), "one": _cut("day", "a")},
        kind="distinct",
        distinct_window="hour",
        per_unit=2,
        dimensions={"a": ["x", "other"]},
    ),
    "daily": _metric({"all": _cut("day")}, kind="distinct", distinct_window="day", per_unit=4),
    "keyed": _metric(
        {"one": _cut("day", "a", keys="unknown")},
        kind="distinct",
        distinct_window="day",
        per_unit=2,
        key="campaign",
        dimensions={"a": ["x", "y", "other"]},
    ),
}

Cells = dict[tuple[Window, CutId], dict[tuple[int, int], int]]


@dataclass(frozen=True)
class Fact:
    """One fact; `slot` counts stretches of ten seconds since 1970."""

    metric: str
    slot: int
    unit: int
    cell: int = 0
    key: int = 0


@dataclass
class Naive:
    """The counts of facts, one after the other."""

    metrics: Mapping[str, Metric] = field(default_factory=lambda: METRICS)
    used: Counter[tuple[int, str, int]] = field(default_factory=Counter)
    seen: set[tuple[object, ...]] = field(default_factory=set)
    cells: dict[tuple[Window, CutId], Counter[tuple[int, int]]] = field(default_factory=dict)
    late: int = 0

    def count(self, fact: Fact, closed_until: int = 0) -> None:
        """Count one fact where it may count."""
        metric = self.metrics[fact.metric]
        day = fact.slot * 10 // DAY_SECONDS * DAY_SECONDS
        hour = fact.slot * 10 // HOUR * HOUR
        while hour + HOUR <= closed_until:
            hour += HOUR
        if hour >= day + DAY_SECONDS:
            self.late += 1
            return
        unit = (day, fact.metric, fact.unit)
        mark = (*unit, fact.key, day if metric.distinct_window == "day" else hour)
        if metric.kind == "distinct" and mark in self.seen:
            return
        if self.used[unit] >= metric.per_unit:
            return
        self.seen.add(mark)
        self.used[unit] += 1
        values: dict[str, int] = {}
        rest = fact.cell
        for name, vocabulary in reversed(list(metric.dimensions.items())):
            rest, values[name] = divmod(rest, len(vocabulary))
        for name, cut in metric.cuts.items():
            code = 0
            for dimension in cut.dimensions:
                code = code * len(metric.dimensions[dimension]) + values[dimension]
            window = Window("hour", hour) if cut.window == "hour" else Window("day", day)
            self.cells.setdefault((window, (fact.metric, name)), Counter())[fact.key, code] += 1


def batches(facts: Iterable[Fact]) -> list[FactBatch]:
    """Return the facts in order; neighbours of one metric and stretch share columns."""
    batch = FactBatch(emitter=1, sequence=1, floor=1, salt_id=5)
    run: list[Fact] = []
    for fact in facts:
        if run and (run[0].metric, run[0].slot) != (fact.metric, fact.slot):
            add_columns(batch, run)
            run = []
        run.append(fact)
    if run:
        add_columns(batch, run)
    return [batch]


def add_columns(batch: FactBatch, run: Sequence[Fact]) -> None:
    """Add columns of facts of one metric and stretch."""
    keys = np.array([fact.key for fact in run], "<u8").tobytes() if METRICS[run[0].metric].key else b""
    batch.columns.add(
        metric=run[0].metric,
        slot=run[0].slot,
        units=np.array([fact.unit for fact in run], "<u8").tobytes(),
        cells=np.array([fact.cell for fact in run], "<u4").tobytes(),
        keys=keys,
    )


def feed(counter: PartitionCounter, facts: Sequence[Fact], closed_until: int = 0) -> Counted:
    """Count `facts`, at the end of the day."""
    return counter.count(batches(facts), closed_until, START + DAY_SECONDS)


def cells_of(*counters: PartitionCounter, hours: int = 24) -> Cells:
    """Return the cells of the day and the day after, summed over partitions."""
    found: dict[tuple[Window, CutId], Counter[tuple[int, int]]] = {}
    windows = [Window("hour", START + hour * HOUR) for hour in range(hours)]
    for counter in counters:
        for window in [*windows, Window("day", START), Window("day", START + DAY_SECONDS)]:
            for cut, cells in counter.cells(window).items():
                pairs = zip(cells.keys.tolist(), cells.codes.tolist(), strict=True)
                found.setdefault((window, cut), Counter()).update(dict(zip(pairs, cells.counts.tolist(), strict=True)))
    return {place: dict(cells) for place, cells in found.items()}
