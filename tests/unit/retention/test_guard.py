"""Trusted time: whatever the clock does, nothing is taken to be later than it is, and a jump stops everything."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.docstore.store import Store
from libs.runtime.errors import ConflictError, UnavailableError
from services.retention.leading.guard import Guard
from services.retention.ledger.ledger import Ledger
from tests.unit.retention.fakes import DAY, TwoHands, opened

HOUR = 3600


class Watch:
    """A guard, its clock and its ledger."""

    def __init__(self, store: Store, clock: TwoHands | None = None) -> None:
        self.store = store
        self.clock = clock or TwoHands()
        self.ledger = Ledger(store, self.clock)
        self.guard = Guard(store, self.clock, self.ledger, lambda: DAY)

    async def look(self, seconds: float = 0.0, step: float = 0.0) -> None:
        self.clock.advance(seconds)
        self.clock.step(step)
        await self.guard.observe(True)

    def again(self) -> Watch:
        """Return the guard of the next process, whose monotonic clock has another start."""
        clock = TwoHands()
        clock.wall, clock.passed = self.clock.wall, 5.0
        return Watch(self.store, clock)

    async def kinds(self) -> list[str]:
        return [entry.kind for entry in await self.ledger.read(1, 100)]


@pytest.fixture
async def watch(tmp_path: Path) -> AsyncIterator[Watch]:
    async with opened(tmp_path / "store") as store:
        yield Watch(store)


async def test_before_the_first_look_time_is_not_known(watch: Watch) -> None:
    with pytest.raises(UnavailableError):
        watch.guard.now()
    await watch.look()
    assert watch.guard.now() == watch.clock.unix


async def test_a_steady_clock_is_believed(watch: Watch) -> None:
    for _ in range(100):
        await watch.look(HOUR)
    assert watch.guard.now() == watch.clock.unix
    assert await watch.kinds() == []


@pytest.mark.parametrize("step", [DAY + 10, 400 * DAY, -DAY - 10, -400 * DAY])
async def test_a_jump_stops_everything_until_it_is_confirmed(watch: Watch, step: int) -> None:
    await watch.look()
    watch.clock.step(step)
    # Also before anybody has looked.
    with pytest.raises(UnavailableError, match="clock_held"):
        watch.guard.now()
    await watch.look(60)
    state = await watch.guard.state()
    assert (state.held, abs(state.seconds - step) <= 2) == (True, True)
    # Set right again it is still not trusted: somebody has to look.
    await watch.look(60, -step)
    assert watch.guard.held
    await watch.guard.confirm()
    await watch.look()
    assert watch.guard.now() == watch.clock.unix
    assert await watch.kinds() == ["clock_held", "clock_confirmed"]
    with pytest.raises(ConflictError, match="clock_steady"):
        await watch.guard.confirm()


async def test_steps_add_up(watch: Watch) -> None:
    await watch.look()
    for _ in range(4):
        await watch.look(60, 7 * HOUR)
    assert watch.guard.held


async def test_after_a_small_step_forward_the_earlier_time_counts_for_a_day(watch: Watch) -> None:
    await watch.look()
    await watch.look(60, 3 * HOUR)
    assert watch.guard.now() == watch.clock.unix - 3 * HOUR
    for _ in range(23):
        await watch.look(HOUR)
    assert watch.guard.now() == watch.clock.unix - 3 * HOUR
    await watch.look(2 * HOUR)
    await watch.look(1)
    assert watch.guard.now() == watch.clock.unix


async def test_after_a_small_step_back_wall_time_counts(watch: Watch) -> None:
    await watch.look()
    await watch.look(60, -3 * HOUR)
    assert watch.guard.now() == watch.clock.unix


async def test_what_came_in_while_the_clock_was_behind_does_not_die_early(watch: Watch) -> None:
    await watch.look()
    await watch.look(60, -3 * HOUR)
    stamped = watch.clock.unix
    await watch.look(60, 3 * HOUR)
    assert watch.guard.now() - stamped == 60


@pytest.mark.parametrize("step", [DAY + 100, -DAY - 100])
async def test_the_next_process_goes_by_what_was_seen(watch: Watch, step: int) -> None:
    await watch.look()
    await watch.look(60)
    watch.clock.step(step)
    then = watch.again()
    await then.look()
    assert then.guard.held
    # And so does the one after it, which has seen no jump itself.
    last = then.again()
    await last.look(60)
    assert last.guard.held
    await last.guard.confirm()
    await last.look()
    assert not last.guard.held
    # The one that was waiting takes the word of the store.
    await then.guard.observe(False)
    assert not then.guard.held


async def test_a_short_stop_is_no_jump(watch: Watch) -> None:
    await watch.look()
    watch.clock.step(5 * HOUR)
    then = watch.again()
    await then.look()
    assert then.guard.now() == then.clock.unix


async def test_who_waited_for_long_goes_by_its_own_clocks(watch: Watch) -> None:
    await watch.look()
    other = watch.again()
    await other.guard.observe(False)
    other.clock.advance(3 * DAY)
    await other.look()
    assert not other.guard.held


async def test_a_second_replica_does_not_trust_before_somebody_leads(tmp_path: Path) -> None:
    async with opened(tmp_path / "store") as store:
        watch = Watch(store)
        await watch.guard.observe(False)
        assert watch.guard.held


MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.integers(1, 2 * DAY)),
        st.tuples(st.just("step"), st.integers(-3 * DAY, 3 * DAY)),
        st.tuples(st.just("restart"), st.integers(0, 2 * DAY)),
        st.tuples(st.just("confirm"), st.just(0)),
    ),
    max_size=25,
)


@given(MOVES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_time_is_never_later_than_it_is(moves: list[tuple[str, int]]) -> None:
    """Trusted time never runs ahead of wall time, nor, until a step is believed, ahead of what has passed."""

    async def go(path: Path) -> None:
        async with opened(path) as store:
            watch = Watch(store)
            await watch.look()
            base, believed = watch.clock.unix, watch.clock.passed
            for what, seconds in moves:
                if what == "pass":
                    watch.clock.advance(seconds)
                elif what == "step":
                    watch.clock.step(seconds)
                elif what == "restart":
                    watch.clock.advance(seconds)
                    watch = watch.again()
                elif watch.guard.held and (await watch.guard.state()).held:
                    await watch.guard.confirm()
                    base, believed = watch.clock.unix, watch.clock.passed
                await watch.look()
                if what == "restart" and not watch.guard.held:
                    base, believed = watch.clock.unix, watch.clock.passed
                if watch.guard.held:
                    with pytest.raises(UnavailableError):
                        watch.guard.now()
                    continue
                now = watch.guard.now()
                assert now <= watch.clock.unix
                if now > base + (watch.clock.passed - believed) + 1:
                    # A step that stood for a day, and was no more than a day.
                    assert now - base - (watch.clock.passed - believed) <= DAY + 1
                    assert watch.clock.passed - believed >= DAY
                    base, believed = watch.clock.unix, watch.clock.passed

    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(go(Path(directory) / "store"))
