"""Counting facts: from the bytes of batches to bounded cells, on one core, beside databases counting the same rows.

A process of its own, bound to one core and with one thread for Polars, because both are settled at its start. Rates are
facts divided by seconds of the processor, and by those of the wall, which other programs lengthen. A million facts come
from a million units, so that most of them are seen for the first time, which is the dearest case. Databases count all
of them by GROUP BY, which bounds nobody, and then the first `per_unit` of each unit; these sums must equal ours.

The simulated day has 10,000,000 facts of 1,000,000 units, each of which comes once in each tenth of the day.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from libs.policy import load_policy
from protos.facts.v1.facts_pb2 import FactBatch
from services.analytics.domain.counting import PartitionCounter
from services.analytics.domain.ports import DAY_SECONDS, Window
from services.analytics.partitions_counts import encode_counts
from tests.bench.facts_databases import Row, postgresql, postgresql_missing, sqlite
from tests.support.platform import ROOT

_PARTITIONS = 8
_HOUR = 3600
_START = 20_000 * DAY_SECONDS
_UNITS = 1_000_000
_BATCH = 8_192
_TICK = 100_000
_SHARES = {
    "http_requests": 0.4,
    "visitors": 0.1,
    "daily_visitors": 0.1,
    "smtp_sessions": 0.15,
    "mail_received": 0.1,
    "mail_stored": 0.05,
    "logins": 0.05,
    "deliveries": 0.05,
}
_METRICS = dict(load_policy().metrics)
_SIZES = {name: math.prod(map(len, _METRICS[name].dimensions.values())) for name in _SHARES}

Words = NDArray[np.uint64]


def measure() -> dict[str, Any]:
    """Return the figures."""
    command = [sys.executable, "-m", "tests.bench.facts_counting"]
    environ = {**os.environ, "POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environ, check=True, stdout=subprocess.PIPE, timeout=300)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


class _Traffic:
    """Facts of units, each of which is about one metric."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(4)
        self.units: Words = self.rng.integers(0, 2**64, _UNITS, np.uint64, endpoint=False)
        edges = np.cumsum(list(_SHARES.values()))[:-1] * _UNITS
        self.metrics = np.searchsorted(edges, np.arange(_UNITS), side="right")

    def batches(self, chosen: NDArray[np.int64], slot: int) -> list[list[bytes]]:
        """Return one fact of each of these units as batches, by partition; 8,192 facts leave an emitter at once."""
        found: list[list[bytes]] = [[] for _ in range(_PARTITIONS)]
        for start in range(0, len(chosen), _BATCH):
            part = chosen[start : start + _BATCH]
            homes = self.units[part] & np.uint64(_PARTITIONS - 1)
            for partition in range(_PARTITIONS):
                found[partition].append(self._batch(part[homes == partition], slot))
        return found

    def _batch(self, chosen: NDArray[np.int64], slot: int) -> bytes:
        batch = FactBatch(emitter=1, sequence=1, floor=1, salt_id=1)
        for number, name in enumerate(_SHARES):
            units = self.units[chosen[self.metrics[chosen] == number]]
            cells = np.minimum(self.rng.geometric(0.02, len(units)) - 1, _SIZES[name] - 1)
            columns = batch.columns.add(metric=name, slot=slot)
            columns.units, columns.cells = units.astype("<u8").tobytes(), cells.astype("<u4").tobytes()
        return batch.SerializeToString()


def _counters() -> list[PartitionCounter]:
    return [PartitionCounter(_METRICS, _HOUR, partition) for partition in range(_PARTITIONS)]


def _count(counters: list[PartitionCounter], tick: list[list[bytes]], now: int, closed_until: int = 0) -> int:
    total = 0
    for counter, blobs in zip(counters, tick, strict=True):
        counted = counter.count([FactBatch.FromString(blob) for blob in blobs], closed_until, now)
        if any(fates.malformed or fates.late for fates in counted.fates.values()):
            raise RuntimeError("a fact was refused")
        total += sum(fates.counted + fates.over_bound for fates in counted.fates.values())
    return total


def _rates(traffic: _Traffic, rounds: int = 3) -> dict[str, Any]:
    chosen = traffic.rng.integers(0, _UNITS, 1_000_000)
    ticks = [
        traffic.batches(chosen[start : start + _TICK], _START // 10 + start // _TICK)
        for start in range(0, len(chosen), _TICK)
    ]
    by_wall, by_processor = [], []
    for _ in range(rounds):
        counters = _counters()
        wall, processor = time.monotonic(), time.process_time()
        counted = sum(_count(counters, tick, _START + _HOUR) for tick in ticks)
        by_wall.append(counted / (time.monotonic() - wall))
        by_processor.append(counted / (time.process_time() - processor))
    ours = statistics.median(by_processor)
    batches = [FactBatch.FromString(blob) for tick in ticks for blobs in tick for blob in blobs]
    return {
        "facts_per_processor_second": ours,
        "facts_per_second": statistics.median(by_wall),
        **_compared(ours, batches, counters),
    }


def _rows(batches: list[FactBatch]) -> Iterator[Row]:
    numbers = {name: number for number, name in enumerate(_SHARES)}
    for batch in batches:
        for columns in batch.columns:
            units = np.frombuffer(columns.units, "<i8").tolist()
            cells = np.frombuffer(columns.cells, "<u4").tolist()
            hour = columns.slot * 10 // _HOUR
            for unit, cell in zip(units, cells, strict=True):
                yield numbers[columns.metric], hour, unit, cell


def _compared(ours: float, batches: list[FactBatch], counters: list[PartitionCounter]) -> dict[str, Any]:
    """Return the databases' rates, and ours divided by them. Raises: RuntimeError where sums differ."""
    rows = list(_rows(batches))
    bounds = [_METRICS[name].per_unit for name in _SHARES]
    found = {"sqlite": sqlite(rows, bounds)}
    lack = postgresql_missing()
    if lack is None:
        with TemporaryDirectory(prefix="sealpost-bench-") as folder:
            Path(folder).chmod(0o755)
            found["postgresql"] = postgresql(Path(folder), rows, bounds)
    for counts in found.values():
        _check(counts.sums, counters)
    result: dict[str, Any] = {
        name: {way: {"rows_per_processor_second": rate, "ratio": ours / rate} for way, rate in counts.rates.items()}
        for name, counts in found.items()
    }
    return result if lack is None else result | {"postgresql": lack}


def _check(sums: Mapping[int, int], counters: list[PartitionCounter]) -> None:
    for number, name in enumerate(_SHARES):
        if _METRICS[name].kind != "count":
            continue
        cut, window = next((cut, known.window) for cut, known in _METRICS[name].cuts.items())
        cells = [counter.cells(Window(window, _START)).get((name, cut)) for counter in counters]
        if sums[number] != sum(int(one.counts.sum()) for one in cells if one is not None):
            raise RuntimeError(f"other sums of {name}")


def _day(traffic: _Traffic) -> dict[str, Any]:
    counters = _counters()
    base = _resident()
    resident, rows, peak = [], [], 0.0
    for tenth in range(10):
        order = traffic.rng.permutation(_UNITS)
        for start in range(0, _UNITS, _TICK):
            seconds = _START + int((tenth + start / _UNITS) * DAY_SECONDS / 10)
            closed_until = seconds - 300 - (seconds - 300) % _HOUR
            _count(counters, traffic.batches(order[start : start + _TICK], seconds // 10), seconds, closed_until)
            for counter in counters:
                counter.forget(closed_until)
            peak = max(peak, _resident())
        resident.append(round(_resident() - base, 1))
        rows.append(sum(counter.remembered for counter in counters))
    used = sum(counter.nbytes for counter in counters)
    windows = [Window("hour", _START + 23 * _HOUR), Window("day", _START)]
    sizes = [sum(len(encode_counts(counter.cells(window))) for window in windows) for counter in counters]
    return {
        "facts": 10 * _UNITS,
        "units": _UNITS,
        "resident_mib_above_start_by_tenth": resident,
        "peak_mib_above_start": round(peak - base, 1),
        "start_mib": round(base, 1),
        "rows_by_tenth": rows,
        "bytes_per_row": used / rows[-1],
        "bytes_per_unit": used / _UNITS,
        "document_bytes_per_partition": statistics.mean(sizes),
        "tick_1000_facts": _tick(traffic, counters, windows),
    }


def _tick(traffic: _Traffic, counters: list[PartitionCounter], windows: list[Window]) -> dict[str, float]:
    """Return the milliseconds of the processor that a second with 1,000 facts costs, over all eight partitions."""
    counting, encoding = [], []
    for _ in range(20):
        tick = traffic.batches(traffic.rng.integers(0, _UNITS, 1_000), _START // 10 + 8639)
        started = time.process_time()
        _count(counters, tick, _START + DAY_SECONDS - 5, _START + 23 * _HOUR)
        counted = time.process_time()
        for counter in counters:
            for window in windows:
                encode_counts(counter.cells(window))
        counting.append((counted - started) * 1000)
        encoding.append((time.process_time() - counted) * 1000)
    return {"count_ms": statistics.median(counting), "encode_ms": statistics.median(encoding)}


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def main() -> None:
    """Measure in this process and print."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    traffic = _Traffic()
    day = _day(traffic)  # first: what the other part leaves to the allocator would hide growth
    print(json.dumps({"cores": 1, "rates": _rates(traffic), "day": day}))


if __name__ == "__main__":
    main()
