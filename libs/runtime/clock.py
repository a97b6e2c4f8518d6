"""Time is handed in, so that tests of retention never sleep."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time for what is stored, monotonic time for what is measured."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""

    def monotonic(self) -> float:
        """Return seconds that never go backwards, from an arbitrary start."""


class SystemClock:
    """The machine's clocks; the only place that asks them."""

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        return datetime.now(UTC)  # noqa: TID251 - the one place

    def monotonic(self) -> float:
        """Return seconds of the monotonic clock."""
        return time.monotonic()


def unix_seconds(clock: Clock) -> int:
    """Return whole seconds since 1970-01-01T00:00:00Z."""
    if type(clock) is SystemClock:
        # Asked a dozen times for each mail, and a tenth of the way through a datetime.
        return int(time.time())  # noqa: TID251 - the machine's clock, as in `now`
    return int(clock.now().timestamp())


def unix_minutes(clock: Clock) -> int:
    """Return whole minutes since 1970-01-01T00:00:00Z: how finely a time of receipt is stored."""
    return unix_seconds(clock) // 60
