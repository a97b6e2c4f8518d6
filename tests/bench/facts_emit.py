"""What it costs a service to record a fact: microseconds each, and the longest of them.

`record` has no await and takes no lock; that no single one waits is shown by the slowest of them, beside what the
same loop sees where nothing is recorded: what is left of the difference is the scheduler's.
"""

from __future__ import annotations

import os
import statistics
from time import perf_counter_ns, process_time

from libs.events.salts import make_salt
from libs.runtime.clock import SystemClock, unix_seconds
from libs.telemetry import mode
from libs.telemetry.facts import DAY_SECONDS, Facts, NoFacts, Recorder

_ROUNDS, _FACTS = 7, 100_000
_UNITS = [f"192.0.{number >> 8}.{number & 255}".encode() for number in range(4096)]


def measure() -> dict[str, object]:
    """Return microseconds of the processor for a fact with five dimensions and with none, and the slowest ones."""
    mode.set_strict(False)
    try:
        facts = Facts(most=2 * _FACTS)
        facts.set_salt(make_salt(unix_seconds(SystemClock()) // DAY_SECONDS, os.urandom(32)))
        return {
            "microseconds_per_fact": _cost(facts),
            "microseconds_per_fact_without_dimensions": _cost(facts, bare=True),
            "slowest_microseconds": _slowest(facts),
            "slowest_microseconds_recording_nothing": _slowest(NoFacts()),
        }
    finally:
        mode.set_strict(True)


def _cost(facts: Facts, *, bare: bool = False) -> float:
    found = []
    for _ in range(_ROUNDS):
        began = process_time()
        for number in range(_FACTS):
            if bare:
                facts.record("visitors", _UNITS[number & 4095])
            else:
                _one(facts, number)
        found.append((process_time() - began) / _FACTS * 1e6)
        facts.take()
    return statistics.median(found)


def _slowest(recorder: Recorder) -> dict[str, float]:
    times = []
    for number in range(_FACTS):
        began = perf_counter_ns()
        _one(recorder, number)
        times.append(perf_counter_ns() - began)
    if isinstance(recorder, Facts):
        recorder.take()
    times.sort()
    return {"p99": times[_FACTS * 99 // 100] / 1000, "p99.99": times[_FACTS * 9999 // 10_000] / 1000}


def _one(recorder: Recorder, number: int) -> None:
    recorder.record(
        "http_requests",
        _UNITS[number & 4095],
        page="page",
        status="2xx",
        version="HTTP/1.1",
        browser="chrome",
        referrer="none",
        language="en",
    )
