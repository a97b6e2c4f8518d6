"""Whatever dies or is away at whatever step: what emitters had confirmed is counted once, and bounds hold."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.docstore.sqlite import SqliteStore
from libs.policy import load_policy
from libs.runtime.clock import unix_seconds
from libs.telemetry import metrics
from services.analytics.domain.ports import Window
from services.analytics.intake.leases import REPLICAS
from services.analytics.intake.partition import Snapshots
from services.analytics.partitions import Totals
from services.analytics.partitions_pending import INTAKE_COLLECTIONS
from tests.unit.analytics.intake_world import BOUND, Crash, Emitter, World

SHAPE = ("Facts that could not be understood.", {"metric": (*load_policy().metrics, metrics.OTHER)})
COLLECTIONS = (*INTAKE_COLLECTIONS, REPLICAS)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A world on a file."""
    async with SqliteStore.open(tmp_path, COLLECTIONS) as store:
        yield World(store)


def hour_of(world: World) -> Window:
    """Return the present short window."""
    now = unix_seconds(world.clock)
    return Window("hour", now - now % 3600)


async def counts(world: World, window: Window, cut: str = "by_kind", name: str = "one") -> tuple[dict[int, int], int]:
    """Close a window, and return its counts by code, and the terms."""
    until = window.start + (3600 if window.kind == "hour" else 86_400)
    await world.windows.close(until)
    for run in itertools.count(100):
        assert run < 110
        await world.intake(name, str(run)).step()
        collected = await world.windows.collect(window)
        if collected is not None:
            cells = collected.cells.get(("seen", cut))
            found = {} if cells is None else dict(zip(cells.codes.tolist(), cells.counts.tolist(), strict=True))
            return found, collected.terms
    raise AssertionError("unreachable")


async def test_facts_are_counted_committed_and_confirmed(world: World) -> None:
    intake = world.intake()
    world.emitter.record([1, 1, 1, 1, 2, 9, 8])
    assert await intake.step()
    world.emitter.publish()
    assert world.emitter.waiting == 0
    assert await world.totals() == Totals(counted=6, over_bound=1)
    assert await intake.step()
    assert await world.totals() == Totals(counted=6, over_bound=1)
    found, terms = await counts(world, hour_of(world))
    assert (found, terms) == ({1: 6}, 1)


async def test_a_window_released_is_gone_from_the_documents(world: World) -> None:
    intake = world.intake()
    world.emitter.record([1, 2, 3])
    await intake.step()
    window = hour_of(world)
    assert window in await world.windows.over(window.start + 3600)
    await world.windows.close(window.start + 3600)
    assert await world.windows.collect(window) is None
    await intake.step()
    assert await world.windows.collect(window) is not None
    await world.windows.destroy(window)
    await intake.step()
    assert all(window not in one.counts for one in (await world.partitions.read_all()).values())
    # Late: the hour is over, the day is not.
    world.emitter.record([4])
    await intake.step()
    assert (await world.totals()).counted == 4
    assert window not in await world.windows.over(window.start + 3600)
    found, _terms = await counts(world, Window("day", window.day), "in_day")
    assert found == {0: 4}
    # The day is closed as well.
    world.emitter.record([5])
    await world.intake(run="200").step()
    assert await world.totals() == Totals(counted=4, late=1)


async def test_what_units_have_used_survives_a_restart(world: World) -> None:
    for run in range(5):
        world.emitter.record([1, 17])
        assert await world.intake(run=str(run), snapshots=Snapshots(2, 1000.0)).step()
    assert await world.totals() == Totals(counted=2 * BOUND, over_bound=4)
    assert (await counts(world, hour_of(world)))[1] == 1


async def test_lost_memory_begins_a_term_and_another_salt_too(world: World) -> None:
    world.emitter.record([1] * 5)
    await world.intake().step()
    world.broker.lose()
    world.emitter.record([1] * 5)
    await world.intake(run="2").step()
    assert await world.totals() == Totals(counted=2 * BOUND, over_bound=4)
    other = Emitter(world.broker, world.clock, number=5, salt=1)
    other.record([33])
    await world.intake(run="3").step()
    found, terms = await counts(world, hour_of(world))
    assert (found, terms) == ({1: 2 * BOUND + 1}, 3)


async def test_a_live_owner_writes_the_log_again_for_a_nats_that_lost_it(world: World) -> None:
    intake = world.intake()
    world.emitter.record([1] * 5)
    await intake.step()
    world.broker.lose()
    assert await intake.step()
    world.emitter.record([1] * 5)
    await world.intake(run="2").step()
    assert await world.totals() == Totals(counted=BOUND, over_bound=7)
    assert (await counts(world, hour_of(world)))[1] == 1


async def test_the_log_stays_short(world: World) -> None:
    intake = world.intake(snapshots=Snapshots(commits=3))
    for number in range(20):
        world.emitter.record([8 * number])
        assert await intake.step()
    assert len(world.broker.units[0]) <= 5


async def test_two_replicas_share_and_one_takes_over(world: World) -> None:
    one, two = world.intake("one"), world.intake("two")
    await one.step()
    await two.step()
    await one.step()
    await two.step()
    assert sorted([*one.owned, *two.owned]) == list(range(8))
    assert len(one.owned) == len(two.owned) == 4
    world.emitter.record(list(range(1, 41)) * 2)
    await asyncio.gather(one.step(), two.step())
    world.clock.advance(20)
    assert await two.step()
    assert len(two.owned) == 8
    world.emitter.record(list(range(1, 41)) * 2)
    await two.step()
    # The first comes back to life, and finds that it has lost everything.
    await one.step()
    await two.step()
    world.emitter.publish()
    assert await world.totals() == Totals(counted=40 * BOUND, over_bound=40)
    world.clock.advance(20)
    assert (await counts(world, hour_of(world), name="two"))[1] == 1


async def test_who_leaves_gives_back_at_once(world: World) -> None:
    one, two = world.intake("one"), world.intake("two")
    await one.step()
    await one.leave()
    await two.step()
    assert len(two.owned) == 8


async def test_a_salt_is_removed_an_hour_after_its_day(world: World) -> None:
    intake = world.intake()
    await intake.step()
    day = unix_seconds(world.clock) // 86_400
    world.clock.advance(days=1)
    await intake.step()
    await intake.step()
    assert world.broker.salts_gone == [day - 1, day]


async def test_prometheus_is_told_what_is_committed(world: World) -> None:
    def malformed() -> float:
        return float(metrics.counter("sealpost_statistics_malformed_total", *SHAPE).value(metric="other"))

    before = malformed()
    world.broker.facts[0].append(b"\xff\xff\xff")
    world.emitter.record([1, 2])
    assert await world.intake().step()
    assert malformed() == before + 1
    assert await world.totals() == Totals(counted=2)


async def test_what_cannot_be_understood_is_counted_and_confirmed(world: World) -> None:
    world.emitter.record([1], cell=99)
    intake = world.intake()
    assert await intake.step()
    world.emitter.publish()
    assert world.emitter.waiting == 0
    assert await world.totals() == Totals(malformed=1)


async def test_nothing_is_confirmed_while_the_store_is_away(world: World) -> None:
    intake = world.intake()
    assert await intake.step()
    world.emitter.record([8])
    # The log is written once; the write of the document fails before its effect, then after it.
    for steps, after in ((1, False), (0, True)):
        world.faults.kind, world.faults.steps, world.faults.after = "away", steps, after
        assert not await intake.step()
        world.emitter.publish()
        assert world.emitter.waiting == 1
    assert await intake.step()
    world.emitter.publish()
    assert world.emitter.waiting == 0
    assert await world.totals() == Totals(counted=1)


FAULT = st.tuples(st.sampled_from(["", "crash", "away"]), st.integers(0, 20), st.booleans())
STEP = st.tuples(st.lists(st.integers(1, 24), max_size=12), FAULT, st.sampled_from(["", "", "", "lose"]))


@settings(max_examples=15, deadline=None)
@given(st.lists(STEP, min_size=1, max_size=8))
def test_counted_once_whatever_fails(steps: list[tuple[list[int], tuple[str, int, bool], str]]) -> None:
    asyncio.run(_counted_once(steps))


async def _counted_once(steps: list[tuple[list[int], tuple[str, int, bool], str]]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        async with SqliteStore.open(Path(directory), COLLECTIONS) as store:
            world = World(store)
            runs = itertools.count()
            intake = world.intake(run=str(next(runs)), snapshots=Snapshots(commits=2))
            losses = 0
            for units, (kind, number, after), nats in steps:
                world.emitter.record(units)
                world.faults.kind, world.faults.steps, world.faults.after = kind, number, after
                try:
                    await intake.step()
                except Crash:
                    await asyncio.sleep(0.01)  # what was on its way to the store of the dead arrives, or not
                    intake = world.intake(run=str(next(runs)), snapshots=Snapshots(commits=2))
                world.faults.kind = ""
                if nats:
                    losses += 1
                    world.broker.lose()
            for _ in range(6):
                await intake.step()
                world.emitter.publish()
            assert world.emitter.waiting == 0
            totals = await world.totals()
            facts = sum(world.emitter.ledger.values())
            assert totals.counted + totals.over_bound == facts
            assert totals.late == totals.malformed == 0
            found, terms = await counts(world, hour_of(world))
            within = sum(min(BOUND, number) for number in world.emitter.ledger.values())
            assert sum(found.values()) == totals.counted
            assert terms <= 1 + losses
            assert (
                within <= totals.counted <= sum(min(terms * BOUND, number) for number in world.emitter.ledger.values())
            )
