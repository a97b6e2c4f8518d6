"""What Prometheus is told of the intake: facts by what became of them, once that is committed, and how it keeps up."""

from __future__ import annotations

from collections.abc import Mapping

from libs.policy import load_policy
from libs.telemetry import metrics
from services.analytics.partitions import Totals

_METRIC = {"metric": (*load_policy().metrics, metrics.OTHER)}
_COUNTED = metrics.counter("sealpost_statistics_counted_total", "Facts counted.", _METRIC)
_OVER_BOUND = metrics.counter("sealpost_statistics_over_bound_total", "Facts beyond the bound of their unit.", _METRIC)
_LATE = metrics.counter("sealpost_statistics_late_total", "Facts that came when their windows were closed.", _METRIC)
_MALFORMED = metrics.counter("sealpost_statistics_malformed_total", "Facts that could not be understood.", _METRIC)
LAG = metrics.gauge(
    "sealpost_statistics_lag_seconds",
    "How long facts had waited in the stream when they were counted last; 0 where none came.",
)
OWNED = metrics.gauge("sealpost_statistics_partitions_owned", "Partitions that this replica owns.")
COMMIT = metrics.histogram("sealpost_statistics_commit_seconds", "Time from counting a tick to its commit.")


def committed(totals: Mapping[str, Totals]) -> None:
    """Add what a commit has counted."""
    for metric, more in totals.items():
        known = metric if metric in _METRIC["metric"] else metrics.OTHER
        for counter, amount in zip((_COUNTED, _OVER_BOUND, _LATE, _MALFORMED), more.values, strict=True):
            counter.inc(amount, metric=known)


def unreadable() -> None:
    """Count a message that is no batch at all."""
    _MALFORMED.inc(metric=metrics.OTHER)
