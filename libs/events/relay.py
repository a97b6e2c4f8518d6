"""Publishes what documents announce: read what is pending, publish in parallel, forget what the broker has on disk.

The truth is in the documents, so the relay keeps nothing that matters: an announcement only wakes it, and a scan at the
start and now and then finds whatever an announcement did not lead to. It pauses for a moment once it is woken: under
load, reading what is pending and forgetting it then serves a batch, not a commit of two or three mails. While the
broker is away it holds one batch and waits; commits go on. An event can be published twice (the process dies before it
forgets), never not at all; its id makes the second one harmless.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from libs.docstore.store import Event, PendingEvent, Store
from libs.runtime.backoff import Backoff
from libs.runtime.clock import Clock
from libs.runtime.errors import SealpostError, UnavailableError
from libs.telemetry import metrics
from libs.telemetry.logs import get_logger

_BATCH = 500
_GATHER_SECONDS = 0.05
_SCAN_SECONDS = 15.0
_STUCK_SECONDS = 120.0
_MAX_REFUSED = 1000

_log = get_logger("relay")
_published = metrics.counter("sealpost_events_published_total", "Events that the broker has acknowledged.")
_refused = metrics.counter("sealpost_events_refused_total", "Attempts to publish an event that the broker refused.")
_waiting = metrics.gauge("sealpost_events_waiting", "Events of the last batch that are not yet published.")


class Publisher(Protocol):
    """Where events go; EventBus is one."""

    async def publish(self, event: Event) -> None:
        """Publish and return once it is durable. Raises: UnavailableError, or InvalidError if never."""


class Checks(Protocol):
    """Where a health check is announced; libs.runtime.health.Health is one."""

    def add(self, name: str, check: Callable[[], Awaitable[bool]], *, required: bool = True) -> None:
        """Add a named check."""


class Relay:
    """Moves pending events of one store to the broker; `run` does the work until cancelled."""

    def __init__(self, store: Store, bus: Publisher, clock: Clock, health: Checks) -> None:
        """Prepare. Its health says that the loop turns, not that the broker is there: mail flows without it."""
        self._store = store
        self._bus = bus
        self._clock = clock
        self._wake = asyncio.Event()
        self._refused: set[str] = set()
        self._turned = clock.monotonic()
        self._backoff = Backoff(first=0.1, ceiling=5.0, attempts=None)
        health.add("relay", self.healthy, required=False)

    def announce(self) -> None:
        """Tell that something with events has been committed. Cheap; may be called for each commit."""
        self._wake.set()

    async def run(self) -> None:
        """Publish what is pending, now and whenever announced, until cancelled."""
        while True:
            self._wake.clear()
            await self._drain()
            try:
                async with asyncio.timeout(_SCAN_SECONDS):
                    await self._wake.wait()
            except TimeoutError:
                self._refused.clear()
            else:
                await asyncio.sleep(_GATHER_SECONDS)

    async def _drain(self) -> None:
        async for attempt in self._backoff:
            self._turned = self._clock.monotonic()
            try:
                while await self._step():
                    self._turned = self._clock.monotonic()
            except SealpostError as error:
                if attempt in (1, 10) or attempt % 100 == 0:
                    _log.warning("relay_waits", attempt=attempt, error=error)
                continue
            return

    async def _step(self) -> bool:
        """Publish one batch; tell whether more was pending. What comes meanwhile is announced anew.

        Raises: UnavailableError.
        """
        limit = _BATCH + len(self._refused)
        pending = await self._store.pending_events(limit)
        batch = [item for item in pending if item.event.event_id not in self._refused][:_BATCH]
        _waiting.set(len(batch))
        if not batch:
            return False
        outcomes = await asyncio.gather(*(self._publish(item) for item in batch))
        done = [item for item, outcome in zip(batch, outcomes, strict=True) if outcome is None]
        if done:
            await self._store.clear_events(done)
            _published.inc(len(done))
        self._note_refused(batch, outcomes)
        for outcome in outcomes:
            if isinstance(outcome, UnavailableError):
                raise outcome
        _waiting.set(0)
        return len(pending) == limit

    async def _publish(self, item: PendingEvent) -> SealpostError | None:
        try:
            await self._bus.publish(item.event)
        except SealpostError as error:
            return error
        return None

    def _note_refused(self, batch: Sequence[PendingEvent], outcomes: Sequence[SealpostError | None]) -> None:
        for item, outcome in zip(batch, outcomes, strict=True):
            if outcome is None or isinstance(outcome, UnavailableError):
                continue
            _refused.inc()
            _log.error("event_refused", event_type=item.event.subject, error=outcome)
            if len(self._refused) < _MAX_REFUSED:
                self._refused.add(item.event.event_id)

    async def healthy(self) -> bool:
        """Tell whether the loop has turned lately, with or without success."""
        return self._clock.monotonic() - self._turned < _STUCK_SECONDS
