"""Takes facts from their columns to the stream, and holds them until they are counted.

Each second the columns that have been recorded become batches, one after the other for each partition of the units,
numbered without gaps. A batch is published and held; analytics says how far it has counted, on disk, and what is
counted is let go. Where a server lost its memory, or a confirmation stays away, everything held is published again in
order: who counts goes by the numbers and counts each batch once. What is held is bounded in bytes and in time; what
falls out is lost, counted as lost, and `floor` tells who counts not to wait for it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from libs.events.jetstream import EventBus
from libs.events.link import BROKEN, Session
from libs.events.salts import Salts
from libs.events.streams import FACTS, SALTS
from libs.runtime.clock import Clock
from libs.runtime.errors import UnavailableError
from libs.telemetry import metrics
from libs.telemetry.facts import DAY_SECONDS, LOST, PARTITIONS, Columns, Facts, little_endian
from libs.telemetry.logs import get_logger
from protos.facts.v1.facts_pb2 import Counted, FactBatch, FactColumns

_UNCONFIRMED = metrics.gauge("sealpost_facts_unconfirmed", "Facts recorded and not yet counted.")
_SALTED = metrics.gauge("sealpost_facts_salted", "1 once facts can be recorded: the salt of the day is known.")
_EVERY_SECONDS = 1.0
_MOST_BYTES = 32 * 1024 * 1024
_MOST_SECONDS = 30 * 60.0
# 20 bytes a fact at most: a batch stays below 200 KiB.
_MOST_FACTS = 8192
_AGAIN_SECONDS = (10.0, 60.0)
_ACK_SECONDS = 5.0
# A salt is kept for facts that are recorded around midnight, and for a batch that waits.
_SALT_SECONDS = 3600
_LAST_SECONDS = 3.0

_log = get_logger("facts")


@dataclass
class _Held:
    sequence: int
    data: bytes
    facts: int
    made: float


@dataclass
class _Partition:
    last: int = 0
    published: int = 0
    held: deque[_Held] = field(default_factory=deque)

    @property
    def floor(self) -> int:
        return self.held[0].sequence if self.held else self.last + 1


class FactsPublisher:
    """Publishes the facts of one process; `run` does it until cancelled, `close` gives what is left a last chance."""

    def __init__(self, facts: Facts, bus: EventBus, clock: Clock, most_bytes: int = _MOST_BYTES) -> None:
        """Take the recorder and the connection; hold at most `most_bytes` of batches."""
        self._facts = facts
        self._bus = bus
        self._clock = clock
        self._most_bytes = most_bytes
        self._emitter = secrets.randbits(64)
        self._partitions = [_Partition() for _ in range(PARTITIONS)]
        self._bytes = 0
        self._salts = Salts(clock)
        self._salted: tuple[Session | None, int] = (None, 0)
        self._again_at = 0.0
        self._again_after = _AGAIN_SECONDS[0]
        self._confirmed = asyncio.Event()
        _UNCONFIRMED.watch(lambda: self.unconfirmed)

    @property
    def unconfirmed(self) -> int:
        """Return how many facts are recorded and not yet counted."""
        return self._facts.waiting + sum(one.facts for part in self._partitions for one in part.held)

    async def run(self) -> None:
        """Follow connections until cancelled."""
        holding = asyncio.create_task(self._hold())
        try:
            async for session in self._bus.sessions():
                try:
                    await self._serve(session)
                except (UnavailableError, *BROKEN) as error:
                    _log.warning("facts_interrupted", error=error)
                    await asyncio.sleep(_EVERY_SECONDS)
        finally:
            holding.cancel()
            await asyncio.gather(holding, return_exceptions=True)

    async def close(self) -> None:
        """Publish what is left and wait a little until it is counted."""
        self._take()
        try:
            async with asyncio.timeout(_LAST_SECONDS):
                if any(part.held for part in self._partitions):
                    session = self._bus.session
                    await self._listen(session)
                    await self._publish(session)
                while any(part.held for part in self._partitions):
                    self._confirmed.clear()
                    await self._confirmed.wait()
        except (TimeoutError, UnavailableError, *BROKEN):
            # What was published may be counted all the same; nobody is left to publish it again.
            LOST.inc(self.unconfirmed, reason="expired")

    async def _hold(self) -> None:
        """Bound what is held, whether there is a connection or not."""
        while True:
            await asyncio.sleep(_EVERY_SECONDS)
            self._take()
            self._expire()
            for day in self._salts.forget(_SALT_SECONDS):
                self._facts.forget_salt(day)

    async def _serve(self, session: Session) -> None:
        for stream in (FACTS, SALTS):
            await self._bus.describe(session, stream)
        await self._salt(session)
        subscription = await self._listen(session)
        try:
            self._begin_again()
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
        """Have the salt of today, and that of tomorrow some minutes ahead."""
        ahead = int(self._clock.now().timestamp() + 120) // DAY_SECONDS
        if self._salted == (session, ahead):
            return
        for day in sorted({self._salts.today, ahead}):
            self._facts.set_salt(await self._salts.agree(session, day))
        self._salted = (session, ahead)
        _SALTED.set(1)

    def _take(self) -> None:
        for salt, columns in self._facts.take().columns.items():
            waiting: list[list[tuple[str, int, Columns]]] = [[] for _ in range(PARTITIONS)]
            for (metric, slot, partition), facts in columns.items():
                waiting[partition] += [(metric, slot, piece) for piece in _pieces(facts)]
            for partition, pieces in enumerate(waiting):
                for batch in _batches(pieces):
                    self._keep(self._partitions[partition], salt, batch)

    def _keep(self, part: _Partition, salt: int, batch: list[tuple[str, int, Columns]]) -> None:
        part.last += 1
        message = FactBatch(emitter=self._emitter, sequence=part.last, salt_id=salt)
        for metric, slot, facts in batch:
            message.columns.append(
                FactColumns(
                    metric=metric,
                    slot=slot,
                    units=little_endian(facts.units),
                    cells=little_endian(facts.cells),
                    keys=little_endian(facts.keys),
                )
            )
        data = message.SerializeToString()
        part.held.append(_Held(part.last, data, sum(len(facts) for _, _, facts in batch), self._clock.monotonic()))
        self._bytes += len(data)

    def _expire(self) -> None:
        oldest = self._clock.monotonic() - _MOST_SECONDS
        while True:
            holding = [part for part in self._partitions if part.held]
            if not holding:
                return
            part = min(holding, key=lambda one: one.held[0].made)
            if self._bytes <= self._most_bytes and part.held[0].made >= oldest:
                return
            reason = "full" if self._bytes > self._most_bytes else "expired"
            LOST.inc(part.held[0].facts, reason=reason)
            self._drop(part)

    def _drop(self, part: _Partition) -> None:
        self._bytes -= len(part.held.popleft().data)

    def _begin_again(self) -> None:
        for part in self._partitions:
            part.published = part.floor - 1
        self._again_at = self._clock.monotonic() + self._again_after

    async def _publish(self, session: Session) -> None:
        now = self._clock.monotonic()
        if now >= self._again_at and any(part.held and part.held[0].made < now - 5 for part in self._partitions):
            self._begin_again()
            self._again_after = min(2 * self._again_after, _AGAIN_SECONDS[1])
        broker = session.client.jetstream(timeout=_ACK_SECONDS)
        for number, part in enumerate(self._partitions):
            for held in [one for one in part.held if one.sequence > part.published]:
                # Of a field that stands there twice the later counts: so the floor gets its present value.
                data = held.data + FactBatch(floor=part.floor).SerializeToString()
                async with asyncio.timeout(2 * _ACK_SECONDS):
                    await broker.publish(f"facts.{number}", data)
                part.published = max(part.published, held.sequence)
                self._again_at = max(self._again_at, now + self._again_after)

    async def _on_counted(self, message: Msg) -> None:
        counted = Counted()
        try:
            counted.ParseFromString(message.data)
        except ValueError:
            return
        for one in counted.partitions:
            if one.partition < PARTITIONS:
                part = self._partitions[one.partition]
                while part.held and part.held[0].sequence <= one.sequence:
                    self._drop(part)
        self._again_after = _AGAIN_SECONDS[0]
        self._confirmed.set()


def _pieces(facts: Columns) -> Iterator[Columns]:
    if len(facts) <= _MOST_FACTS:
        yield facts
        return
    for start in range(0, len(facts), _MOST_FACTS):
        piece = Columns()
        piece.units = facts.units[start : start + _MOST_FACTS]
        piece.cells = facts.cells[start : start + _MOST_FACTS]
        piece.keys = facts.keys[start : start + _MOST_FACTS]
        yield piece


def _batches(pieces: list[tuple[str, int, Columns]]) -> Iterator[list[tuple[str, int, Columns]]]:
    batch: list[tuple[str, int, Columns]] = []
    size = 0
    for piece in pieces:
        if batch and size + len(piece[2]) > _MOST_FACTS:
            yield batch
            batch, size = [], 0
        batch.append(piece)
        size += len(piece[2])
    if batch:
        yield batch
