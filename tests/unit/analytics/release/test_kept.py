"""What is kept of releases: documents and their parts, created once, read as they were meant, swept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from libs.docstore.store import Query
from libs.owner.owner import Owner
from libs.policy import Terms, load_policy
from libs.runtime.errors import UnavailableError
from services.analytics.domain.ports import DAY_SECONDS
from services.analytics.held import make_held
from services.analytics.release.budget import BUDGETS
from services.analytics.release.outcomes import Place, Unreleased, rows_of
from services.analytics.release.reading import Report
from services.analytics.release.repository import OUTCOMES, PARTS, OutcomeRepository
from tests.unit.analytics.release.world import GRACE, HOUR, PAGES, POLICY, RARE, World, counts, make_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with make_world(tmp_path) as world:
        yield world


async def _release(world: World) -> None:
    world.windows.open("hour", world.hour, {PAGES: counts({(0, 0): 1000})})
    world.clock.advance(HOUR + GRACE)
    await world.coordinator().step()


def _cells(report: Report, at: int = 0) -> list[tuple[tuple[str, ...], int, int]]:
    return rows_of(report.releases[at])


async def test_an_outcome_is_created_once(world: World) -> None:
    outcomes = OutcomeRepository(world.plain)
    place = Place(*PAGES, "hour-0", 0, HOUR)
    assert await outcomes.keep(Unreleased(place, "budget"))
    assert not await outcomes.keep(Unreleased(place, "lost"))
    assert [one.reason for one in (await world.read(PAGES, 0, HOUR)).missing] == ["budget"]


async def test_a_large_release_is_in_parts(world: World) -> None:
    rows = {(key, 0): 100_000 + key for key in range(1, 51)}
    window = world.windows.open("hour", world.hour, {RARE: counts(rows)})
    world.clock.advance(HOUR + GRACE)
    await world.special(cells=7).step()
    assert len(await world.plain.find(Query(PARTS, "start", (), window.start, window.start))) == 8
    cells = _cells(await world.read(RARE))
    assert [key for _, _, key in cells] == list(range(1, 51))
    assert all(abs(value - 100_000) < 1000 for _, value, _ in cells)
    [document] = await world.plain.find(Query(OUTCOMES, "series", ("answers.by_campaign",)))
    assert document.body["values"] == b""


async def test_parts_of_a_draw_that_was_cut_off_are_removed(world: World) -> None:
    world.windows.open("hour", world.hour, {RARE: counts({(key, 0): 100_000 for key in range(1, 51)})})
    world.clock.advance(HOUR + GRACE)
    for step in range(1, 60):
        world.faults.steps, world.faults.at, world.faults.hit = 0, step, False
        try:
            await world.special(cells=7).step()
        except UnavailableError:
            world.clock.advance(16)
        if len((await world.read(RARE)).releases) == 1 and not world.windows.held:
            break
    world.faults.at = 0
    await world.special(cells=7).step()
    parts = await world.plain.find(Query(PARTS, "start"))
    assert len(parts) == 8
    assert len({part.body["draw"] for part in parts}) == 1
    assert len(_cells(await world.read(RARE))) == 50


async def test_codes_outside_of_the_vocabularies_are_left_out(world: World) -> None:
    world.windows.open("hour", world.hour, {PAGES: counts({(0, 0): 10, (0, 99): 10**9}), RARE: counts({(1, 3): 10**9})})
    world.clock.advance(HOUR + GRACE)
    await world.coordinator().step()
    assert all(abs(value) < 1000 for _, value, _ in _cells(await world.read(PAGES)))
    assert _cells(await world.read(RARE)) == []


async def test_a_release_keeps_the_words_of_its_time(world: World) -> None:
    await _release(world)
    changed = POLICY.model_dump()
    changed["metrics"]["pages"]["dimensions"]["page"] = ("start", "home", "other")
    world.policy = type(POLICY).model_validate(changed)
    await _release(world)
    report = await world.read(PAGES)
    assert [_cells(report, at)[0][0] for at in (0, 1)] == [("home", "ok"), ("start", "ok")]


async def test_releases_are_swept(world: World) -> None:
    await _release(world)
    owner = Owner(make_held(world.plain, Terms(load_policy())), world.plain, world.clock)

    async def sweep() -> int:
        return sum([(await owner.sweep(name, world.now, 1000)).deleted for name in ("release", "privacy_budget")])

    assert await sweep() == 0
    assert (await world.read(PAGES)).releases
    old = world.now - DAY_SECONDS
    world.clock.advance(days=1830)
    assert await sweep() > 1
    assert (await world.read(PAGES, old, old + 2 * DAY_SECONDS)).releases == []
    assert await world.plain.find(Query(BUDGETS, "day")) == []


async def test_values_are_kept_as_integers(world: World) -> None:
    await _release(world)
    [document] = await world.plain.find(Query(OUTCOMES, "series", ("pages.by_page",)))
    assert not any(isinstance(value, float) for value in document.body.values())
    assert np.frombuffer(cast(bytes, document.body["values"]), "<i8").tolist() == [
        value for _, value, _ in _cells(await world.read(PAGES))
    ]
