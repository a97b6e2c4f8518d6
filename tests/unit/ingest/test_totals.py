"""The metrics of several workers as one."""

from __future__ import annotations

import json
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from services.ingest.totals import Totals, report


def worker(mails: int, connections: int, seconds: float, passing: int = 1) -> dict[str, Any]:
    """Return what a worker with these numbers sends, as it arrives."""
    registry = CollectorRegistry()
    Counter("mails_total", "Mails.", ["outcome"], registry=registry).labels("accepted").inc(mails)
    Gauge("connections", "Open.", registry=registry).set(connections)
    Histogram("seconds", "Time.", buckets=(0.1, 1.0), registry=registry).observe(seconds)
    Gauge("sealpost_health_passing", "Health.", ["check"], registry=registry).labels("x").set(passing)
    decoded: dict[str, Any] = json.loads(json.dumps(report(registry.collect())))
    return decoded


def shown(totals: Totals) -> str:
    class Shown(CollectorRegistry):
        def collect(self) -> Any:
            return totals.collect(report_of_parent())

    return generate_latest(Shown()).decode()


def report_of_parent() -> Any:
    registry = CollectorRegistry()
    Counter("mails_total", "Mails.", ["outcome"], registry=registry)
    Gauge("sealpost_health_passing", "Health.", ["check"], registry=registry).labels("x").set(1)
    return registry.collect()


def test_workers_are_summed() -> None:
    totals = Totals()
    totals.update(1, worker(3, 10, 0.05))
    totals.update(2, worker(4, 20, 0.5))
    text = shown(totals)
    assert 'mails_total{outcome="accepted"} 7.0' in text
    assert "connections 30.0" in text
    assert 'seconds_bucket{le="0.1"} 1.0' in text
    assert 'seconds_bucket{le="+Inf"} 2.0' in text
    assert "seconds_count 2.0" in text
    assert text.count("# TYPE mails_total counter") == 1


def test_the_newest_report_of_a_worker_counts() -> None:
    totals = Totals()
    totals.update(1, worker(3, 10, 0.05))
    totals.update(1, worker(5, 1, 0.05))
    assert 'mails_total{outcome="accepted"} 5.0' in shown(totals)


def test_what_a_worker_that_is_gone_has_counted_stays_and_its_levels_go() -> None:
    totals = Totals()
    for mails in (3, 4):
        totals.update(1, worker(mails, 10, 0.05))
        totals.forget(1)
    totals.update(1, worker(5, 2, 0.05))
    text = shown(totals)
    assert 'mails_total{outcome="accepted"} 12.0' in text
    assert "connections 2.0" in text
    assert "seconds_count 3.0" in text
    totals.forget(7)


def test_one_failing_worker_fails_the_health_of_all() -> None:
    totals = Totals()
    totals.update(1, worker(1, 1, 0.1))
    totals.update(2, worker(1, 1, 0.1, passing=0))
    assert 'sealpost_health_passing{check="x"} 0.0' in shown(totals)
