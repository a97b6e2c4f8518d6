"""Windows: which one a fact is in, when it ends, and where facts go whose hour is closed."""

from __future__ import annotations

import numpy as np
import pytest

from services.analytics.domain.ports import DAY_SECONDS, Window
from services.analytics.domain.windows import end_of, over, place

_DAY = 20_000 * DAY_SECONDS


@pytest.mark.parametrize("hour_seconds", [2, 10, 60, 3600])
def test_a_fact_is_in_the_hour_and_day_of_its_stretch(hour_seconds: int) -> None:
    """Whatever the length of the short window."""
    slots = np.array([_DAY // 10, _DAY // 10 + 359, _DAY // 10 + 8639])
    placed = place(slots, 0, hour_seconds)
    for slot, hour, day in zip(slots, placed.hours, placed.days, strict=True):
        assert hour <= slot * 10 < hour + hour_seconds
        assert hour % hour_seconds == 0
        assert day == _DAY
    assert not placed.late.any()


@pytest.mark.parametrize("hour_seconds", [2, 10, 60, 3600])
def test_what_is_closed_takes_nothing(hour_seconds: int) -> None:
    """A fact moves to the first open hour of its own day, or is late."""
    slots = np.arange(_DAY // 10, _DAY // 10 + 8640, 30)
    for closed_until in (_DAY, _DAY + 3600, _DAY + 5 * hour_seconds, _DAY + DAY_SECONDS - hour_seconds):
        placed = place(slots, closed_until, hour_seconds)
        assert not placed.late.any()
        assert np.all(placed.hours + hour_seconds > closed_until)
        assert np.all(placed.hours < _DAY + DAY_SECONDS)
        assert np.all(placed.hours % hour_seconds == 0)
    assert place(slots, _DAY + DAY_SECONDS, hour_seconds).late.all()


def test_windows_that_are_over_come_in_the_order_of_their_ends() -> None:
    """A day ends with its last hour."""
    hours = [Window("hour", _DAY + hour * 3600) for hour in (23, 0, 1)]
    windows = [Window("day", _DAY), *hours]
    assert over(windows, _DAY + 7200, 3600) == [hours[1], hours[2]]
    assert over(windows, _DAY + DAY_SECONDS - 1, 3600) == [hours[1], hours[2]]
    assert over(windows, _DAY + DAY_SECONDS, 3600) == [hours[1], hours[2], windows[0], hours[0]]
    assert end_of(windows[0], 3600) == end_of(hours[0], 3600)
