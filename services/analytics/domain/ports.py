"""What the releases ask of the intake: counts of a window that is over, once every partition has closed it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

DAY_SECONDS = 86_400


@dataclass(frozen=True, order=True)
class Window:
    """A stretch of time that is counted together: `start` in Unix seconds; its length follows from its kind."""

    kind: Literal["hour", "day"]
    start: int

    @property
    def name(self) -> str:
        """Return a name for keys of documents."""
        return f"{self.kind}-{self.start}"

    @property
    def day(self) -> int:
        """Return the Unix second at which its UTC day begins."""
        return self.start - self.start % DAY_SECONDS


@dataclass(frozen=True)
class CellCounts:
    """Counts of one cut in one window: three columns of one length, sorted by key and code, without repetition.

    `keys` are all 0 where the metric has no key; `codes` are places in the cut's vocabularies, in mixed radix.
    """

    keys: NDArray[np.uint64]
    codes: NDArray[np.uint32]
    counts: NDArray[np.int64]


CutId = tuple[str, str]
"""Names of a metric and of its cut."""


@dataclass(frozen=True)
class Collected:
    """The counts of a window over all partitions; cuts without any count are absent.

    `terms` says how often a unit may have been counted up to its bound on this day; 1 unless memory was lost.
    """

    cells: Mapping[CutId, CellCounts]
    terms: int


class PendingWindows(Protocol):
    """Windows that hold counts and are not yet released."""

    async def over(self, until: int) -> Sequence[Window]:
        """Return windows that hold counts, or may, and ended at or before `until` (Unix seconds), oldest first."""

    async def close(self, until: int) -> None:
        """Let no partition count any more in windows that end at or before `until`; it takes its next commit."""

    async def collect(self, window: Window) -> Collected | None:
        """Return the counts of a window, or None while a partition has not closed it yet."""

    async def destroy(self, window: Window) -> None:
        """Destroy the counts of a window and the key that they are sealed with. Idempotent."""
