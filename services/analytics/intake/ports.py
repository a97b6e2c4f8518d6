"""What the intake asks of NATS: facts to read, a log in memory, and a way to tell emitters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Arrived:
    """A FactBatch as it came, and for how many seconds it has waited in the stream."""

    data: bytes
    waited: float = 0.0


class FactReader(Protocol):
    """Reads the facts of one partition, from the beginning of the stream; again from there after a new connection."""

    def take(self) -> list[Arrived]:
        """Return what has arrived since the last call, in order, without waiting; bounded."""

    async def close(self) -> None:
        """Stop reading. Idempotent."""


class Broker(Protocol):
    """NATS, as far as the intake needs it. All methods raise UnavailableError where it cannot be reached now."""

    @property
    def session(self) -> int:
        """The number of the present connection, from 1; 0 while there is none. A new one may find NATS empty."""

    def read_facts(self, partition: int) -> FactReader:
        """Begin to read; a reader waits by itself while there is no connection."""

    async def wait(self, seconds: float) -> None:
        """Return after `seconds`, or sooner where so much has arrived that it should be taken."""

    async def read_units(self, partition: int) -> Sequence[bytes]:
        """Return the messages of the unit log of a partition, in order."""

    async def append_units(self, partition: int, messages: Sequence[bytes]) -> int:
        """Append messages (each below 200 KiB) and return the place of the first, once all are in memory there."""

    async def purge_units(self, partition: int, before: int) -> None:
        """Remove messages of the unit log of a partition that stand before place `before`."""

    async def forget_salt(self, day: int) -> None:
        """Remove the salt of a day (number of the UTC day since 1970) from memory there. Idempotent."""

    async def confirm(self, counted: Mapping[int, Mapping[int, int]]) -> None:
        """Tell emitters, by number, up to which sequence number each partition is counted. Nobody need hear it."""
