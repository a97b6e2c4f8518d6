"""Which batches of an emitter are counted: each once, in order, without waiting for what was lost.

An emitter numbers its batches of a partition without gaps, and repeats what is not confirmed; `floor` is the lowest
number that it still keeps. So the next to be counted is max(last + 1, floor): a lower number has been counted already
and is confirmed again, a higher one comes too early and will be repeated, after those before it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from services.analytics.partitions import Heard

FORGET_SECONDS = 7200
"""An emitter that was silent for so long is forgotten; the stream and its own buffer forget far sooner."""


class Verdict(Enum):
    """What to do with a batch."""

    COUNT = "count"
    AGAIN = "again"
    EARLY = "early"


class Sequences:
    """How far each emitter of one partition is counted, with what the present tick adds."""

    def __init__(self, heard: Mapping[int, Heard]) -> None:
        """Begin where `heard` stands; it is not changed."""
        self._heard = dict(heard)
        self.touched: set[int] = set()
        """Emitters that were heard since, and are to be told how far they are counted."""

    def accept(self, emitter: int, sequence: int, floor: int, now: int) -> Verdict:
        """Judge a batch, and take it as counted if it is to be. `now`: Unix seconds."""
        last = self._heard[emitter].sequence if emitter in self._heard else 0
        expected = max(last + 1, floor)
        self.touched.add(emitter)
        if sequence == expected:
            self._heard[emitter] = Heard(sequence, now)
            return Verdict.COUNT
        return Verdict.AGAIN if sequence < expected else Verdict.EARLY

    def heard(self, now: int) -> dict[int, Heard]:
        """Return how far each emitter is counted, without those that have been silent for two hours."""
        return {emitter: heard for emitter, heard in self._heard.items() if now - heard.at < FORGET_SECONDS}

    def confirmed(self) -> dict[int, int]:
        """Return the sequence number up to which each emitter that was heard is counted."""
        return {emitter: self._heard[emitter].sequence for emitter in self.touched if emitter in self._heard}
