"""A release of 100,000 cells: from the counts of a window that is over to documents that are on the disk, and back.

Two cuts of the kinds there are: known cells, which are ten cuts of 10,000 at most, and cells that pass a threshold. The
event loop is watched meanwhile: noise is drawn in a thread, and others must be served.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from libs.docstore.sqlite import SqliteStore
from libs.policy.model import Policy
from libs.runtime.clock import SystemClock
from libs.runtime.secret import Secret
from services.analytics.domain.ports import CellCounts, Collected, CutId, Window
from services.analytics.release.graph import COLLECTIONS, Releases, make_releases
from services.analytics.settings import Settings

CELLS = 100_000
_KNOWN = 10_000
_HOUR = 3600
_WORDS = [*(f"w{number}" for number in range(99)), "other"]


def measure() -> dict[str, Any]:
    """Return seconds, cells a second, and the longest stop of the event loop."""
    return asyncio.run(_measure())


async def _measure() -> dict[str, Any]:
    known = {
        f"cut{number}": {"title": "Cut", "dimensions": ["a", "b"], "window": "hour", "epsilon": 0.5}
        for number in range(10)
    }
    keyed = {"title": "Cut", "dimensions": [], "window": "hour", "epsilon": 0.3, "keys": "unknown", "delta": 1e-6}
    return {
        "known": await _release(_policy(known, ""), {("metric", name): _dense() for name in known}),
        "thresholded": await _release(_policy({"cut": keyed}, "campaign"), {("metric", "cut"): _keyed()}),
    }


async def _release(policy: Policy, cells: dict[CutId, CellCounts]) -> dict[str, float]:
    start = int(time.time()) // _HOUR * _HOUR - 2 * _HOUR
    windows = _Windows(Window("hour", start), cells)
    with tempfile.TemporaryDirectory(prefix="sealpost-bench-") as folder:
        async with await SqliteStore.open(Path(folder) / "store.db", COLLECTIONS) as store:
            settings = Settings(kek=Secret(""), grace=timedelta(0))
            releases = make_releases(store, SystemClock(), settings, policy, windows)
            watch = asyncio.create_task(_longest_stop())
            began = time.perf_counter()
            await releases.coordinator.step()
            seconds = time.perf_counter() - began
            watch.cancel()
            stop = await watch
            began = time.perf_counter()
            shown = await _read(releases, cells, start)
            return {
                "seconds": seconds,
                "cells": float(shown),
                "cells_per_second": shown / seconds,
                "longest_stop_of_loop_ms": 1000 * stop,
                "reading_seconds": time.perf_counter() - began,
            }


async def _read(releases: Releases, cells: dict[CutId, CellCounts], start: int) -> int:
    shown = 0
    for cut in cells:
        report = await releases.reading.read(releases.reading.subject(*cut), start, start + _HOUR)
        shown += sum(len(release.cells.values) for release in report.releases)
    return shown


async def _longest_stop() -> float:
    longest = 0.0
    try:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - began - 0.001)
    except asyncio.CancelledError:
        return longest


class _Windows:
    """One window; implements PendingWindows."""

    def __init__(self, window: Window, cells: dict[CutId, CellCounts]) -> None:
        self._held = {window: Collected(cells, 1)}

    async def over(self, until: int) -> Sequence[Window]:
        return list(self._held)

    async def close(self, until: int) -> None:
        return None

    async def collect(self, window: Window) -> Collected | None:
        return self._held.get(window, Collected({}, 1))

    async def destroy(self, window: Window) -> None:
        self._held.pop(window, None)


def _policy(cuts: dict[str, Any], key: str) -> Policy:
    metric = {
        "title": "Metric",
        "help": "Anything.",
        "unit": "ip",
        "per_unit": 20,
        "key": key,
        "dimensions": {"a": _WORDS, "b": _WORDS},
        "cuts": cuts,
    }
    budget = {"epsilon_per_day": 8.0, "delta_per_day": 1e-5}
    return Policy.model_validate({"version": 1, "budget": budget, "metrics": {"metric": metric}})


def _dense() -> CellCounts:
    codes = np.arange(_KNOWN, dtype=np.uint32)
    return CellCounts(np.zeros(_KNOWN, np.uint64), codes, np.full(_KNOWN, 50, np.int64))


def _keyed() -> CellCounts:
    keys = np.arange(1, CELLS + 1, dtype=np.uint64)
    # Far above the threshold: all are released.
    return CellCounts(keys, np.zeros(CELLS, np.uint32), np.full(CELLS, 10_000, np.int64))
