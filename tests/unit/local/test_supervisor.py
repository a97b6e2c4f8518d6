"""Processes are started, started again, and stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from libs.local.supervisor import Program, Supervisor, turn_over
from libs.runtime.clock import SystemClock

_SLEEPER = "import time\nprint('up', flush=True)\ntime.sleep(60)"
_STUBBORN = (
    "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('up', flush=True)\ntime.sleep(60)"
)


def program(tmp_path: Path, code: str) -> Program:
    log = tmp_path / "log"

    async def ready() -> bool:
        return log.exists() and "up" in log.read_text()

    return Program("sleeper", [sys.executable, "-c", code], dict(os.environ), log, ready)


async def test_a_killed_process_comes_back(tmp_path: Path) -> None:
    told: list[str] = []
    supervisor = Supervisor(SystemClock(), told.append)
    await supervisor.start(program(tmp_path, _SLEEPER))
    first = supervisor.pids()["sleeper"]
    os.kill(first, signal.SIGKILL)
    async with asyncio.timeout(10):
        while supervisor.pids().get("sleeper", first) == first:  # noqa: ASYNC110 - another process tells no event
            await asyncio.sleep(0.05)
    second = supervisor.pids()["sleeper"]
    await supervisor.stop()
    assert second != first
    assert any("starting it again" in text for text in told)
    assert supervisor.pids() == {}
    with pytest.raises(ProcessLookupError):
        os.kill(second, 0)


async def test_one_that_never_gets_ready_is_told(tmp_path: Path) -> None:
    supervisor = Supervisor(SystemClock(), lambda text: None)
    silent = program(tmp_path, "import time; time.sleep(60)")
    with pytest.raises(TimeoutError):
        await supervisor.start(silent, ready_seconds=0.3)
    await supervisor.stop()
    assert supervisor.pids() == {}


async def test_one_that_does_not_drain_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.local.supervisor._STOP_SECONDS", 0.3)
    told: list[str] = []
    supervisor = Supervisor(SystemClock(), told.append)
    await supervisor.start(program(tmp_path, _STUBBORN))
    await supervisor.stop()
    assert any("was killed" in text for text in told)


def test_a_long_log_begins_anew(tmp_path: Path) -> None:
    log = tmp_path / "x.log"
    log.write_bytes(b"x" * (9 * 1024**2))
    turn_over(log)
    assert log.stat().st_size == 0
    assert (tmp_path / "x.1.log").stat().st_size == 9 * 1024**2
