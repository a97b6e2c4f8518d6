"""A clock that goes only where a test moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 22, 17, 0, 0, tzinfo=UTC)


class ManualClock:
    """A libs.runtime.clock.Clock; wall and monotonic time move together, and never by themselves."""

    def __init__(self, start: datetime = START) -> None:
        """Begin at `start`, aware."""
        self._now = start
        self._monotonic = 1000.0

    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""
        return self._now

    def monotonic(self) -> float:
        """Return seconds of the monotonic clock."""
        return self._monotonic

    def advance(self, seconds: float = 0.0, *, minutes: float = 0.0, hours: float = 0.0, days: float = 0.0) -> None:
        """Move on; never back."""
        step = timedelta(seconds=seconds, minutes=minutes, hours=hours, days=days)
        if step < timedelta(0):
            raise ValueError("time does not go back")
        self._now += step
        self._monotonic += step.total_seconds()
