"""Attempts end, pauses grow, and nobody knows exactly when the next one comes."""

from __future__ import annotations

import pytest

from libs.runtime.backoff import Backoff


class Sleeper:
    def __init__(self) -> None:
        self.pauses: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.pauses.append(seconds)


def longest(low: float, high: float) -> float:
    return high


async def test_pauses_double_up_to_the_ceiling_and_attempts_end() -> None:
    sleeper = Sleeper()
    backoff = Backoff(0.1, 1.0, 7, sleep=sleeper, uniform=longest)
    assert [attempt async for attempt in backoff] == [1, 2, 3, 4, 5, 6, 7]
    assert sleeper.pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.0, 1.0])


async def test_the_first_attempt_does_not_wait_and_success_stops() -> None:
    sleeper = Sleeper()
    async for attempt in Backoff(sleep=sleeper):
        if attempt == 2:
            break
    assert len(sleeper.pauses) == 1


async def test_it_may_be_used_again() -> None:
    backoff = Backoff(attempts=2, sleep=Sleeper())
    assert [[attempt async for attempt in backoff] for _ in range(2)] == [[1, 2], [1, 2]]


async def test_jitter_is_full() -> None:
    bounds: list[tuple[float, float]] = []

    def record(low: float, high: float) -> float:
        bounds.append((low, high))
        return low

    _ = [attempt async for attempt in Backoff(0.5, 4.0, 4, sleep=Sleeper(), uniform=record)]
    assert bounds == [(0.0, 0.5), (0.0, 1.0), (0.0, 2.0)]


async def test_without_end_it_goes_on_and_the_pause_stays_at_the_ceiling() -> None:
    backoff = Backoff(0.1, 5.0, None, sleep=Sleeper(), uniform=longest)
    async for attempt in backoff:
        if attempt == 3000:
            break
    assert backoff.pause(3000) == 5.0
