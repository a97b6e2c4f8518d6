"""A durable JetStream consumer, drained by pull requests: the broker sends only what was asked for.

One request is open at a time, for as many messages as may be handled at once; it lasts until they have come or its time
is over, and the broker's heartbeats tell a quiet stream from a dead connection. Messages are handled concurrently.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import Protocol

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from libs.docstore.store import Event
from libs.events.consumer import ACK_WAIT, Consumer
from libs.events.envelope import event_of
from libs.events.link import BROKEN, Session
from libs.events.streams import stream_of
from libs.runtime.errors import UnavailableError
from libs.telemetry.logs import get_logger

_log = get_logger("consumer")

IN_FLIGHT = 64
_EXPIRES = 30.0
_HEARTBEAT = 5.0
_API_SECONDS = 5.0


@dataclass
class JetStreamDelivery:
    """Implements libs.events.consumer.Delivery on a NATS message."""

    message: Msg

    @property
    def event(self) -> Event | None:
        """See Delivery."""
        return event_of(self.message.subject, self.message.headers, self.message.data)

    @property
    def attempt(self) -> int:
        """See Delivery."""
        return self.message.metadata.num_delivered or 1

    async def acknowledge(self) -> None:
        """See Delivery."""
        await self.message.ack()

    async def retry_after(self, seconds: float) -> None:
        """See Delivery."""
        await self.message.nak(delay=seconds)

    async def give_up(self) -> None:
        """See Delivery."""
        await self.message.term()


class Taker(Protocol):
    """Takes the messages of one durable consumer; outlives connections."""

    @property
    def name(self) -> str:
        """Name of the durable consumer."""

    @property
    def in_flight(self) -> int:
        """How many messages to ask for at once."""

    async def room(self) -> None:
        """Wait until another message may be handled."""

    async def begin(self, message: Msg) -> None:
        """Take `message`, once there is room; it is handled in the background."""

    async def close(self) -> None:
        """Cut off what is under way; the broker will deliver it again."""


async def ensure_consumer(client: Client, durable: str, subject: str, in_flight: int = IN_FLIGHT) -> None:
    """Make the durable consumer, or bring it to this definition."""
    config = ConsumerConfig(
        name=durable,
        durable_name=durable,
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=ACK_WAIT,
        max_deliver=-1,
        max_ack_pending=4 * in_flight,
        filter_subject=subject,
    )
    await client.jetstream(timeout=_API_SECONDS).add_consumer(stream_of(subject).name, config=config)


class Workers:
    """Implements Taker: handles deliveries one by one, concurrently, so that no handler is cut off by a connection."""

    in_flight = IN_FLIGHT

    def __init__(self, consumer: Consumer) -> None:
        """Begin with nothing under way."""
        self.consumer = consumer
        self._slots = asyncio.Semaphore(IN_FLIGHT)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def name(self) -> str:
        """See Taker."""
        return self.consumer.name

    async def room(self) -> None:
        """See Taker."""
        async with self._slots:
            return

    async def begin(self, message: Msg) -> None:
        """See Taker."""
        await self._slots.acquire()
        task = asyncio.create_task(self._process(message))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """See Taker."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _process(self, message: Msg) -> None:
        try:
            await self.consumer.process(JetStreamDelivery(message))
        except BROKEN as error:
            # The answer was lost with the connection; the event comes again and is found to be handled.
            _log.info("event_unanswered", consumer=self.consumer.name, error=error)
        finally:
            self._slots.release()


class Puller:
    """Feeds a taker over one connection; `run` lasts until the connection or the consumer fails."""

    def __init__(self, session: Session, subject: str, taker: Taker) -> None:
        """Prepare; nothing is asked for before `run`."""
        self._session = session
        self._taker = taker
        self._request = f"$JS.API.CONSUMER.MSG.NEXT.{stream_of(subject).name}.{taker.name}"
        self._arrived: asyncio.Queue[Msg] = asyncio.Queue()

    async def run(self) -> None:
        """Ask, handle, ask again. Raises: UnavailableError when the broker falls silent, refuses or is gone."""
        client = self._session.client
        inbox = client.new_inbox()
        subscription = await client.subscribe(inbox, cb=self._arrived.put)
        pulling = asyncio.create_task(self._pull(inbox))
        ended = asyncio.create_task(self._session.ended.wait())
        try:
            await asyncio.wait((pulling, ended), return_when=asyncio.FIRST_COMPLETED)
            if pulling.done():
                await pulling
            raise UnavailableError("events_unavailable")
        finally:
            pulling.cancel()
            ended.cancel()
            await asyncio.gather(pulling, ended, return_exceptions=True)
            if client.is_connected:
                await subscription.unsubscribe()

    async def _pull(self, inbox: str) -> None:
        while True:
            await self._taker.room()
            wanted = self._taker.in_flight
            request = {"batch": wanted, "expires": int(_EXPIRES * 1e9), "idle_heartbeat": int(_HEARTBEAT * 1e9)}
            await self._session.client.publish(self._request, json.dumps(request).encode(), reply=inbox)
            while wanted:
                message = await self._next()
                status = (message.headers or {}).get("Status")
                if status is None:
                    wanted -= 1
                    await self._taker.begin(message)
                elif status in ("404", "408"):
                    break  # the request is over: no more came in its time
                elif status != "100":
                    raise UnavailableError("events_unavailable")

    async def _next(self) -> Msg:
        try:
            async with asyncio.timeout(2.5 * _HEARTBEAT):
                return await self._arrived.get()
        except TimeoutError as error:
            raise UnavailableError("events_unavailable") from error
