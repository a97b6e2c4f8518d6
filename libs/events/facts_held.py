"""Batches of one partition until they are counted: which are held, and which are to be published now.

New batches are published at once and in order. What was published and is not confirmed for a while is published again
from the first, but only so much of it before the next confirmation: most likely nobody counts at the moment, the stream
has it all, and much of it a second time would only push the first copies out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from libs.telemetry.facts import Columns, little_endian
from protos.facts.v1.facts_pb2 import FactBatch, FactColumns

AGAIN_SECONDS = (10.0, 60.0)
"""How long a confirmation may stay away, at first and after many repetitions."""

_AGAIN_BATCHES, _AGAIN_BYTES = 256, 1024 * 1024
# 20 bytes a fact at most: a batch stays below 200 KiB.
_MOST_FACTS = 8192
_MOST_COLUMNS = 500

Piece = tuple[str, int, Columns]
"""Facts of a metric and a stretch of ten seconds."""


@dataclass
class Held:
    """A batch: its number, the message without its floor, how many facts, when it was made (monotonic)."""

    sequence: int
    data: bytes
    facts: int
    made: float


@dataclass
class Partition:
    """The batches of one partition. `last` is the highest number given, `reached` the highest published."""

    last: int = 0
    reached: int = 0
    held: deque[Held] = field(default_factory=deque)
    _again: range = range(0)
    _waiting_since: float = 0.0
    _patience: float = AGAIN_SECONDS[0]

    @property
    def floor(self) -> int:
        """The lowest number that is held, or that will be."""
        return self.held[0].sequence if self.held else self.last + 1

    def begin(self, now: float) -> None:
        """Everything is new again: to a server that may have nothing."""
        self.reached, self._again = self.floor - 1, range(0)
        self._waiting_since, self._patience = now, AGAIN_SECONDS[0]

    def due(self, now: float, *, everything: bool = False) -> list[Held]:
        """Return what is to be published now, in order. `everything`: it is the last opportunity."""
        if self.reached < self.floor:
            self._waiting_since = now
        elif now - self._waiting_since >= self._patience:
            self._again = range(self.floor, self.reached + 1)
            self._waiting_since, self._patience = now, min(2 * self._patience, AGAIN_SECONDS[1])
        found, size = [], 0
        for number, held in enumerate(self.held):
            size += len(held.data)
            near = everything or (number < _AGAIN_BATCHES and size <= _AGAIN_BYTES)
            if held.sequence > self.reached or (held.sequence in self._again and near):
                found.append(held)
        return found

    def published(self, sequence: int) -> None:
        """The broker has it."""
        self.reached = max(self.reached, sequence)
        if sequence in self._again:
            self._again = range(sequence + 1, self._again.stop)

    def counted(self, sequence: int, now: float) -> list[Held]:
        """Let go of what is counted, up to `sequence`, and return it."""
        gone = []
        while self.held and self.held[0].sequence <= sequence:
            gone.append(self.held.popleft())
        if gone:
            self.reached = max(self.reached, self.floor - 1)
            self._waiting_since, self._patience = now, AGAIN_SECONDS[0]
        return gone

    def drop(self) -> Held:
        """Let go of the oldest, and return it."""
        return self.held.popleft()


def encode(emitter: int, sequence: int, salt: int, pieces: list[Piece]) -> bytes:
    """Return a FactBatch without its floor."""
    batch = FactBatch(emitter=emitter, sequence=sequence, salt_id=salt)
    for metric, slot, facts in pieces:
        batch.columns.append(
            FactColumns(
                metric=metric,
                slot=slot,
                units=little_endian(facts.units),
                cells=little_endian(facts.cells),
                keys=little_endian(facts.keys),
            )
        )
    return batch.SerializeToString()


def with_floor(data: bytes, floor: int) -> bytes:
    """Return the message with its floor: of a field that stands there twice the later counts."""
    return data + FactBatch(floor=floor).SerializeToString()


def batches(pieces: list[Piece]) -> Iterator[list[Piece]]:
    """Return the pieces in groups that fit into a message each, large ones divided."""
    batch: list[Piece] = []
    size = 0
    for piece in (part for whole in pieces for part in _divided(whole)):
        if batch and (size + len(piece[2]) > _MOST_FACTS or len(batch) == _MOST_COLUMNS):
            yield batch
            batch, size = [], 0
        batch.append(piece)
        size += len(piece[2])
    if batch:
        yield batch


def _divided(piece: Piece) -> Iterator[Piece]:
    metric, slot, facts = piece
    if len(facts) <= _MOST_FACTS:
        yield piece
        return
    for start in range(0, len(facts), _MOST_FACTS):
        part = Columns()
        part.units = facts.units[start : start + _MOST_FACTS]
        part.cells = facts.cells[start : start + _MOST_FACTS]
        part.keys = facts.keys[start : start + _MOST_FACTS]
        yield metric, slot, part
