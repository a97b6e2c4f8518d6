"""Which windows a fact counts in: its own UTC day and hour, or the next open hour of the day where its own is closed.

A bound holds for a day, so a fact never moves to another one: it would count beside the facts of a unit that looks
different there, under another salt. Closing is one moment (`closed_until`, Unix seconds): what ended by then takes
nothing any more. A day ends together with its last hour, so a fact whose day is open always has an hour that is, and a
fact either counts in all cuts of its metric or, too late, in none.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from libs.telemetry import facts
from services.analytics.domain.ports import DAY_SECONDS, Window

SLOT_SECONDS = facts.SLOT_SECONDS
"""Length of the stretch that a column of facts tells as its time (protos/facts)."""


def end_of(window: Window, hour_seconds: int) -> int:
    """Return the Unix second at which `window` is over."""
    return window.start + (hour_seconds if window.kind == "hour" else DAY_SECONDS)


def over(windows: Iterable[Window], until: int, hour_seconds: int) -> list[Window]:
    """Return the windows that ended at or before `until`, those that ended first first."""
    ended = [window for window in windows if end_of(window, hour_seconds) <= until]
    return sorted(ended, key=lambda window: (end_of(window, hour_seconds), window))


@dataclass(frozen=True)
class Placed:
    """Where facts count, one row each: Unix seconds at which their hour and their day begin; `late`: nowhere."""

    hours: NDArray[np.int64]
    days: NDArray[np.int64]
    late: NDArray[np.bool_]


def place(slots: NDArray[np.int64], closed_until: int, hour_seconds: int) -> Placed:
    """Return the windows of facts of these stretches. `hour_seconds` must divide a day."""
    seconds = slots * SLOT_SECONDS
    days = seconds - seconds % DAY_SECONDS
    first_open = closed_until - closed_until % hour_seconds
    hours = np.maximum(seconds - seconds % hour_seconds, first_open)
    return Placed(hours, days, days + DAY_SECONDS <= closed_until)
