"""One scrape of one process, cut down to what health is made from, and the change between two of them.

Counters fall to zero when a process begins anew; a change is then what the new process has counted so far. Quantiles
come from the differences of histogram buckets, interpolated within the bucket as Prometheus does.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

from services.analytics.health.model import Signals, Source

_LAG = "sealpost_loop_lag_seconds_sum"


@dataclass(frozen=True)
class Sample:
    """What one process said at one time; `buckets` are cumulative counts by upper bound."""

    at: float
    requests: float
    errors: float
    queue: float
    memory: float
    cpu: float
    lag: float
    buckets: Mapping[float, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """What one process did between two samples, per second; `memory` and `queue` as they were at the end."""

    requests: float
    errors: float
    cpu: float
    lag: float
    memory: float
    queue: float
    buckets: Mapping[float, float]


def read_sample(text: str, signals: Signals, at: float) -> Sample:
    """Return the sample that the exposition `text` holds. Raises: ValueError if it is none."""
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))

    def total(sources: Iterable[Source]) -> float:
        return math.fsum(
            value for source in sources for labels, value in found.get(source.metric, ()) if source.takes(labels)
        )

    buckets: dict[float, float] = {}
    for source in signals.durations:
        for labels, value in found.get(f"{source.metric}_bucket", ()):
            if source.takes(labels):
                bound = float(labels["le"])
                buckets[bound] = buckets.get(bound, 0.0) + value
    return Sample(
        at=at,
        requests=total(signals.requests),
        errors=total(signals.errors),
        queue=total(signals.queue),
        memory=total([Source("process_resident_memory_bytes")]),
        cpu=total([Source("process_cpu_seconds_total")]),
        lag=total([Source(_LAG)]),
        buckets=buckets,
    )


def change(before: Sample, after: Sample) -> Change | None:
    """Return what happened between two samples of one address, or None if no time passed."""
    seconds = after.at - before.at
    if seconds <= 0:
        return None
    anew = after.cpu < before.cpu or after.requests < before.requests

    def rate(now: float, then: float) -> float:
        return max(0.0, now - (0.0 if anew else then)) / seconds

    return Change(
        requests=rate(after.requests, before.requests),
        errors=rate(after.errors, before.errors),
        cpu=rate(after.cpu, before.cpu),
        lag=min(1.0, rate(after.lag, before.lag)),
        memory=after.memory,
        queue=after.queue,
        buckets={bound: rate(count, before.buckets.get(bound, 0.0)) for bound, count in after.buckets.items()},
    )


def quantile(part: float, buckets: Mapping[float, float]) -> float:
    """Return the value below which `part` of the observations lie, NaN without any; 0 < part < 1.

    An observation above the greatest finite bound is taken for that bound.
    """
    bounds = sorted(buckets)
    if not bounds or buckets[bounds[-1]] <= 0:
        return math.nan
    rank = part * buckets[bounds[-1]]
    lower, below = 0.0, 0.0
    for bound in bounds:
        if buckets[bound] >= rank:
            if math.isinf(bound):
                return lower
            within = buckets[bound] - below
            return bound if within <= 0 else lower + (bound - lower) * (rank - below) / within
        lower, below = bound, buckets[bound]
    return lower


def merge_buckets(many: Sequence[Mapping[float, float]]) -> dict[float, float]:
    """Return the sum of histograms."""
    merged: dict[float, float] = {}
    for buckets in many:
        for bound, count in buckets.items():
            merged[bound] = merged.get(bound, 0.0) + count
    return merged
