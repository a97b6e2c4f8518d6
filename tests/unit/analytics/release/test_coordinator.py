"""Windows are released once, whatever happens in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.docstore.store import Query, Replace
from libs.runtime.errors import InternalError, InvalidError, UnavailableError
from services.analytics.domain.ports import CutId, Window
from services.analytics.release.budget import BUDGETS
from services.analytics.release.outcomes import rows_of
from services.analytics.release.reading import Report
from tests.unit.analytics.release.world import DAILY, GRACE, HOUR, PAGES, RARE, World, counts, make_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with make_world(tmp_path) as world:
        yield world


def _filled(world: World, kind: str = "hour", start: int | None = None) -> Window:
    start = (world.hour if kind == "hour" else world.day) if start is None else start
    cells = {
        PAGES: counts({(0, 0): 1000, (0, 8): 500}),
        RARE: counts({(7, 0): 100_000, (7, 1): 1, (9, 2): 100_000}),
        DAILY: counts({(0, 1): 700}),
    }
    return world.windows.open(kind, start, cells)


def _cells(report: Report, at: int = 0) -> list[tuple[tuple[str, ...], int, int]]:
    return rows_of(report.releases[at])


async def test_a_window_that_is_over_is_released(world: World) -> None:
    window = _filled(world)
    coordinator = world.coordinator()
    assert await coordinator.step() == 0
    world.clock.advance(HOUR + GRACE - 1)
    assert await coordinator.step() == 0
    world.clock.advance(1)
    assert await coordinator.step() == 1
    report = await world.read(PAGES)
    [release] = report.releases
    assert (release.place.start, release.place.end) == (window.start, window.start + HOUR)
    assert (release.noise.epsilon, release.noise.threshold, release.noise.scale) == (0.5, 0, 10.0)
    rows = _cells(report)
    assert [words for words, _, _ in rows] == [
        (page, status) for page in ("home", "help", "other") for status in ("ok", "bad", "other")
    ]
    true = [1000, *[0] * 7, 500]
    assert all(abs(value - count) < 400 for (_, value, _), count in zip(rows, true, strict=True))
    assert world.windows.destroyed == [window]
    assert not world.windows.held


async def test_rare_cells_do_not_exist(world: World) -> None:
    _filled(world)
    world.clock.advance(HOUR + GRACE)
    await world.coordinator().step()
    report = await world.read(RARE)
    assert [(words, key) for words, _, key in _cells(report)] == [(("yes",), 7), (("other",), 9)]
    assert report.releases[0].noise.threshold > 2
    assert report.releases[0].noise.delta == 1e-5


async def test_an_empty_window_is_released_like_any_other(world: World) -> None:
    world.windows.open("hour", world.hour)
    world.clock.advance(HOUR + GRACE)
    await world.coordinator().step()
    values = [value for _, value, _ in _cells(await world.read(PAGES))]
    assert len(values) == 9
    assert any(values)
    assert _cells(await world.read(RARE)) == []


async def test_days_and_hours_have_their_own_cuts(world: World) -> None:
    _filled(world, "day")
    _filled(world)
    world.clock.advance(days=1, seconds=GRACE)
    await world.coordinator().step()
    assert len((await world.read(DAILY)).releases) == 1
    assert len((await world.read(PAGES)).releases) == 1
    assert len(_cells(await world.read(DAILY))) == 3


async def test_what_a_partition_has_not_closed_waits(world: World) -> None:
    _filled(world)
    world.windows.slow = True
    coordinator = world.coordinator()
    world.clock.advance(HOUR + GRACE)
    assert await coordinator.step() == 0
    report = await world.read(PAGES)
    assert report.releases == []
    world.windows.slow = False
    assert await coordinator.step() == 1


async def test_repeating_a_query_gives_one_answer(world: World) -> None:
    _filled(world)
    world.clock.advance(HOUR + GRACE)
    coordinator = world.coordinator()
    answers = set()
    for turn in range(1000):
        if turn % 50 == 0:
            # Neither the process nor another one draws again, not even where the counts come back.
            _filled(world, start=world.hour - HOUR)
            await coordinator.step()
            coordinator = world.coordinator()
            world.clock.advance(16)
        answers.add(tuple(_cells(await world.read(PAGES))))
    assert len(answers) == 1
    assert not world.windows.held


async def test_only_one_coordinates(world: World) -> None:
    _filled(world)
    one, other = world.coordinator(), world.coordinator()
    world.clock.advance(HOUR + GRACE)
    world.windows.slow = True
    assert await one.step() == 0
    world.windows.slow = False
    world.clock.advance(10)
    assert await other.step() == 0
    # Renewed, it lasts another quarter of a minute.
    world.windows.slow = True
    assert await one.step() == 0
    world.windows.slow = False
    world.clock.advance(14)
    assert await other.step() == 0
    world.clock.advance(1)
    assert await other.step() == 1
    assert await one.step() == 0


async def test_a_window_that_comes_late_is_released_in_its_turn(world: World) -> None:
    """Whoever had not seen yet that it is to be closed has made it, just before all have closed it."""
    early, late = _filled(world), _filled(world, start=world.hour + HOUR)
    world.windows.coming = {early: world.windows.held.pop(early)}
    coordinator = world.coordinator()
    assert await coordinator.step() == 0
    world.clock.advance(2 * HOUR + GRACE)
    await coordinator.step()
    report = await world.read(PAGES)
    assert [one.place.start for one in report.releases] == [early.start, late.start]
    assert not world.windows.held


async def test_two_at_once_leave_one_value(world: World) -> None:
    _filled(world)
    world.clock.advance(HOUR + GRACE)
    # A lease that is over as soon as it is taken is of no help.
    both = [world.special(lease=0) for _ in range(4)]
    for _ in range(20):
        await asyncio.gather(*(one.step() for one in both))
    assert len((await world.read(PAGES)).releases) == 1
    assert not world.windows.held
    assert await _spent(world) == {PAGES: 1, RARE: 1}


async def _spent(world: World) -> dict[CutId, int]:
    debits = (await world.releases.budget.read([world.day]))[world.day]
    return {(row.metric, row.cut): row.terms for row in debits}


async def test_a_day_is_debited_once_for_each_cut_and_term(world: World) -> None:
    for terms in (1, 1, 2):
        world.windows.terms = terms
        world.windows.open("hour", world.hour)
        world.clock.advance(HOUR)
        world.clock.advance(GRACE)
        await world.coordinator().step()
        world.clock.advance(HOUR - GRACE)
    assert await _spent(world) == {PAGES: 2, RARE: 2}
    report = await world.read(PAGES)
    assert [one.noise.epsilon for one in report.releases] == [0.5, 0.5, 1.0]
    assert {one.noise.scale for one in report.releases} == {10.0}


async def test_beyond_the_budget_nothing_is_released_and_the_counts_are_destroyed(world: World) -> None:
    window = _filled(world)
    # 0.3 * 4 + 0.5 * 4 > 2: the first by name is paid, the other is not; nor is its delta.
    world.windows.terms = 4
    world.clock.advance(HOUR + GRACE)
    assert await world.coordinator().step() == 1
    pages, rare = await world.read(PAGES), await world.read(RARE)
    assert [one.reason for one in rare.missing] == ["budget"]
    assert (len(pages.releases), rare.releases) == (1, [])
    assert world.windows.destroyed == [window]
    assert await _spent(world) == {PAGES: 4}


async def test_a_budget_that_cannot_be_read_grants_nothing(world: World) -> None:
    _filled(world)
    world.clock.advance(HOUR + GRACE)
    await world.coordinator().step()
    [document] = await world.plain.find(Query(BUDGETS, "day"))
    await world.plain.write(Replace(BUDGETS, document.key, {**document.body, "debits": "none"}, document.version))
    _filled(world)
    world.clock.advance(HOUR)
    await world.coordinator().step()
    report = await world.read(PAGES)
    assert len(report.releases) == 1
    assert [one.reason for one in report.missing] == ["budget"]
    assert not world.windows.held


async def test_a_budget_that_is_gone_grants_nothing(world: World) -> None:
    _filled(world)
    world.clock.advance(HOUR + GRACE)
    await world.coordinator().step()
    assert await world.plain.delete_range(BUDGETS, "day", (), world.now, 1000)
    _filled(world)
    world.clock.advance(HOUR)
    await world.coordinator().step()
    assert [one.reason for one in (await world.read(PAGES)).missing] == ["budget"]


@pytest.mark.parametrize("fault", [InvalidError("sealed_data_invalid"), InternalError("counts_form")])
async def test_counts_that_cannot_be_read_are_lost(world: World, fault: Exception) -> None:
    world.clock.advance(GRACE)
    for _ in range(2):
        _filled(world)
        world.clock.advance(HOUR)
        await world.coordinator().step()
        world.windows.fault = fault
    assert [one.reason for one in (await world.read(PAGES)).missing] == ["lost"]
    assert not world.windows.held


async def test_counts_that_cannot_be_read_now_are_read_later(world: World) -> None:
    _filled(world)
    world.clock.advance(HOUR + GRACE)
    world.windows.fault = UnavailableError("kek_absent")
    coordinator = world.coordinator()
    with pytest.raises(UnavailableError):
        await coordinator.step()
    assert world.windows.held
    world.windows.fault = None
    assert await coordinator.step() == 1


async def test_a_downtime_is_lost_and_what_is_due_is_open(world: World) -> None:
    first = _filled(world)
    world.clock.advance(HOUR + GRACE)
    await world.coordinator().step()
    # Three months later: nobody has counted in between.
    world.clock.advance(days=90)
    late = _filled(world)
    report = await world.read(PAGES, first.start, world.now + HOUR)
    assert [(one.start, one.end, one.reason) for one in report.missing] == [(first.start + HOUR, world.hour, "open")]
    world.clock.advance(HOUR + GRACE)
    assert await world.coordinator().step() == 1
    report = await world.read(PAGES, first.start, world.now + HOUR)
    assert [(one.start, one.end, one.reason) for one in report.missing] == [(first.start + HOUR, late.start, "lost")]
    assert len(report.releases) == 2


async def test_windows_without_anybody_who_counts_are_passed_over(world: World) -> None:
    _filled(world)
    world.clock.advance(HOUR + GRACE)
    coordinator = world.coordinator()
    await coordinator.step()
    world.clock.advance(5 * HOUR)
    assert await coordinator.step() == 0
    assert [one.reason for one in (await world.read(PAGES)).missing] == ["lost"]
    # Counts of a window that has been passed over are of no use any more, and must not stay.
    _filled(world, start=world.hour - 2 * HOUR)
    await coordinator.step()
    assert not world.windows.held
    assert len((await world.read(PAGES)).releases) == 1


async def test_what_fails_is_tried_again_until_it_works(world: World) -> None:
    _filled(world)
    world.clock.advance(HOUR + GRACE)
    world.faults.at = 6
    running = asyncio.create_task(world.special(poll=0.01).run())
    async with asyncio.timeout(20):
        await world.windows.emptied.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert world.faults.hit
    assert len((await world.read(PAGES)).releases) == 1
