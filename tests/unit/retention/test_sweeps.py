"""Sweeps: under any policy, clock and history nothing outlives its limit by an interval, and nothing dies early."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.docstore.store import Store
from libs.runtime.errors import SealpostError, UnavailableError
from services.retention.domain.pace import QUICK_SECONDS, Pace
from services.retention.leading.guard import Guard
from services.retention.leading.lease import Fenced, LeaseLostError
from services.retention.ledger.ledger import Ledger
from services.retention.repository.books import Books
from services.retention.sweeping.sweeps import Sweeper, Tools
from tests.unit.retention.fakes import DAY, LEAD, ModelOwner, Thing, TwoHands, following, opened

INTERVAL = 60
HOUR = 3600


class Scene:
    """An owner, and who sweeps it."""

    def __init__(self, store: Store, classes: dict[str, int], service: str = "storage") -> None:
        self.clock = TwoHands()
        self.limits = classes
        self.owner = ModelOwner(service, self.clock, {name: [] for name in classes})
        self.ledger = Ledger(store, self.clock)
        self.guard = Guard(store, self.clock, self.ledger, lambda: DAY)
        self.books = Books(store, Fenced(store))
        self.slept: list[float] = []
        self.sweeper = self.another()

    def another(self, batch: int = 50) -> Sweeper:
        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)
            self.clock.advance(seconds)

        return Sweeper(self.owner, Tools(self.books, self.guard, self.ledger, self.clock, sleep), batch)

    def plant(self, name: str, count: int = 1) -> None:
        thing = Thing(self.clock.passed, self.clock.unix + self.limits[name])
        self.owner.classes[name] += [thing] * count

    async def round(self, seconds: float = INTERVAL) -> None:
        self.clock.advance(seconds)
        await self.guard.observe(True)
        await self.sweeper.run(LEAD)


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


@dataclass(frozen=True)
class History:
    """A policy (limits by class) and what happens under it."""

    limits: dict[str, int]
    moves: list[tuple[str, int]]


LIMITS = st.dictionaries(st.sampled_from("abcd"), st.integers(1, 20 * DAY), min_size=1)
MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("plant"), st.integers(1, 120)),
        st.tuples(st.just("rounds"), st.integers(1, 4)),
        st.tuples(st.just("idle"), st.integers(1, 12 * DAY)),
        st.tuples(st.just("step"), st.integers(-3 * DAY, 3 * DAY)),
        st.tuples(st.just("confirm"), st.just(0)),
        st.tuples(st.just("away"), st.just(0)),
        st.tuples(st.just("killed"), st.just(0)),
    ),
    min_size=3,
    max_size=30,
)
HISTORIES = st.builds(History, LIMITS, MOVES)


async def _live(history: History, path: Path) -> None:
    async with opened(path) as store:
        scene = Scene(store, history.limits)
        await scene.guard.observe(True)
        # When a step of the clock was last taken for true: what was stamped before is not held to what has passed.
        believed = scene.clock.passed
        stepped = False
        for what, size in [*history.moves, ("rounds", 1)]:
            if what == "plant":
                for name in scene.limits:
                    scene.plant(name, size)
            elif what == "idle":
                scene.clock.advance(size)
            elif what == "step":
                scene.clock.step(size)
                stepped = True
            elif what == "away":
                scene.owner.away = not scene.owner.away
            elif what == "killed":
                scene.sweeper = scene.another()
            elif what == "confirm" and scene.guard.held:
                await scene.guard.observe(True)
                await scene.guard.confirm()
                believed, stepped = scene.clock.passed, False
            elif what == "rounds":
                for _ in range(size):
                    await _round(scene)
            if stepped and not scene.guard.held and scene.guard.now() == scene.clock.unix:
                # A step back, or one that stood for a day.
                believed = scene.clock.passed
            for name, thing, died in scene.owner.died:
                if thing.born >= believed or not stepped:
                    early = scene.limits[name] - (died - thing.born)
                    assert early <= 1 or thing.born < believed, f"{name} died {early} s early"
            scene.owner.died.clear()


async def _round(scene: Scene) -> None:
    scene.clock.advance(INTERVAL)
    await scene.guard.observe(True)
    held, before = scene.guard.held, len(scene.owner.died)
    try:
        await scene.sweeper.run(LEAD)
    except UnavailableError:
        assert scene.owner.away
        return
    if held:
        assert len(scene.owner.died) == before, "something died while time was not known"
        return
    now = scene.guard.now()
    for name, things in scene.owner.classes.items():
        over = [thing for thing in things if thing.due <= now]
        assert not over, f"{name}: {len(over)} outlived their time"


@given(HISTORIES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_nothing_outlives_its_limit_and_nothing_dies_early(history: History) -> None:
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(_live(history, Path(directory) / "store"))


@given(LIMITS, st.lists(st.tuples(st.integers(1, 50), st.integers(1, 2 * DAY)), min_size=1, max_size=20))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_with_a_steady_clock_all_live_for_their_limit_and_one_interval(
    limits: dict[str, int], history: list[tuple[int, int]]
) -> None:
    """Rounds come every interval: each item dies at its limit or in the interval after it."""

    async def go(path: Path) -> None:
        async with opened(path) as store:
            scene = Scene(store, limits)
            await scene.guard.observe(True)
            dues: set[int] = set()
            for count, pause in history:
                for name in limits:
                    scene.plant(name, count)
                    dues.add(scene.clock.unix + limits[name])
                scene.clock.advance(min(pause, INTERVAL))
                await scene.guard.observe(True)
                await scene.sweeper.run(LEAD)
            for due in sorted(dues):
                # Rounds in which nothing is over change nothing, and are left out.
                left = due - scene.clock.unix
                if left > 0:
                    scene.clock.advance(left + INTERVAL - 1)
                    await scene.guard.observe(True)
                    await scene.sweeper.run(LEAD)
            assert not any(scene.owner.classes.values())
            for name, thing, died in scene.owner.died:
                assert 0 <= died - thing.born - limits[name] <= INTERVAL

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(go(Path(directory) / "store"))
