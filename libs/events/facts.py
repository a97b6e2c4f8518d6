"""Takes facts from their columns to the stream, and holds them until they are counted.

Each second the columns that have been recorded become batches, one after the other for each partition of the units,
numbered without gaps. A batch is published and held; analytics says how far it has counted, on disk, and what is
counted is let go. With a new connection, whose server may have lost its memory, everything held is published again in
order, and where a confirmation stays away too (facts_held.py): who counts goes by the numbers and counts each batch
once. What is held is bounded in bytes and in time; what falls out is lost, counted as lost, and `floor` tells who
counts not to wait for it.
"""

from __future__ import annotations

import asyncio
import secrets

from google.protobuf.message import DecodeError
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from libs.events.facts_held import Held, Partition, Piece, batches, encode, with_floor
from libs.events.jetstream import EventBus
from libs.events.link import BROKEN, Session
from libs.events.salts import Salts
from libs.events.streams import FACTS, SALTS
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import UnavailableError
from libs.telemetry import metrics
from libs.telemetry.facts import DAY_SECONDS, LOST, PARTITIONS, Facts
from libs.telemetry.logs import get_logger
from protos.facts.v1.facts_pb2 import Counted

_UNCONFIRMED = metrics.gauge("sealpost_facts_unconfirmed", "Facts recorded and not yet counted.")
_SALTED = metrics.gauge("sealpost_facts_salted", "1 while facts can be recorded: the salt of the day is known.")
_EVERY_SECONDS = 1.0
_MOST_BYTES = 32 * 1024 * 1024
_MOST_SECONDS = 30 * 60.0
# What a held batch takes beside its bytes.
_FRAME_BYTES = 300
_ACK_SECONDS = 5.0
# The salt of the next day is made so long before it begins.
_AHEAD_SECONDS = 120
_LAST_SECONDS = 3.0

_log = get_logger("facts")


class FactsPublisher:
    """Publishes the facts of one process; `run` does it until cancelled, `close` gives what is left a last chance."""

    def __init__(self, facts: Facts, bus: EventBus, clock: Clock, most_bytes: int = _MOST_BYTES) -> None:
        """Take the recorder and the connection; hold at most `most_bytes` of batches."""
        self._facts = facts
        self._bus = bus
        self._clock = clock
        self._most_bytes = most_bytes
        self._emitter = secrets.randbits(64)
        self._partitions = [Partition() for _ in range(PARTITIONS)]
        self._bytes = 0
        self._salts = Salts(clock)
        self._salted: tuple[Session | None, int] = (None, 0)
        # Set with each confirmation; None where nobody has ever confirmed anything.
        self._confirmed: asyncio.Event | None = None
        _UNCONFIRMED.watch(lambda: self.unconfirmed)
        _SALTED.watch(lambda: self._facts.ready)

    @property
    def unconfirmed(self) -> int:
        """Return how many facts are recorded and not yet counted."""
        return self._facts.waiting + sum(one.facts for part in self._partitions for one in part.held)

    @property
    def floors(self) -> list[int]:
        """Return the lowest number that is held, or will be, of each partition."""
        return [part.floor for part in self._partitions]

    @property
    def held(self) -> list[int]:
        """Return how many batches of each partition are held."""
        return [len(part.held) for part in self._partitions]

    @property
    def held_days(self) -> set[int]:
        """Return the days whose salts are in memory."""
        return self._salts.days

    async def run(self) -> None:
        """Seal, bound and publish until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hold())
            group.create_task(self._follow())

    async def close(self) -> None:
        """Publish what is left, and wait a little until it is counted, where somebody counts."""
        self._take()
        try:
            async with asyncio.timeout(_LAST_SECONDS):
                if any(part.held for part in self._partitions):
                    session = self._bus.session
                    await self._listen(session)
                    await self._publish(session, everything=True)
                while self._confirmed is not None and any(part.held for part in self._partitions):
                    self._confirmed.clear()
                    await self._confirmed.wait()
        except (TimeoutError, UnavailableError, *BROKEN):
            left = [one for part in self._partitions for one in part.held if one.sequence > part.reached]
            LOST.inc(sum(one.facts for one in left), reason="expired")

    async def _hold(self) -> None:
        """Bound what is held, whether there is a connection or not."""
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            self.hold()

    def hold(self) -> None:
        """Take what was recorded, let go of what is too much or too old, forget salts of the past."""
        self._take()
        self._expire()
        for day in self._salts.forget():
            self._facts.forget_salt(day)

    async def _follow(self) -> None:
        async for session in self._bus.sessions():
            while not session.ended.is_set():
                try:
                    await self._serve(session)
                except (UnavailableError, TimeoutError, *BROKEN) as error:
                    _log.warning("facts_interrupted", error=error)
                    await asyncio.sleep(_EVERY_SECONDS)

    async def _serve(self, session: Session) -> None:
        for stream in (FACTS, SALTS):
            await self._bus.describe(session, stream)
        await self._salt(session)
        subscription = await self._listen(session)
        try:
            for part in self._partitions:
                part.begin(self._clock.monotonic())
            while not session.ended.is_set():
                await self._salt(session)
                await self._publish(session)
                await asyncio.sleep(_EVERY_SECONDS / 2)
        finally:
            if session.client.is_connected:
                await subscription.unsubscribe()

    async def _listen(self, session: Session) -> Subscription:
        return await session.client.subscribe(f"counted.{self._emitter:016x}", cb=self._on_counted)

    async def _salt(self, session: Session) -> None:
        """Have the salt of today, and that of tomorrow a little ahead."""
        ahead = (unix_seconds(self._clock) + _AHEAD_SECONDS) // DAY_SECONDS
        if self._salted == (session, ahead):
            return
        for day in sorted({self._salts.today, ahead}):
            self._facts.set_salt(await self._salts.agree(session, day))
        self._salted = (session, ahead)

    def _take(self) -> None:
        for salt, columns in self._facts.take().columns.items():
            waiting: list[list[Piece]] = [[] for _ in range(PARTITIONS)]
            for (metric, slot, partition), facts in columns.items():
                waiting[partition].append((metric, slot, facts))
            for part, pieces in zip(self._partitions, waiting, strict=True):
                for batch in batches(pieces):
                    self._keep(part, salt, batch)

    def _keep(self, part: Partition, salt: int, batch: list[Piece]) -> None:
        part.last += 1
        data = encode(self._emitter, part.last, salt, batch)
        part.held.append(Held(part.last, data, sum(len(facts) for _, _, facts in batch), self._clock.monotonic()))
        self._bytes += len(data) + _FRAME_BYTES

    def _expire(self) -> None:
        oldest = self._clock.monotonic() - _MOST_SECONDS
        while holding := [part for part in self._partitions if part.held]:
            part = min(holding, key=lambda one: one.held[0].made)
            full = self._bytes > self._most_bytes
            if not full and part.held[0].made >= oldest:
                return
            dropped = part.drop()
            self._forget(dropped)
            LOST.inc(dropped.facts, reason="full" if full else "expired")

    def _forget(self, held: Held) -> None:
        self._bytes -= len(held.data) + _FRAME_BYTES

    async def _publish(self, session: Session, *, everything: bool = False) -> None:
        broker = session.client.jetstream(timeout=_ACK_SECONDS)
        for number, part in enumerate(self._partitions):
            for held in part.due(self._clock.monotonic(), everything=everything):
                if held.sequence < part.floor:
                    continue  # counted, or lost, while others were being published
                async with asyncio.timeout(2 * _ACK_SECONDS):
                    await broker.publish(f"{FACTS.prefix}{number}", with_floor(held.data, part.floor))
                part.published(held.sequence)

    async def _on_counted(self, message: Msg) -> None:
        counted = Counted()
        try:
            counted.ParseFromString(message.data)
        except DecodeError:
            return
        for one in counted.partitions:
            if one.partition < PARTITIONS:
                for held in self._partitions[one.partition].counted(one.sequence, self._clock.monotonic()):
                    self._forget(held)
        self._confirmed = self._confirmed or asyncio.Event()
        self._confirmed.set()
