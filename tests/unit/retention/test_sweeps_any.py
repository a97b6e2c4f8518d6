"""Under any policy, clock and history nothing outlives its limit by an interval, and nothing dies early."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.runtime.errors import UnavailableError
from tests.unit.retention.fakes import DAY, LEAD, opened
from tests.unit.retention.sweeping_scene import INTERVAL, Scene


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
        believed = float("-inf")
        stepped_at = float("inf")
        for what, size in [*history.moves, ("rounds", 1)]:
            if what == "plant":
                for name in scene.limits:
                    scene.plant(name, size)
            elif what == "idle":
                scene.clock.advance(size)
            elif what == "step":
                scene.clock.step(size)
                stepped_at = scene.clock.passed
            elif what == "away":
                scene.owner.away = not scene.owner.away
            elif what == "killed":
                scene.sweeper = scene.another()
            elif what == "confirm" and scene.guard.held:
                await scene.guard.observe(True)
                await scene.guard.confirm()
                believed, stepped_at = scene.clock.passed, float("inf")
            elif what == "rounds":
                for _ in range(size):
                    await _round(scene)
            if scene.clock.passed - stepped_at >= DAY and not scene.guard.held:
                # A step that has stood for a day is believed, as soon as somebody looks.
                believed = scene.clock.passed
            for name, thing, died in scene.owner.died:
                if thing.born > believed:
                    early = scene.limits[name] - (died - thing.born)
                    assert early <= 1, f"{name} died {early} s early"
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
