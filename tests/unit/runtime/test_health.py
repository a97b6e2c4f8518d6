"""Readiness follows the checks that are required, asks them seldom, and never waits long."""

from __future__ import annotations

import asyncio

import pytest

from libs.runtime.health import Health
from libs.telemetry.logs import get_logger
from tests.support.clock import ManualClock


class Part:
    """Something to be checked."""

    def __init__(self) -> None:
        self.well = True
        self.asked = 0

    async def check(self) -> bool:
        self.asked += 1
        return self.well


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def health(clock: ManualClock) -> Health:
    made = Health(clock, get_logger("test"), timeout=0.05)
    made.started()
    return made


async def test_not_ready_before_the_start_nor_after_the_stop(clock: ManualClock) -> None:
    health = Health(clock, get_logger("test"))
    assert not (await health.report()).ready
    health.started()
    assert (await health.report()).ready
    health.stopping()
    assert not (await health.report()).ready


async def test_a_failing_check_makes_it_unready_until_it_passes(health: Health, clock: ManualClock) -> None:
    part = Part()
    health.add("store", part.check)
    assert (await health.report()).ready
    part.well = False
    clock.advance(2)
    report = await health.report()
    assert (report.ready, report.checks) == (False, {"store": False})
    part.well = True
    clock.advance(2)
    assert (await health.report()).ready


async def test_a_check_that_is_not_required_is_only_shown(health: Health) -> None:
    part = Part()
    part.well = False
    health.add("events", part.check, required=False)
    report = await health.report()
    assert (report.ready, report.checks) == (True, {"events": False})


async def test_answers_live_for_a_moment(health: Health, clock: ManualClock) -> None:
    part = Part()
    health.add("store", part.check)
    for _ in range(10):
        await health.report()
    assert part.asked == 1
    clock.advance(1)
    await health.report()
    assert part.asked == 2


async def test_many_probes_at_once_are_one_round(health: Health) -> None:
    part = Part()
    health.add("store", part.check)
    await asyncio.gather(*(health.report() for _ in range(20)))
    assert part.asked == 1


async def test_a_prober_that_hangs_up_does_not_cancel_the_round_of_the_others(health: Health) -> None:
    gate = asyncio.Event()

    async def slow() -> bool:
        await gate.wait()
        return True

    health.add("store", slow)
    probers = [asyncio.create_task(health.report()) for _ in range(2)]
    await asyncio.sleep(0)
    probers[0].cancel()
    await asyncio.sleep(0)
    gate.set()
    assert (await probers[1]).ready


async def test_a_check_that_raises_or_hangs_fails(health: Health, capsys: pytest.CaptureFixture[str]) -> None:
    async def raises() -> bool:
        raise OSError("canary")

    async def hangs() -> bool:
        await asyncio.sleep(60)
        return True

    health.add("raising", raises)
    health.add("hanging", hangs)
    report = await health.report()
    assert (report.ready, report.checks) == (False, {"raising": False, "hanging": False})
    written = capsys.readouterr().out
    assert '"error":"OSError"' in written
    assert '"error":"TimeoutError"' in written
    assert "canary" not in written


async def test_a_check_added_later_is_asked_at_once(health: Health) -> None:
    assert (await health.report()).ready
    part = Part()
    part.well = False
    health.add("late", part.check)
    assert not (await health.report()).ready


def test_names_are_taken_once(health: Health) -> None:
    health.add("store", Part().check)
    with pytest.raises(ValueError, match="store"):
        health.add("store", Part().check)
