"""The metrics of all workers as those of one service.

Each worker sends what it counts to its parent once in a while; the parent shows the sum on its /metrics. What a worker
that is gone has counted stays in the sum, for counters only grow; its levels go with it. A few values are not
summed: of those the smallest counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from prometheus_client import Metric

# name -> [type, help, [[sample name, labels, value], ...]]: what JSON can carry.
Report: TypeAlias = Mapping[str, Any]
_Key: TypeAlias = tuple[str, tuple[tuple[str, str], ...]]

_GROWING = frozenset({"counter", "histogram", "summary"})
_SMALLEST = frozenset({"sealpost_health_passing", "process_start_time_seconds", "process_max_fds"})


def report(families: Iterable[Metric]) -> dict[str, Any]:
    """Return what `families` say in a form for JSON."""
    return {
        family.name: [
            family.type,
            family.documentation,
            # When a counter was made is of no use in a sum.
            [[one.name, one.labels, one.value] for one in family.samples if not one.name.endswith("_created")],
        ]
        for family in families
    }


class Totals:
    """Sums the reports of workers, by number of the worker."""

    def __init__(self) -> None:
        """Nobody has reported yet."""
        self._reports: dict[int, Report] = {}
        self._gone: dict[str, Any] = {}

    def update(self, worker: int, newest: Report) -> None:
        """Replace what `worker` has reported before."""
        self._reports[worker] = newest

    def forget(self, worker: int) -> None:
        """Keep only what `worker`, which is gone, has counted."""
        left = self._reports.pop(worker, {})
        growing = {name: family for name, family in left.items() if family[0] in _GROWING}
        self._gone = _sum([self._gone, growing])

    def collect(self, own: Iterable[Metric]) -> list[Metric]:
        """Return the families of this process and of all workers, summed."""
        summed = _sum([report(own), self._gone, *self._reports.values()])
        return [_family(name, *family) for name, family in summed.items()]


def _sum(reports: Iterable[Report]) -> dict[str, Any]:
    shapes: dict[str, tuple[str, str]] = {}
    values: dict[str, dict[_Key, float]] = {}
    for one in reports:
        for name, (kind, text, samples) in one.items():
            shapes.setdefault(name, (kind, text))
            into = values.setdefault(name, {})
            for sample, labels, value in samples:
                key = (sample, tuple(labels.items()))
                if key not in into:
                    into[key] = value
                elif name in _SMALLEST:
                    into[key] = min(into[key], value)
                else:
                    into[key] += value
    return {
        name: [*shapes[name], [[sample, dict(labels), value] for (sample, labels), value in values[name].items()]]
        for name in shapes
    }


def _family(name: str, kind: str, text: str, samples: Iterable[tuple[str, dict[str, str], float]]) -> Metric:
    family = Metric(name, text, kind)
    for sample, labels, value in samples:
        family.add_sample(sample, labels, value)
    return family
