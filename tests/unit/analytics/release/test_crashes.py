"""A process that dies at any step, before or after what it did there: another goes on, and nothing happens twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from libs.docstore.store import Query
from libs.runtime.errors import UnavailableError
from services.analytics.domain.ports import CutId
from services.analytics.release.outcomes import rows_of
from services.analytics.release.repository import OUTCOMES
from tests.unit.analytics.release.world import DAILY, GRACE, PAGES, RARE, World, counts, make_world

_CUTS = (PAGES, RARE, DAILY)


async def _shown(world: World) -> dict[CutId, list[list[tuple[tuple[str, ...], int, int]]]]:
    return {cut: [rows_of(one) for one in (await world.read(cut)).releases] for cut in _CUTS}


async def _paid(world: World) -> set[CutId]:
    debits = (await world.releases.budget.read([world.day - 86_400]))[world.day - 86_400]
    return {(row.metric, row.cut) for row in debits}


def _fill(world: World) -> None:
    cells = {PAGES: counts({(0, 0): 1000}), RARE: counts({(7, 0): 100_000}), DAILY: counts({(0, 1): 700})}
    world.windows.open("hour", world.day, cells)
    world.windows.open("day", world.day, cells)


async def _released(world: World) -> int:
    return len(await world.plain.find(Query(OUTCOMES, "start")))


async def _die(world: World, step: int, after: bool) -> bool:
    """Have a process die at its step of that number; return whether it got so far."""
    world.faults.steps, world.faults.at, world.faults.after, world.faults.hit = 0, step, after, False
    with pytest.raises(UnavailableError):
        await world.coordinator().step()
        if not world.faults.hit:
            raise UnavailableError("done")
    world.faults.at = 0
    return world.faults.hit


async def _steps(tmp_path: Path) -> int:
    async with make_world(tmp_path / "count") as world:
        _fill(world)
        world.clock.advance(days=1, seconds=GRACE)
        await world.coordinator().step()
        assert await _released(world) == 3
        return world.faults.steps


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_process_may_die_at_any_step(tmp_path: Path, after: bool) -> None:
    steps = await _steps(tmp_path)
    assert steps > 30
    for step in range(1, steps + 1):
        async with make_world(tmp_path / f"{step}") as world:
            _fill(world)
            world.clock.advance(days=1, seconds=GRACE)
            assert await _die(world, step, after)
            seen, paid = await _shown(world), await _paid(world)
            assert {cut for cut, releases in seen.items() if releases} <= paid
            # The lease of the dead is over.
            world.clock.advance(16)
            await world.coordinator().step()
            shown = await _shown(world)
            assert [len(releases) for releases in shown.values()] == [1, 1, 1], step
            assert all(shown[cut] == releases for cut, releases in seen.items() if releases), step
            debits = (await world.releases.budget.read([world.day - 86_400]))[world.day - 86_400]
            assert [row.terms for row in debits] == [1, 1, 1]
            assert not world.windows.held


async def test_processes_may_die_at_every_step(tmp_path: Path) -> None:
    """One after the other, each one step further than the last."""
    async with make_world(tmp_path) as world:
        _fill(world)
        world.clock.advance(days=1, seconds=GRACE)
        seen, step = await _shown(world), 0
        while world.windows.held:
            step += 1
            await _die(world, step, after=bool(step % 2))
            shown = await _shown(world)
            assert all(shown[cut] == releases for cut, releases in seen.items() if releases)
            assert {cut for cut, releases in shown.items() if releases} <= await _paid(world)
            seen = shown
            world.clock.advance(16)
            assert step < 200
        assert [len(releases) for releases in seen.values()] == [1, 1, 1]
