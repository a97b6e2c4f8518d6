"""Deliveries of a durable consumer, handled many at a time.

    messages ─▶ what has come while the last batch was handled ─▶ one call of the handler ─▶ each acknowledged

The handler makes a batch durable in one go, and finds by itself what it has had before: whatever fails, of it or of an
acknowledgement, is delivered again. So there is no memory of handled events beside it, and one write pays for many. A
batch that fails for a reason of its own is handled event by event, so that the one at fault is found; that one is
retried and given up in the end as libs.events.consumer does it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from nats.aio.msg import Msg

from libs.docstore.store import Event
from libs.events.consumer import DELIVERIES, HANDLER_SECONDS, MAX_DELIVERIES
from libs.events.link import BROKEN
from libs.events.pull import JetStreamDelivery
from libs.runtime.backoff import Backoff
from libs.runtime.errors import UnavailableError
from libs.telemetry.logs import get_logger

BATCH = 1000
BatchHandler = Callable[[Sequence[Event]], Awaitable[None]]

_log = get_logger("consumer")
_Got = tuple[JetStreamDelivery, Event]


class Batches:
    """Implements pull.Taker: gathers messages, at most twice `most`, and hands them on, one batch at a time."""

    def __init__(self, name: str, handler: BatchHandler, most: int = BATCH) -> None:
        """Hand on batches of at most `most` for the durable consumer `name`."""
        self._name = name
        self._handler = handler
        self._most = most
        self._slots = asyncio.Semaphore(2 * most)
        self._waiting: asyncio.Queue[Msg] = asyncio.Queue()
        self._backoff = Backoff(first=0.5, ceiling=120.0, attempts=None)
        self._running: asyncio.Task[None] | None = None

    @property
    def name(self) -> str:
        """See Taker."""
        return self._name

    @property
    def in_flight(self) -> int:
        """See Taker."""
        return self._most

    async def room(self) -> None:
        """See Taker."""
        async with self._slots:
            return

    async def begin(self, message: Msg) -> None:
        """See Taker."""
        await self._slots.acquire()
        self._waiting.put_nowait(message)
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())

    async def close(self) -> None:
        """See Taker."""
        if self._running is not None:
            self._running.cancel()
            with suppress(asyncio.CancelledError):
                await self._running

    async def _run(self) -> None:
        """Handle what waits, until nothing does."""
        while not self._waiting.empty():
            messages = [self._waiting.get_nowait() for _ in range(min(self._most, self._waiting.qsize()))]
            try:
                await self._handle(messages)
            except BROKEN as error:
                # Answers were lost with the connection; what was handled comes again, and is known.
                _log.info("event_unanswered", consumer=self._name, error=error)
            finally:
                for _ in messages:
                    self._slots.release()

    async def _handle(self, messages: Sequence[Msg]) -> None:
        got: list[_Got] = []
        for message in messages:
            delivery = JetStreamDelivery(message)
            event = delivery.event
            if event is None or delivery.attempt > MAX_DELIVERIES + 1:
                await self._bury(delivery, "not_an_event" if event is None else "no_answer")
            else:
                got.append((delivery, event))
        if not got:
            return
        try:
            await self._call(got)
        except UnavailableError as error:
            await self._retry(got, error)
        except Exception:
            for one in got:
                await self._alone(one)
        else:
            await _acknowledge(got)

    async def _alone(self, one: _Got) -> None:
        try:
            await self._call([one])
        except UnavailableError as error:
            await self._retry([one], error)
        except Exception as error:
            if one[0].attempt < MAX_DELIVERIES:
                await self._retry([one], error)
            else:
                _log.error("event_failed", consumer=self._name, error=error)
                await self._bury(one[0], "handler_failed")
        else:
            await _acknowledge([one])

    async def _call(self, got: Sequence[_Got]) -> None:
        try:
            async with asyncio.timeout(HANDLER_SECONDS):
                await self._handler([event for _, event in got])
        except TimeoutError as error:
            raise UnavailableError("events_slow") from error

    async def _retry(self, got: Sequence[_Got], error: Exception) -> None:
        DELIVERIES.inc(len(got), outcome="retried")
        attempt = min(delivery.attempt for delivery, _ in got)
        _log.warning("events_retried", consumer=self._name, count=len(got), attempt=attempt, error=error)
        for delivery, _ in got:
            await delivery.retry_after(max(0.1, self._backoff.pause(delivery.attempt)))

    async def _bury(self, delivery: JetStreamDelivery, reason: str) -> None:
        DELIVERIES.inc(outcome="dead")
        _log.error("event_dropped", consumer=self._name, attempt=delivery.attempt, reason=reason)
        await delivery.give_up()


async def _acknowledge(got: Sequence[_Got]) -> None:
    DELIVERIES.inc(len(got), outcome="handled")
    for delivery, _ in got:
        await delivery.acknowledge()
