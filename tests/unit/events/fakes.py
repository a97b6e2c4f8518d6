"""Fakes at our own Protocols."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from libs.docstore.store import Event
from libs.runtime.errors import InvalidError, UnavailableError


class ManualClock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


class FakeBus:
    """Takes events while it is up; refuses for ever what `refused` names."""

    def __init__(self) -> None:
        self.up = True
        self.published: list[str] = []
        self.refused: set[str] = set()
        self.under_way = 0
        self.most_at_once = 0

    async def publish(self, event: Event) -> None:
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        if event.event_id in self.refused:
            raise InvalidError("event_refused")
        if not self.up:
            raise UnavailableError("events_unavailable")
        self.published.append(event.event_id)


class FakeHealth:
    """Remembers checks."""

    def __init__(self) -> None:
        self.checks: dict[str, Callable[[], Awaitable[bool]]] = {}

    def add(self, name: str, check: Callable[[], Awaitable[bool]], *, required: bool = True) -> None:
        assert not required
        self.checks[name] = check


class FakeDelivery:
    """One delivery; remembers the answer."""

    def __init__(self, event: Event | None, attempt: int = 1) -> None:
        self.event = event
        self.attempt = attempt
        self.answer = ""
        self.pause = 0.0

    async def acknowledge(self) -> None:
        self.answer = "acknowledged"

    async def retry_after(self, seconds: float) -> None:
        self.answer, self.pause = "retried", seconds

    async def give_up(self) -> None:
        self.answer = "given up"
