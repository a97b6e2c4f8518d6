"""The event bus on NATS JetStream: publish with acknowledgement, listen live, consume durably.

A live subscription is a plain NATS subscription: it needs no right on the stream and leaves nothing at the broker.
What it can miss it says: after every new connection, and whenever messages were dropped, `gap` is called, so that the
listener can look for itself. Work that must not be missed goes through a durable consumer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import nats.errors
import nats.js.errors
from nats.aio.msg import Msg
from nats.js.client import JetStreamContext

from libs.docstore.store import Event
from libs.events.batches import BATCH, Batches, BatchHandler
from libs.events.consumer import Consumer, Handler
from libs.events.dedupe import DedupeStore, RecentIds
from libs.events.envelope import event_of, event_type, headers_of, trace_of
from libs.events.link import BROKEN, Address, Link, Session
from libs.events.pull import Puller, Taker, Workers, ensure_consumer
from libs.events.streams import Stream, stream_of
from libs.rpc.tls import TlsFiles
from libs.runtime import cancelling
from libs.runtime.backoff import Backoff
from libs.runtime.errors import InvalidError, UnavailableError
from libs.runtime.secret import Secret
from libs.telemetry import traces
from libs.telemetry.logs import get_logger

Gap = Callable[[], Awaitable[None]]

_log = get_logger("events")
_ACK_SECONDS = 5.0
_CLUSTER = 3
_LIVE_MESSAGES, _LIVE_BYTES = 10_000, 4 * 1024 * 1024


class EventBus:
    """Publishes and receives events; outlives any one connection."""

    def __init__(self, link: Link, replicas: int) -> None:
        """Use `connect`."""
        self._link = link
        self._replicas = replicas
        self._described: tuple[Session | None, set[str]] = (None, set())
        self._describing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    async def connect(cls, url: str, user: str, password: Secret[str], tls: TlsFiles | None, name: str) -> EventBus:
        """Begin to connect and return at once: a service starts, and mail flows, without NATS.

        `url` may list the servers of a cluster, separated by commas; with three or more, streams have three replicas.
        """
        address = Address(url, user, password, tls, name)
        bus = cls(Link(address), _CLUSTER if len(address.servers) >= _CLUSTER else 1)
        bus._keep(bus._link.run())
        return bus

    async def close(self) -> None:
        """Stop every subscription and disconnect; unacknowledged events will be delivered again. Idempotent."""
        await cancelling.end(self._tasks)

    async def healthy(self) -> bool:
        """Tell whether there is a connection now."""
        return self._link.is_up

    async def connected(self) -> None:
        """Wait until there is a connection."""
        async for _session in self._link.sessions():
            return

    @property
    def session(self) -> Session:
        """The connection as it is now. Raises: UnavailableError("events_unavailable")."""
        return self._link.session

    def sessions(self) -> AsyncIterator[Session]:
        """Yield each connection once, waiting for the next: for what is not an event."""
        return self._link.sessions()

    async def describe(self, session: Session, stream: Stream) -> None:
        """Make `stream`, or bring it to our definition. Raises: UnavailableError("events_unavailable")."""
        try:
            async with asyncio.timeout(2 * _ACK_SECONDS):
                await self._describe(session, session.client.jetstream(timeout=_ACK_SECONDS), stream)
        except BROKEN as error:
            raise UnavailableError("events_unavailable") from error

    async def publish(self, event: Event) -> None:
        """Publish `event` and return once the broker has it on disk; a repeated id within ten minutes is dropped there.

        Raises: UnavailableError("events_unavailable"), InvalidError("event_refused") for what the broker will never
        take.
        """
        session = self._link.session
        try:
            stream = stream_of(event.subject)
            broker = session.client.jetstream(timeout=_ACK_SECONDS)
            async with asyncio.timeout(2 * _ACK_SECONDS):  # the library's limit begins after it has sent
                await self._describe(session, broker, stream)
                await broker.publish(event.subject, event.payload, headers=headers_of(event))
        except (nats.errors.MaxPayloadError, nats.errors.BadSubjectError, ValueError) as error:
            raise InvalidError("event_refused") from error
        except nats.js.errors.BadRequestError as error:
            raise InvalidError("event_refused") from error
        except BROKEN as error:
            raise UnavailableError("events_unavailable") from error

    async def subscribe_all(self, subject: str, handler: Handler, gap: Gap | None = None) -> None:
        """Hear every event on `subject` from now on, in this process; returns at once, stops with the bus.

        `handler` is called one event at a time, and what it raises is logged. `gap` is called after each connection
        but the first and after dropped messages: events may have been missed.
        """
        self._keep(self._listen(subject, handler, gap))

    async def consume(self, durable: str, subject: str, handler: Handler, seen: DedupeStore) -> None:
        """Handle every event on `subject` once, sharing the work with all processes that use the name `durable`.

        Returns at once, stops with the bus. See libs.events.consumer for retries.
        """
        self._keep(self._pull(subject, Workers(Consumer(durable, handler, seen))))

    async def consume_batches(self, durable: str, subject: str, handler: BatchHandler, most: int = BATCH) -> None:
        """Handle the events on `subject` by batches of at most `most`, each event at least once.

        Returns at once, stops with the bus. The handler knows for itself what it has handled: see libs.events.batches.
        """
        self._keep(self._pull(subject, Batches(durable, handler, most)))

    def _keep(self, coroutine: Awaitable[None]) -> None:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Future[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("events_task_failed", error=error)

    async def _describe(self, session: Session, broker: JetStreamContext, stream: Stream) -> None:
        """Make the stream, or bring it to our definition, once in each connection."""
        if self._described[0] is session and stream.name in self._described[1]:
            return
        async with self._describing:
            if self._described[0] is not session:
                self._described = (session, set())
            if stream.name in self._described[1]:
                return
            config = stream.config(self._replicas)
            try:
                await broker.add_stream(config)
            except nats.js.errors.BadRequestError:
                await broker.update_stream(config)  # it exists with another definition
            self._described[1].add(stream.name)

    async def _listen(self, subject: str, handler: Handler, gap: Gap | None) -> None:
        recent = RecentIds()
        first = True
        async for session in self._link.sessions():

            async def on_message(message: Msg) -> None:
                event = event_of(message.subject, message.headers, message.data)
                if event is not None and recent.add(event.event_id):
                    with traces.within(trace_of(event)):
                        await _guarded(handler(event), event.subject)

            try:
                await session.client.subscribe(
                    subject, cb=on_message, pending_msgs_limit=_LIVE_MESSAGES, pending_bytes_limit=_LIVE_BYTES
                )
                await session.client.flush()
            except BROKEN as error:
                _log.warning("events_subscribe_failed", event_type=event_type(subject), error=error)
                continue
            if not first and gap is not None:
                await _guarded(gap(), subject)
            first = False
            await _watch_gaps(session, subject, gap)

    async def _pull(self, subject: str, taker: Taker) -> None:
        try:
            async for session in self._link.sessions():
                async for attempt in Backoff(first=0.2, ceiling=10.0, attempts=None):
                    if session.ended.is_set():
                        break
                    try:
                        # It may be here before anybody has published.
                        await self.describe(session, stream_of(subject))
                        await ensure_consumer(session.client, taker.name, subject, taker.in_flight)
                        await Puller(session, subject, taker).run()
                    except (*BROKEN, UnavailableError) as error:
                        if attempt in (5, 20) or attempt % 100 == 0:
                            _log.warning("events_consume_failed", consumer=taker.name, attempt=attempt, error=error)
        finally:
            await taker.close()


async def _watch_gaps(session: Session, subject: str, gap: Gap | None) -> None:
    known = session.gaps
    while not session.ended.is_set():
        try:
            async with asyncio.timeout(1.0):
                await session.ended.wait()
        except TimeoutError:
            if session.gaps != known and gap is not None:
                known = session.gaps
                await _guarded(gap(), subject)


async def _guarded(call: Awaitable[None], subject: str) -> None:
    try:
        await call
    except Exception as error:
        _log.error("event_listener_failed", event_type=event_type(subject), error=error)
