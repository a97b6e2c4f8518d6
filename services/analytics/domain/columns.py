"""Columns of facts as they came, as numpy columns; what is malformed is refused whole, counted, and raises nothing.

All columns of a tick are joined once and read in place; everything that depends on a fact is done by numpy, and Python
sees each FactColumns only for its lengths. Columns are refused where the metric is unknown, the lengths do not agree, a
cell lies outside of the product of the vocabularies, the stretch is more than two minutes ahead or two days old, or a
unit belongs into another partition (its bound would be kept twice).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from libs.policy import Metric
from protos.facts.v1.facts_pb2 import FactBatch, FactColumns
from services.analytics.domain.bounding import Facts
from services.analytics.domain.ports import DAY_SECONDS
from services.analytics.domain.windows import SLOT_SECONDS, place

UNKNOWN_METRIC = ""
_AHEAD = 120
_OLD = 2 * DAY_SECONDS
_PARTITIONS = 8


@dataclass(frozen=True)
class Decoded:
    """`facts` that may count; `late` and `malformed`: how many may not, by metric (UNKNOWN_METRIC: of an unknown one).

    `days`: pairs of (number of a UTC day, salt id) that `facts` are of.
    """

    facts: Facts
    late: Mapping[str, int]
    malformed: Mapping[str, int]
    days: frozenset[tuple[int, int]]


@dataclass(frozen=True)
class _Run:
    """One FactColumns."""

    metric: int
    slot: int
    salt: int
    columns: FactColumns
    size: int


class Decoder:
    """Reads the batches of one partition (None: of any)."""

    def __init__(self, metrics: Sequence[tuple[str, Metric]], hour_seconds: int, partition: int | None) -> None:
        """Take the metrics by name; `hour_seconds`: length of the short window."""
        self._names = [name for name, _ in metrics]
        self._numbers = {name: number for number, name in enumerate(self._names)}
        self._keyed = [bool(metric.key) for _, metric in metrics]
        products = [math.prod(map(len, metric.dimensions.values())) for _, metric in metrics]
        self._products = np.array(products, np.int64)
        self._hour_seconds = hour_seconds
        self._partition = partition

    def decode(self, batches: Sequence[FactBatch], closed_until: int, now: int) -> Decoded:
        """Return the facts of `batches`, in order. `closed_until`, `now`: Unix seconds."""
        malformed: Counter[str] = Counter()
        runs = list(self._runs(batches, now, malformed))
        if runs:
            sound = self._sound(runs)
            for run in (run for run, good in zip(runs, sound, strict=True) if not good):
                malformed[self._names[run.metric]] += run.size
            runs = [run for run, good in zip(runs, sound, strict=True) if good]
        return self._joined(runs, closed_until, malformed)

    def _runs(self, batches: Sequence[FactBatch], now: int, malformed: Counter[str]) -> Iterator[_Run]:
        first, last = (now - _OLD) // SLOT_SECONDS, (now + _AHEAD) // SLOT_SECONDS
        for batch in batches:
            for columns in batch.columns:
                number = self._numbers.get(columns.metric)
                size, rest = divmod(len(columns.units), 8)
                if number is None:
                    malformed[UNKNOWN_METRIC] += max(size, 1)
                    continue
                agrees = not rest and len(columns.cells) == 4 * size
                agrees = agrees and len(columns.keys) == (8 * size if self._keyed[number] else 0)
                if not agrees or not first <= columns.slot <= last:
                    malformed[self._names[number]] += max(size, 1)
                elif size:
                    yield _Run(number, columns.slot, batch.salt_id, columns, size)

    def _sound(self, runs: Sequence[_Run]) -> list[bool]:
        """Return which runs have all cells within their products and all units in the partition."""
        starts = np.cumsum([0, *(run.size for run in runs[:-1])])
        cells = np.frombuffer(b"".join(run.columns.cells for run in runs), "<u4")
        good = np.maximum.reduceat(cells, starts) < self._products[[run.metric for run in runs]]
        if self._partition is not None:
            units = np.frombuffer(b"".join(run.columns.units for run in runs), "<u8")
            astray = (units & np.uint64(_PARTITIONS - 1)) != np.uint64(self._partition)
            good &= ~np.logical_or.reduceat(astray, starts)
        return [bool(one) for one in good]

    def _joined(self, runs: Sequence[_Run], closed_until: int, malformed: Mapping[str, int]) -> Decoded:
        placed = place(np.array([run.slot for run in runs], np.int64), closed_until, self._hour_seconds)
        late: Counter[str] = Counter()
        for run in (run for run, is_late in zip(runs, placed.late, strict=True) if is_late):
            late[self._names[run.metric]] += run.size
        kept = np.flatnonzero(~placed.late)
        open_runs = [runs[number] for number in kept.tolist()]
        sizes = np.array([run.size for run in open_runs], np.int64)
        facts = Facts(
            metrics=np.repeat(np.array([run.metric for run in open_runs], np.int64), sizes),
            units=_words(run.columns.units for run in open_runs),
            keys=_words(run.columns.keys or bytes(8 * run.size) for run in open_runs),
            cells=np.frombuffer(b"".join(run.columns.cells for run in open_runs), "<u4").astype(np.uint32, copy=False),
            hours=np.repeat(placed.hours[kept], sizes),
            days=np.repeat(placed.days[kept], sizes),
        )
        days = frozenset((run.slot * SLOT_SECONDS // DAY_SECONDS, run.salt) for run in open_runs)
        return Decoded(facts, late, malformed, days)


def _words(pieces: Iterator[bytes]) -> NDArray[np.uint64]:
    return np.frombuffer(b"".join(pieces), "<u8").astype(np.uint64, copy=False)
