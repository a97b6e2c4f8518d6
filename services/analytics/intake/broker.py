"""The intake's side of NATS: facts and unit logs read by ephemeral consumers of streams in memory, emitters told.

A consumer here is a place to read from, and nothing more: no acknowledgements, nothing kept. After a new connection, or
when a consumer is gone, reading begins again at the beginning of the stream; what has been counted is known by its
numbers. Messages wait in bounded queues: as long as one is full, the server is asked for nothing more.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import nats.js.errors
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy

from libs.events.jetstream import EventBus
from libs.events.link import BROKEN, Session
from libs.events.salts import subject_of
from libs.events.streams import FACTS, SALTS, UNITS, Stream
from libs.runtime import cancelling
from libs.runtime.backoff import Backoff
from libs.runtime.clock import Clock
from libs.runtime.errors import UnavailableError
from libs.telemetry.logs import get_logger
from protos.facts.v1.facts_pb2 import Counted
from services.analytics.intake.ports import Arrived

_API_SECONDS = 3.0
_UNUSED_SECONDS = 60.0
_EXPIRES, _HEARTBEAT = 20.0, 5.0
_BATCH, _BATCH_BYTES = 64, 1024 * 1024
_QUEUE_BYTES = 2 * 1024 * 1024
# About 100,000 facts.
_PLENTY_BYTES = 1_200_000
_END = ("404", "408", "409")

_log = get_logger("intake")


class NatsBroker:
    """Implements services.analytics.intake.ports.Broker."""

    def __init__(self, bus: EventBus, clock: Clock) -> None:
        """Use the connection of `bus`."""
        self._bus = bus
        self._clock = clock
        self._last: Session | None = None
        self._number = 0
        self._waiting = 0
        self._plenty = asyncio.Event()

    @property
    def session(self) -> int:
        """See Broker."""
        try:
            session = self._bus.session
        except UnavailableError:
            return 0
        if session is not self._last:
            self._last, self._number = session, self._number + 1
        return self._number

    def read_facts(self, partition: int) -> NatsFacts:
        """See Broker."""
        return NatsFacts(self._bus, self._clock, partition, self._arrived)

    async def wait(self, seconds: float) -> None:
        """See Broker."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._plenty.wait()
        # A breath between ticks, however much arrives.
        await asyncio.sleep(min(0.05, seconds))

    async def read_units(self, partition: int) -> Sequence[bytes]:
        """See Broker."""
        async with self._connected(UNITS) as session, _consumer(session, UNITS, f"units.{partition}") as source:
            found: list[bytes] = []
            while len(found) < source.pending:
                for message in await source.fetch():
                    found.append(message.data)
            return found

    async def append_units(self, partition: int, messages: Sequence[bytes]) -> int:
        """See Broker."""
        async with self._connected(UNITS) as session:
            broker = session.client.jetstream(timeout=_API_SECONDS)
            places = [(await broker.publish(f"units.{partition}", message)).seq for message in messages]
            return places[0]

    async def purge_units(self, partition: int, before: int) -> None:
        """See Broker."""
        async with self._connected(UNITS) as session:
            broker = session.client.jetstream(timeout=_API_SECONDS)
            await broker.purge_stream(UNITS.name, seq=before, subject=f"units.{partition}")

    async def forget_salt(self, day: int) -> None:
        """See Broker."""
        broker = self._bus.session.client.jetstream(timeout=_API_SECONDS)
        try:
            await broker.purge_stream(SALTS.name, subject=subject_of(day))
        except nats.js.errors.NotFoundError:
            # Nobody has made a salt yet; who counts may not make the stream, nor look into it.
            return
        except (*BROKEN, TimeoutError) as error:
            raise UnavailableError("events_unavailable") from error

    async def confirm(self, counted: Mapping[int, Mapping[int, int]]) -> None:
        """See Broker."""
        async with self._connected(FACTS) as session:
            for emitter, partitions in counted.items():
                rows = [Counted.Partition(partition=number, sequence=last) for number, last in partitions.items()]
                await session.client.publish(f"counted.{emitter:016x}", Counted(partitions=rows).SerializeToString())

    @asynccontextmanager
    async def _connected(self, stream: Stream) -> AsyncIterator[Session]:
        session = self._bus.session
        try:
            await self._bus.describe(session, stream)
            yield session
        except (*BROKEN, TimeoutError) as error:
            raise UnavailableError("events_unavailable") from error

    def _arrived(self, size: int) -> None:
        self._waiting += size
        if self._waiting >= _PLENTY_BYTES:
            self._plenty.set()
        else:
            self._plenty.clear()


class NatsFacts:
    """Implements services.analytics.intake.ports.FactReader."""

    def __init__(self, bus: EventBus, clock: Clock, partition: int, arrived: Callable[[int], None]) -> None:
        """Begin to read at once; `arrived` is told by how many bytes the queue grows or shrinks."""
        self._bus = bus
        self._clock = clock
        self._subject = f"facts.{partition}"
        self._arrived = arrived
        self._queue: deque[Msg] = deque()
        self._bytes = 0
        self._room = asyncio.Event()
        self._room.set()
        self._task = asyncio.create_task(self._read())

    def take(self) -> list[Arrived]:
        """See FactReader."""
        now = self._clock.now().timestamp()
        taken = [Arrived(one.data, max(0.0, now - one.metadata.timestamp.timestamp())) for one in self._queue]
        self._empty()
        return taken

    async def close(self) -> None:
        """See FactReader."""
        await cancelling.end([self._task])
        self._empty()

    def _empty(self) -> None:
        self._arrived(-self._bytes)
        self._bytes = 0
        self._queue.clear()
        self._room.set()

    async def _read(self) -> None:
        async for session in self._bus.sessions():
            async for attempt in Backoff(first=0.2, ceiling=5.0, attempts=None):
                if session.ended.is_set():
                    break
                self._empty()
                try:
                    await self._bus.describe(session, FACTS)
                    async with _consumer(session, FACTS, self._subject) as source:
                        await self._pull(session, source)
                except (*BROKEN, UnavailableError, TimeoutError) as error:
                    if attempt in (5, 20) or attempt % 100 == 0:
                        _log.warning("facts_not_read", attempt=attempt, error=error)

    async def _pull(self, session: Session, source: _Source) -> None:
        while not session.ended.is_set():
            await self._room.wait()
            for message in await source.fetch():
                self._queue.append(message)
                self._bytes += len(message.data)
                self._arrived(len(message.data))
            if self._bytes >= _QUEUE_BYTES:
                self._room.clear()


class _Source:
    """One ephemeral consumer, asked for some messages at a time."""

    def __init__(self, session: Session, request: str, inbox: str, pending: int) -> None:
        self._session = session
        self._request = request
        self._inbox = inbox
        self._open, self._left = False, 0
        self.pending = pending
        self.messages: asyncio.Queue[Msg] = asyncio.Queue()

    async def fetch(self) -> list[Msg]:
        """Wait for messages and return what is there. Raises: UnavailableError where the server says nothing at all."""
        if not self._open:
            request = {
                "batch": _BATCH,
                "max_bytes": _BATCH_BYTES,
                "expires": int(_EXPIRES * 1e9),
                "idle_heartbeat": int(_HEARTBEAT * 1e9),
            }
            await self._session.client.publish(self._request, json.dumps(request).encode(), reply=self._inbox)
            self._open, self._left = True, _BATCH
        found = [self._judged(await self._next())]
        while not self.messages.empty():
            found.append(self._judged(self.messages.get_nowait()))
        return [message for message in found if message is not None]

    def _judged(self, message: Msg) -> Msg | None:
        status = (message.headers or {}).get("Status")
        if status is None:
            self._left -= 1
            self._open = self._left > 0
            return message
        if status in _END and "Deleted" not in (message.headers or {}).get("Description", ""):
            self._open = False
        elif status != "100":
            raise UnavailableError("events_unavailable")
        return None

    async def _next(self) -> Msg:
        async with asyncio.timeout(2.5 * _HEARTBEAT):
            getting = asyncio.ensure_future(self.messages.get())
            ended = asyncio.ensure_future(self._session.ended.wait())
            try:
                await asyncio.wait((getting, ended), return_when=asyncio.FIRST_COMPLETED)
                if getting.done():
                    return getting.result()
                raise UnavailableError("events_unavailable")
            finally:
                getting.cancel()
                ended.cancel()


@asynccontextmanager
async def _consumer(session: Session, stream: Stream, subject: str) -> AsyncIterator[_Source]:
    """Read `subject` from the beginning. The server forgets the consumer itself if we cannot say goodbye."""
    name = f"intake-{secrets.token_hex(8)}"
    client = session.client
    broker = client.jetstream(timeout=_API_SECONDS)
    config = ConsumerConfig(
        name=name,
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.NONE,
        filter_subject=subject,
        inactive_threshold=_UNUSED_SECONDS,
        mem_storage=True,
        num_replicas=1,
    )
    info = await broker.add_consumer(stream.name, config=config)
    inbox = client.new_inbox()
    request = f"$JS.API.CONSUMER.MSG.NEXT.{stream.name}.{name}"
    source = _Source(session, request, inbox, info.num_pending or 0)
    subscription = await client.subscribe(inbox, cb=source.messages.put)
    try:
        yield source
    finally:
        if client.is_connected:
            with suppress(*BROKEN, TimeoutError):  # it is unused from now on, and the server lets it go after a minute
                await subscription.unsubscribe()
                await broker.delete_consumer(stream.name, name)
