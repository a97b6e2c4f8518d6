"""Counting in columns gives what counting fact by fact gives: any order, any split, any partitions, any restart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from services.analytics.domain.bounding import Used
from services.analytics.domain.counting import PartitionCounter
from services.analytics.domain.ports import DAY_SECONDS, Window
from tests.unit.analytics.naive import DAY, HOUR, METRICS, PARTITIONS, START, Fact, Naive, cells_of, feed

_SIZES = {name: math.prod(map(len, metric.dimensions.values())) for name, metric in METRICS.items()}


@st.composite
def _facts(draw: st.DrawFn) -> Fact:
    name = draw(st.sampled_from(sorted(METRICS)))
    return Fact(
        metric=name,
        slot=START // 10 + draw(st.sampled_from([0, 359, 360, 4000, 8639])),
        unit=draw(st.one_of(st.integers(0, 20), st.just(2**64 - 1))),
        cell=draw(st.integers(0, _SIZES[name] - 1)),
        key=draw(st.integers(0, 3)) if METRICS[name].key else 0,
    )


def _parts(facts: Sequence[Fact], edges: Sequence[int]) -> list[Sequence[Fact]]:
    places = sorted({0, len(facts), *(edge % (len(facts) + 1) for edge in edges)})
    return [facts[start:end] for start, end in pairwise(places)]


def _again(counter: PartitionCounter) -> PartitionCounter:
    """Return a new one that took the state of `counter` over."""
    fresh = PartitionCounter(METRICS, HOUR)
    for day, used in counter.used().items():
        fresh.put_used(day, used)
    for window in [Window("hour", START + hour * HOUR) for hour in range(24)] + [Window("day", START)]:
        fresh.put_cells(window, counter.cells(window))
    return fresh


def _naive(facts: Sequence[Fact]) -> Naive:
    naive = Naive()
    for fact in facts:
        naive.count(fact)
    return naive


@given(facts=st.lists(_facts(), max_size=80), edges=st.lists(st.integers(0, 1000), max_size=6), restart=st.booleans())
@settings(max_examples=120, deadline=None)
def test_any_split_and_restart_counts_like_one_fact_at_a_time(
    facts: list[Fact], edges: list[int], restart: bool
) -> None:
    """The cells and the totals are those of the naive counter."""
    counter = PartitionCounter(METRICS, HOUR)
    counted = 0
    for part in _parts(facts, edges):
        tick = feed(counter, part)
        counted += sum(fates.counted for fates in tick.fates.values())
        assert sum(fates.counted + fates.over_bound for fates in tick.fates.values()) == len(part)
        counter = _again(counter) if restart else counter
    naive = _naive(facts)
    assert cells_of(counter) == {place: dict(cells) for place, cells in naive.cells.items()}
    assert counted == sum(naive.used.values())


@given(facts=st.lists(_facts(), max_size=60), edges=st.lists(st.integers(0, 1000), max_size=4))
@settings(max_examples=60, deadline=None)
def test_what_a_commit_changed_is_enough_to_continue_from(facts: list[Fact], edges: list[int]) -> None:
    """Replaying the changes of all commits, some twice, gives the state."""
    counter, follower = PartitionCounter(METRICS, HOUR), PartitionCounter(METRICS, HOUR)
    for part in _parts(facts, edges):
        for day, used in feed(counter, part).units.items():
            follower.put_used(day, used)
            follower.put_used(day, used)
    assert _state(follower) == _state(counter)


def _state(counter: PartitionCounter) -> dict[int, dict[int, int]]:
    return {
        day: dict(zip(used.units.tolist(), used.used.tolist(), strict=True)) for day, used in counter.used().items()
    }


@given(facts=st.lists(_facts(), max_size=80), seed=st.randoms(use_true_random=False))
@settings(max_examples=60, deadline=None)
def test_partitions_and_order_keep_the_bounds(facts: list[Fact], seed: object) -> None:
    """Eight partitions, fed in another order, admit as much of each unit, and never more than its bound."""
    shuffled = list(facts)
    seed.shuffle(shuffled)  # type: ignore[attr-defined]
    counters = [PartitionCounter(METRICS, HOUR, number) for number in range(PARTITIONS)]
    for number, counter in enumerate(counters):
        feed(counter, [fact for fact in shuffled if fact.unit % PARTITIONS == number])
    one_by_one = _naive(shuffled)
    assert cells_of(*counters) == {place: dict(cells) for place, cells in one_by_one.cells.items()}
    assert one_by_one.used == _naive(facts).used


@given(facts=st.lists(_facts(), min_size=1, max_size=60))
@settings(max_examples=60, deadline=None)
def test_a_unit_moves_a_cut_by_its_bound_at_most(facts: list[Fact]) -> None:
    """With and without one unit, the cells of a cut differ by per_unit at most, in sum over all windows of the day."""
    without = PartitionCounter(METRICS, HOUR)
    feed(without, [fact for fact in facts if fact.unit != facts[0].unit])
    with_it = PartitionCounter(METRICS, HOUR)
    feed(with_it, facts)
    before, after = cells_of(without), cells_of(with_it)
    moved: dict[tuple[str, str], int] = {}
    for window, cut in after:
        cells, others = after[window, cut], before.get((window, cut), {})
        change = sum(abs(cells.get(cell, 0) - others.get(cell, 0)) for cell in cells.keys() | others.keys())
        moved[cut] = moved.get(cut, 0) + change
    assert all(change <= METRICS[metric].per_unit for (metric, _), change in moved.items())


def test_a_unit_with_a_million_facts_moves_a_cell_by_its_bound() -> None:
    """10^6 facts in 100 calls."""
    counter = PartitionCounter(METRICS, HOUR)
    feed(counter, [Fact("pages", START // 10, unit, cell=2) for unit in range(1, 8)])
    flood = [Fact("pages", START // 10, 99, cell=2)] * 10_000
    for _ in range(100):
        feed(counter, flood)
    assert cells_of(counter)[Window("day", START), ("pages", "all")] == {(0, 0): 7 + METRICS["pages"].per_unit}


def test_many_units_fill_and_grow_the_memory_without_a_loss() -> None:
    """Distinct is exact over 100,000 units, each of which comes three times, in three calls and after a restart."""
    counter = PartitionCounter(METRICS, HOUR)
    units = np.random.default_rng(3).permutation(100_000)
    for _ in range(3):
        feed(counter, [Fact("daily", START // 10, unit) for unit in units.tolist()])
        counter = _again(counter)
    assert cells_of(counter)[Window("day", START), ("daily", "all")] == {(0, 0): 100_000}
    assert counter.remembered == 100_000
    assert counter.nbytes < 40 * 100_000


def test_only_what_counts_is_remembered() -> None:
    """A unit that comes with ever new keys takes no more memory than its bound."""
    counter = PartitionCounter(METRICS, HOUR)
    for start in (0, 500):
        feed(counter, [Fact("keyed", START // 10, 1, key=key) for key in range(start, start + 500)])
    assert counter.remembered == METRICS["keyed"].per_unit + 1


def test_late_facts_go_to_the_next_open_hour_of_their_day() -> None:
    """Hours that are closed take nothing; the day takes them as before; after the day they are late."""
    counter = PartitionCounter(METRICS, HOUR)
    facts = [Fact("pages", START // 10, unit) for unit in (1, 2)]
    feed(counter, facts[:1])
    tick = feed(counter, facts[1:], closed_until=START + 2 * HOUR)
    assert tick.windows == {Window("hour", START + 2 * HOUR), Window("day", START)}
    assert cells_of(counter)[Window("day", START), ("pages", "all")] == {(0, 0): 2}
    late = feed(counter, facts, closed_until=START + DAY_SECONDS)
    assert (late.windows, late.units, late.days) == (set(), {}, frozenset())
    assert late.fates["pages"].late == 2


@given(facts=st.lists(_facts(), max_size=60), closed=st.integers(0, 25))
@settings(max_examples=60, deadline=None)
def test_closing_in_the_middle_counts_like_one_fact_at_a_time(facts: list[Fact], closed: int) -> None:
    """Half of the facts come after hours were closed."""
    counter, naive = PartitionCounter(METRICS, HOUR), Naive()
    half, until = len(facts) // 2, START + min(closed, 24) * HOUR
    feed(counter, facts[:half])
    tick = feed(counter, facts[half:], closed_until=until)
    for place, fact in enumerate(facts):
        naive.count(fact, until if place >= half else 0)
    assert cells_of(counter) == {place: dict(cells) for place, cells in naive.cells.items()}
    assert sum(fates.late for fates in tick.fates.values()) == naive.late


def test_days_are_bounded_apart_and_forgotten_when_over() -> None:
    """A unit counts again on the next day; what is closed is let go, what is open stays."""
    counter = PartitionCounter(METRICS, HOUR)
    tick = feed(counter, [Fact("daily", (START + DAY_SECONDS) // 10 - place, 7) for place in (0, 1, 0)])
    assert set(tick.units) == {DAY, DAY + 1}
    assert tick.days == {(DAY, 5), (DAY + 1, 5)}
    counter.forget(START + DAY_SECONDS)
    assert set(counter.used()) == {DAY + 1}
    assert set(cells_of(counter)) == {(Window("day", START + DAY_SECONDS), ("daily", "all"))}


def test_columns_of_a_window_never_change_once_handed_out() -> None:
    """Somebody may encode them in another thread."""
    counter = PartitionCounter(METRICS, HOUR)
    feed(counter, [Fact("pages", START // 10, 1)])
    cells = counter.cells(Window("day", START))["pages", "all"]
    feed(counter, [Fact("pages", START // 10, 2)])
    assert cells.counts.tolist() == [1]


def test_later_rows_of_a_restored_state_replace_earlier_ones() -> None:
    """Also within one call."""
    counter = PartitionCounter(METRICS, HOUR)
    counter.put_used(DAY, Used(np.array([5, 6, 5], np.uint64), np.array([1, 2, 3], np.uint16)))
    assert _state(counter) == {DAY: {5: 3, 6: 2}}
