"""What mail that comes in notices of an expiry: SMTP at a steady rate on a whole platform, beside sweeps and without.

Storage's file is filled with public mails of the size that sealed mails of 4 KB have, whose time ends in two waves.
Mail then comes in at a steady rate, each at its time whether the one before is done or not, and how long each takes
from connecting to the 250 is noted. What storage counts as expired tells which seconds were those of a sweep.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from libs.runtime.clock import SystemClock, unix_seconds
from tests.bench.expiry import fill_expiring
from tests.bench.load import Load, one_mail
from tests.support.ledger_procs import metrics
from tests.support.platform import RunningPlatform, running_platform

_EXPIRED = re.compile(r'^sealpost_storage_deleted_total\{rule="expired"\} ([0-9.]+)', re.MULTILINE)
_RATE = 40.0
_SIZE = 4096
# Filling and starting take that long at most; then there is a while before each wave.
_FIRST_SECONDS, _APART_SECONDS = 75, 90
_LOOK_SECONDS = 0.25
_AFTER_SECONDS = 20.0
_CALM_SECONDS = 15.0
_LONGEST_SECONDS = 400.0


@dataclass
class _Seen:
    """What was noted: when each mail began and how long it took, and how many had expired when; seconds."""

    mails: list[tuple[float, float]] = field(default_factory=list)
    expired: list[tuple[float, float]] = field(default_factory=list)

    def swept(self) -> list[tuple[float, float, float]]:
        """Return the spans in which mails expired, and how many did."""
        pairs = zip(self.expired, self.expired[1:], strict=False)
        return [(a, b, after - before) for (a, before), (b, after) in pairs if after > before]


def measure(mails: int = 80_000) -> dict[str, Any]:
    """Have so many mails expire, in two waves."""
    with tempfile.TemporaryDirectory(prefix="sealpost-expiry-") as folder:
        home = Path(folder) / "home"
        with running_platform(home):
            pass
        first = unix_seconds(SystemClock()) + _FIRST_SECONDS
        due = [first] * (mails // 2) + [first + _APART_SECONDS] * (mails // 2)
        asyncio.run(fill_expiring(home / "data" / "storage" / "storage.db", due))
        with running_platform(home) as platform:
            time.sleep(_CALM_SECONDS)
            return _told(asyncio.run(_watch(platform, mails)))


async def _watch(platform: RunningPlatform, mails: int) -> _Seen:
    seen = _Seen()
    sending = asyncio.create_task(_send(platform, seen))
    began = done = time.monotonic()
    while time.monotonic() - done < _AFTER_SECONDS:
        page = await asyncio.to_thread(metrics, platform, "storage")
        found = _EXPIRED.search(page)
        seen.expired.append((time.monotonic(), float(found[1]) if found else 0.0))
        if seen.expired[-1][1] < mails:
            done = time.monotonic()
        if done - began > _LONGEST_SECONDS:
            raise RuntimeError("what is over is not swept")
        await asyncio.sleep(_LOOK_SECONDS)
    sending.cancel()
    with suppress(asyncio.CancelledError):
        await sending
    return seen


async def _send(platform: RunningPlatform, seen: _Seen) -> None:
    began = time.monotonic()
    async with asyncio.TaskGroup() as tasks:
        for number in range(int(_LONGEST_SECONDS * _RATE)):
            due = began + number / _RATE
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            tasks.create_task(_one(platform, seen, number))


async def _one(platform: RunningPlatform, seen: _Seen, number: int) -> None:
    began = time.monotonic()
    load = Load(platform.smtp_port, f"box{number % 5000}@{platform.public_domain}", 1, _SIZE)
    seen.mails.append((began, await one_mail(load)))


def _told(seen: _Seen) -> dict[str, Any]:
    spans = seen.swept()
    beside = [took for at, took in seen.mails if any(a - took <= at <= b for a, b, _ in spans)]
    quiet = [took for at, took in seen.mails if not any(a - took <= at <= b for a, b, _ in spans)]
    expired = sum(count for _, _, count in spans)
    return {
        "expired_per_second_beside": round(expired / sum(b - a for a, b, _ in spans)),
        "mails": {"quiet": len(quiet), "sweeping": len(beside)},
        "smtp_ms": {"quiet": _quantiles(quiet), "sweeping": _quantiles(beside)},
        "p99_ratio": round(_cut(beside)[98] / _cut(quiet)[98], 2),
    }


def _cut(times: Sequence[float]) -> list[float]:
    return statistics.quantiles(times, n=100)


def _quantiles(times: Sequence[float]) -> dict[str, float]:
    return {f"p{percent}": round(_cut(times)[percent - 1] * 1000, 1) for percent in (50, 95, 99)}
