"""What happens to one delivered event: handled once, acknowledged after, retried later, given up in the end - aloud.

The broker counts deliveries and knows nothing of reasons. A failure that says "cannot be done now" is retried for as
long as the stream keeps the event. Any other failure is retried with growing pauses up to a limit, and then the event
is dropped, counted and logged: a poisoned event must not come back for ever, nor vanish unseen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from libs.docstore.store import Event
from libs.events.dedupe import DedupeStore
from libs.events.envelope import event_type, trace_of
from libs.runtime.backoff import Backoff
from libs.runtime.errors import UnavailableError
from libs.telemetry import metrics, traces
from libs.telemetry.logs import get_logger

Handler = Callable[[Event], Awaitable[None]]

ACK_WAIT = 60.0
"""Seconds after which the broker delivers again what was neither acknowledged nor refused."""

HANDLER_SECONDS = 45.0
MAX_DELIVERIES = 12
_OUTCOMES = ("handled", "duplicate", "retried", "dead")

_log = get_logger("consumer")
DELIVERIES = metrics.counter(
    "sealpost_events_deliveries_total", "Deliveries of events by what became of them.", {"outcome": _OUTCOMES}
)


class Delivery(Protocol):
    """One delivery of an event by the broker."""

    @property
    def event(self) -> Event | None:
        """The event; None if the message is not one."""

    @property
    def attempt(self) -> int:
        """How often it has been delivered, this time included."""

    async def acknowledge(self) -> None:
        """Tell the broker that it is done."""

    async def retry_after(self, seconds: float) -> None:
        """Ask for another delivery later."""

    async def give_up(self) -> None:
        """Ask for no other delivery."""


@dataclass(frozen=True)
class Consumer:
    """Handles deliveries for the durable consumer `name`."""

    name: str
    handler: Handler
    seen: DedupeStore
    max_deliveries: int = MAX_DELIVERIES
    backoff: Backoff = Backoff(first=0.5, ceiling=120.0, attempts=None)  # noqa: RUF009 - frozen

    async def process(self, delivery: Delivery) -> None:
        """Handle one delivery and tell the broker; raises only what the broker's connection raises."""
        event = delivery.event
        if event is None or delivery.attempt > self.max_deliveries + 1:
            # The last allowed attempt ended without an answer: it took the process with it, or the time.
            await self._bury(delivery, "not_an_event" if event is None else "no_answer")
            return
        try:
            async with asyncio.timeout(HANDLER_SECONDS):
                outcome = await self._handle(event)
        except UnavailableError as error:
            await self._retry(delivery, event, error)
        except Exception as error:
            if delivery.attempt >= self.max_deliveries:
                _log.error("event_failed", consumer=self.name, event_type=event_type(event.subject), error=error)
                await self._bury(delivery, "handler_failed")
            else:
                await self._retry(delivery, event, error)
        else:
            DELIVERIES.inc(outcome=outcome)
            await delivery.acknowledge()

    async def _handle(self, event: Event) -> str:
        if await self.seen.seen(self.name, event.event_id):
            return "duplicate"
        with traces.span("event", trace_of(event), event_type=event_type(event.subject), consumer=self.name):
            await self.handler(event)
        await self.seen.remember(self.name, event.event_id)
        return "handled"

    async def _retry(self, delivery: Delivery, event: Event, error: Exception) -> None:
        DELIVERIES.inc(outcome="retried")
        _log.warning(
            "event_retried",
            consumer=self.name,
            event_type=event_type(event.subject),
            attempt=delivery.attempt,
            error=error,
        )
        await delivery.retry_after(max(0.1, self.backoff.pause(delivery.attempt)))

    async def _bury(self, delivery: Delivery, reason: str) -> None:
        DELIVERIES.inc(outcome="dead")
        _log.error("event_dropped", consumer=self.name, attempt=delivery.attempt, reason=reason)
        await delivery.give_up()
