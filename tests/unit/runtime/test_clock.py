"""The system's clock is aware and in UTC; the tests' clock goes only where it is moved."""

from __future__ import annotations

from datetime import UTC, timedelta

import pytest

from libs.runtime.clock import Clock, SystemClock, unix_minutes, unix_seconds
from tests.support.clock import START, ManualClock


def test_the_system_clock_is_in_utc_and_its_monotonic_time_does_not_go_back() -> None:
    clock: Clock = SystemClock()
    assert clock.now().tzinfo is UTC
    assert clock.monotonic() <= clock.monotonic()


def test_the_manual_clock_moves_both_times_together() -> None:
    clock = ManualClock()
    began = clock.monotonic()
    clock.advance(1.5, minutes=1, hours=1, days=1)
    moved = timedelta(days=1, hours=1, minutes=1, seconds=1.5)
    assert clock.now() == START + moved
    assert clock.monotonic() - began == pytest.approx(moved.total_seconds())
    assert clock.now() == START + moved


def test_it_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="back"):
        ManualClock().advance(-1)


def test_unix_time_is_cut_not_rounded() -> None:
    clock = ManualClock()
    clock.advance(59.999)
    assert unix_seconds(clock) == int(START.timestamp()) + 59
    assert unix_minutes(clock) == int(START.timestamp()) // 60
