"""Sweeps: what goes, what is written down, what happens where somebody is away, slow, or no leader any more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.runtime.errors import SealpostError, UnavailableError
from services.retention.domain.pace import QUICK_SECONDS, Pace
from services.retention.leading.lease import LeaseLostError
from tests.unit.retention.fakes import DAY, LEAD, following, opened
from tests.unit.retention.sweeping_scene import INTERVAL, Scene

HOUR = 3600


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with opened(tmp_path / "store") as store:
        made = Scene(store, {"session": 1800, "mail": 4 * DAY})
        await made.guard.observe(True)
        yield made


async def test_what_is_over_goes_and_nothing_else(scene: Scene) -> None:
    scene.plant("session", 120)
    scene.plant("mail", 3)
    for _ in range(29):
        await scene.round()
    assert scene.owner.died == []
    await scene.round()
    assert len(scene.owner.died) == 120
    assert len(scene.owner.classes["mail"]) == 3
    book = (await scene.books.read(["storage"]))[0]
    assert (book.lines["session"].deleted, book.lines["session"].count) == (120, 0)
    assert book.lines["mail"].first_due == scene.owner.classes["mail"][0].due
    assert book.lines["mail"].overdue == 0


async def test_the_ledger_grows_by_the_hour(scene: Scene) -> None:
    for _ in range(4 * 60):
        scene.plant("session")
        await scene.round()
    entries = await scene.ledger.read(1, 100)
    assert {entry.kind for entry in entries} == {"sweep"}
    hours = [entry.data["hour"] for entry in entries]
    assert len(hours) == len(set(hours)) <= 4
    told = sum(int(entry.data["deleted"]) for entry in entries)
    open_sum = (await scene.books.read(["storage"]))[0].sum
    assert told + open_sum == len(scene.owner.died) > 100


async def test_a_sum_is_told_once_however_often_it_is_begun(scene: Scene) -> None:
    scene.plant("session", 5)
    await scene.round(1800)
    stale = (await scene.books.read(["storage"]))[0]
    scene.clock.advance(HOUR)
    await scene.guard.observe(True)
    await scene.sweeper.run(LEAD)
    # As if the process had been killed after the entry, and before the book was written.
    fresh = await scene.books.open(LEAD, "storage")
    fresh.lines = stale.lines
    await scene.books.write(LEAD, fresh)
    await scene.another().run(LEAD)
    entries = await scene.ledger.read(1, 10)
    assert [entry.data["deleted"] for entry in entries] == [5]


async def test_nothing_is_swept_while_the_clock_is_held_but_looked_at(scene: Scene) -> None:
    scene.plant("session")
    await scene.round()
    await scene.round(2)
    scene.clock.step(10 * DAY)
    await scene.round()
    assert scene.owner.died == []
    line = (await scene.books.read(["storage"]))[0].lines["session"]
    assert line.asked == scene.clock.unix and line.overdue > 9 * DAY
    await scene.guard.confirm()
    await scene.round()
    assert len(scene.owner.died) == 1


async def test_a_jump_amid_a_round_ends_it(scene: Scene) -> None:
    scene.plant("session", 200)
    scene.clock.advance(1800)
    await scene.guard.observe(True)
    book = await scene.books.open(LEAD, "storage")
    book.hold(await scene.owner.inventory(), scene.clock.unix)
    await scene.books.write(LEAD, book)
    swept = scene.owner.sweep

    async def jumping(name: str, until: int, limit: int) -> object:
        answer = await swept(name, until, limit)
        scene.clock.step(2 * DAY)
        return answer

    scene.owner.sweep = jumping  # type: ignore[method-assign, assignment]
    with pytest.raises(UnavailableError, match="clock_held"):
        await scene.sweeper.run(LEAD)
    assert len(scene.owner.died) <= 50


async def test_one_class_keeps_no_other_waiting(scene: Scene) -> None:
    scene.plant("session", 1000)
    scene.plant("mail", 60)
    scene.clock.advance(4 * DAY + 1)
    await scene.guard.observe(True)
    await scene.sweeper.run(LEAD)
    assert len(scene.owner.died) == 1060
    names = [name for name, _ in scene.owner.asked]
    assert names[:4] == ["session", "mail", "session", "mail"]


async def test_an_owner_that_is_away_is_reported_and_asked_again(scene: Scene) -> None:
    scene.plant("session")
    await scene.round(INTERVAL)
    scene.owner.away = True
    with pytest.raises(UnavailableError):
        await scene.round(1800)
    scene.owner.away = False
    await scene.round()
    assert len(scene.owner.died) == 1


async def test_one_class_that_fails_does_not_stop_the_others(scene: Scene) -> None:
    scene.plant("session")
    scene.plant("mail")
    await scene.round()
    swept = scene.owner.sweep

    async def picky(name: str, until: int, limit: int) -> object:
        if name == "mail":
            raise UnavailableError("busy")
        return await swept(name, until, limit)

    scene.owner.sweep = picky  # type: ignore[method-assign, assignment]
    with pytest.raises(SealpostError):
        await scene.round(5 * DAY)
    assert [name for name, _, _ in scene.owner.died] == ["session"]
    lines = (await scene.books.read(["storage"]))[0].lines
    assert (lines["mail"].fault, lines["session"].fault) == ("busy", "")


async def test_a_slow_owner_is_asked_for_less_and_left_alone_for_longer(scene: Scene) -> None:
    scene.plant("session", 900)
    scene.clock.advance(1800)
    await scene.guard.observe(True)
    scene.owner.slow = 1.0
    scene.sweeper = scene.another(batch=400)
    await scene.sweeper.run(LEAD)
    assert len(scene.owner.died) == 900
    assert min(limit for _, limit in scene.owner.asked) <= 100
    assert scene.slept and all(pause == pytest.approx(3.0) for pause in scene.slept)


def test_the_pace_recovers() -> None:
    pace = Pace(2000)
    assert pace.took(QUICK_SECONDS / 2) == 0 and pace.limit == 2000
    pauses = [pace.took(seconds) for seconds in (0.5, 1.0, 2.0, 60.0)]
    assert pauses == sorted(pauses) and pauses[-1] <= 20.0
    assert pace.limit == 125
    for _ in range(10):
        pace.took(0.01)
    assert pace.limit == 2000
    for _ in range(30):
        pace.took(100)
    assert pace.limit == 50


async def test_who_does_not_lead_any_more_does_not_write(scene: Scene) -> None:
    await scene.round()
    await scene.another().run(following(LEAD))
    with pytest.raises(LeaseLostError):
        await scene.sweeper.run(LEAD)
