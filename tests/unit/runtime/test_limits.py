"""Limits count what they must not remember."""

from __future__ import annotations

import gc

import pytest

from libs.runtime.errors import ExhaustedError
from libs.runtime.limits import KeyedGauge, KeyedLimiter
from tests.support.clock import ManualClock

ADDRESS = "198.51.100.7"


def test_up_to_the_limit_then_the_rest_of_the_window() -> None:
    clock = ManualClock()
    limiter = KeyedLimiter(3, 60.0, 100, clock)
    assert [limiter.allow(ADDRESS) for _ in range(3)] == [0.0, 0.0, 0.0]
    clock.advance(20)
    assert limiter.allow(ADDRESS) == pytest.approx(40.0)
    clock.advance(40)
    assert limiter.allow(ADDRESS) == 0.0


def test_keys_do_not_touch_each_other() -> None:
    limiter = KeyedLimiter(1, 60.0, 100, ManualClock())
    assert limiter.allow("a") == 0.0
    assert limiter.allow("b") == 0.0
    assert limiter.allow("a") > 0


def test_text_and_its_bytes_are_one_key() -> None:
    limiter = KeyedLimiter(1, 60.0, 100, ManualClock())
    assert limiter.allow("ä") == 0.0
    assert limiter.allow("ä".encode()) > 0


def test_weights_add_up_and_what_is_refused_is_not_counted() -> None:
    limiter = KeyedLimiter(10, 60.0, 100, ManualClock())
    assert limiter.allow("a", 8) == 0.0
    assert limiter.allow("a", 3) > 0
    assert limiter.allow("a", 2) == 0.0
    assert limiter.allow("a", 0) == 0.0
    assert limiter.allow("b", 11) > 0


def test_asking_does_not_count() -> None:
    limiter = KeyedLimiter(1, 60.0, 100, ManualClock())
    assert limiter.allow("a", 0) == 0.0
    assert len(limiter) == 0


def test_memory_is_bounded_and_a_flood_does_not_push_out_who_keeps_coming() -> None:
    limiter = KeyedLimiter(1000, 60.0, 50, ManualClock())
    for number in range(500):
        limiter.allow(f"flood {number}")
        limiter.allow(ADDRESS)
    assert len(limiter) == 50
    assert limiter.allow(ADDRESS, 501) > 0


def test_nothing_is_left_of_a_key_when_its_window_is_over() -> None:
    clock = ManualClock()
    limiter = KeyedLimiter(5, 60.0, 100, clock)
    limiter.allow(ADDRESS)
    first = _contents(limiter)
    clock.advance(61)
    limiter.allow(ADDRESS)
    second = _contents(limiter)
    # Another secret, so the same key cannot be recognised from window to window; and never the key itself.
    assert first.isdisjoint(second)
    assert ADDRESS.encode() not in b"".join(first | second)


def test_a_fresh_limiter_hashes_differently() -> None:
    limiters = [KeyedLimiter(5, 60.0, 100, ManualClock()) for _ in range(2)]
    for limiter in limiters:
        limiter.allow(ADDRESS)
    assert _contents(limiters[0]).isdisjoint(_contents(limiters[1]))


def test_surrogates_are_no_reason_to_fail() -> None:
    assert KeyedLimiter(1, 1.0, 1, ManualClock()).allow("a\udcff") == 0.0


def test_holds_end_with_their_block() -> None:
    gauge = KeyedGauge(2, 100)
    with gauge.hold(ADDRESS), gauge.hold(ADDRESS):
        with pytest.raises(ExhaustedError, match="too_many_at_once"), gauge.hold(ADDRESS):
            pytest.fail("a third hold")
        with gauge.hold("203.0.113.9"):
            assert len(gauge) == 2
    assert len(gauge) == 0
    with gauge.hold(ADDRESS):
        assert len(gauge) == 1


def test_a_hold_ends_when_its_block_fails() -> None:
    gauge = KeyedGauge(1, 1)
    with pytest.raises(RuntimeError), gauge.hold(ADDRESS):
        raise RuntimeError
    assert len(gauge) == 0


def test_a_full_gauge_refuses_new_keys_but_not_known_ones() -> None:
    gauge = KeyedGauge(5, 2)
    with gauge.hold("a"), gauge.hold("b"), gauge.hold("a"):
        with pytest.raises(ExhaustedError, match="gauge_full"), gauge.hold("c"):
            pytest.fail("a third key")


@pytest.mark.parametrize("bounds", [(-1, 1.0, 1), (1, 0.0, 1), (1, 1.0, 0)])
def test_bounds_of_a_limiter(bounds: tuple[int, float, int]) -> None:
    with pytest.raises(ValueError, match="bounds"):
        KeyedLimiter(*bounds, ManualClock())


@pytest.mark.parametrize("bounds", [(0, 1), (1, 0)])
def test_bounds_of_a_gauge(bounds: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="bounds"):
        KeyedGauge(*bounds)


def _contents(limiter: KeyedLimiter) -> set[bytes]:
    """Return all byte strings that the limiter refers to."""
    found: set[bytes] = set()
    seen: set[int] = set()
    todo: list[object] = [vars(limiter)]
    while todo:
        thing = todo.pop()
        if id(thing) in seen or isinstance(thing, type):
            continue
        seen.add(id(thing))
        if isinstance(thing, bytes):
            found.add(thing)
        elif isinstance(thing, dict):
            todo += [*thing.keys(), *thing.values()]
        else:
            todo += gc.get_referents(thing) if isinstance(thing, list | tuple | set) else []
    return found
