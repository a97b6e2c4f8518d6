"""An hour of every service's health, in memory: one point each ten seconds, summed over its processes."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence

from services.analytics.health.model import Line, Report, ServiceReport, Unit
from services.analytics.health.samples import Change, merge_buckets, quantile

SECONDS = 10
_POINTS = 360
_LINES: Mapping[str, Unit] = {
    "requests": "per_second",
    "errors": "per_second",
    "p50": "seconds",
    "p99": "seconds",
    "queue": "count",
    "saturation": "ratio",
    "cpu": "ratio",
    "memory": "bytes",
}


class History:
    """Points of the last hour. `saturation` is the share of time in which the busiest event loop served nobody else."""

    def __init__(self, services: Sequence[str]) -> None:
        """Hold nothing yet about `services`."""
        self._times: deque[int] = deque(maxlen=_POINTS)
        self._points = {service: deque[dict[str, float]](maxlen=_POINTS) for service in services}
        self._up = dict.fromkeys(services, (0, 0))

    def add(self, at: int, seen: Mapping[str, Sequence[Change]], up: Mapping[str, tuple[int, int]]) -> None:
        """Add one point: the changes of each service's processes, and how many answered of how many."""
        self._times.append(at)
        for service, points in self._points.items():
            points.append(_point(seen.get(service, ())))
            self._up[service] = up.get(service, (0, 0))

    def report(self, minutes: int) -> Report:
        """Return the points of the last `minutes`."""
        wanted = max(1, min(_POINTS, minutes * 60 // SECONDS))
        services = [
            ServiceReport(service, *self._up[service], lines=_lines(list(points)[-wanted:]))
            for service, points in self._points.items()
        ]
        return Report(tuple(self._times)[-wanted:], tuple(services))


def _lines(points: Sequence[Mapping[str, float]]) -> tuple[Line, ...]:
    return tuple(Line(name, unit, tuple(point[name] for point in points)) for name, unit in _LINES.items())


def _point(changes: Sequence[Change]) -> dict[str, float]:
    if not changes:
        return dict.fromkeys(_LINES, math.nan)
    buckets = merge_buckets([one.buckets for one in changes])
    return {
        "requests": math.fsum(one.requests for one in changes),
        "errors": math.fsum(one.errors for one in changes),
        "p50": quantile(0.5, buckets),
        "p99": quantile(0.99, buckets),
        "queue": math.fsum(one.queue for one in changes),
        "saturation": max(one.lag for one in changes),
        "cpu": math.fsum(one.cpu for one in changes),
        "memory": math.fsum(one.memory for one in changes),
    }
