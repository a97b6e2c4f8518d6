"""How much units have used, as a hash table in two numpy columns that is asked and filled with whole columns at once.

Open addressing with linear probing, all keys of a call in step: in each round every key that is not settled looks at
its place; who finds itself, or an empty place and wins it, is done, the others move on by one. Rounds become short
quickly. A row is 10 bytes, at a load between 0.4 and 0.6 that is 17 to 25 bytes a row, whatever number of facts a unit
sends. Keys are 64-bit mixes already, so their upper bits are their hash. Nothing is ever removed: a day's table is
dropped as a whole.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint64]

_FIRST = 1 << 10
_LOAD = 0.6
_GROWTH = 1.5
_BLOCK = 1 << 16


class UnitTable:
    """Keys (64 bits, never 0) and what they have used (16 bits)."""

    def __init__(self) -> None:
        """Begin empty."""
        self._keys: Words = np.zeros(_FIRST, np.uint64)
        self._used: NDArray[np.uint16] = np.zeros(_FIRST, np.uint16)
        self._count = 0

    def __len__(self) -> int:
        """Return how many keys there are."""
        return self._count

    @property
    def nbytes(self) -> int:
        """Return the bytes that the columns take."""
        return self._keys.nbytes + self._used.nbytes

    def get(self, keys: Words) -> NDArray[np.int64]:
        """Return what each of `keys` has used, 0 for those that are not there."""
        slots = self._probe(keys, lambda at, _: self._keys[at] == 0)
        return np.where(self._keys[slots] == keys, self._used[slots], 0).astype(np.int64)

    def put(self, keys: Words, used: NDArray[np.integer]) -> None:
        """Set what `keys`, each once, have used."""
        self._make_room(keys)
        self._used[self._settle(keys)] = used

    def advance(
        self, keys: Words, by: NDArray[np.int64], limits: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Let `keys`, each once, use so much more, up to their limits; return what they had used, and have now."""
        self._make_room(keys)
        slots = self._settle(keys)
        before = self._used[slots].astype(np.int64)
        after = np.maximum(before, np.minimum(before + by, limits))
        self._used[slots] = after
        return before, after

    def rows(self) -> tuple[Words, NDArray[np.uint16]]:
        """Return all keys, in no order that means anything, and what they have used."""
        there = np.flatnonzero(self._keys)
        return self._keys[there], self._used[there]

    @property
    def _room(self) -> int:
        return int(len(self._keys) * _LOAD)

    def _settle(self, keys: Words) -> NDArray[np.int64]:
        """Return the places of `keys`, each once, taking new ones for those that have none."""

        def claim(at: NDArray[np.int64], wanted: Words) -> NDArray[np.bool_]:
            free = self._keys[at] == 0
            self._keys[at[free]] = wanted[free]  # of several that want one place the last one has it
            won: NDArray[np.bool_] = free & (self._keys[at] == wanted)
            self._count += int(np.count_nonzero(won))
            return won

        return self._probe(keys, claim)

    def _probe(
        self, keys: Words, settled: Callable[[NDArray[np.int64], Words], NDArray[np.bool_]]
    ) -> NDArray[np.int64]:
        """Return for each key the first place where it stands or that `settled` says it may stop at."""
        size = len(self._keys)
        slots = (((keys >> np.uint64(32)) * np.uint64(size)) >> np.uint64(32)).astype(np.int64)
        left = np.arange(len(keys))
        while left.size:
            at, wanted = slots[left], keys[left]
            stays = (self._keys[at] == wanted) | settled(at, wanted)
            left = left[~stays]
            moved = slots[left] + 1
            moved[moved == size] = 0
            slots[left] = moved
        return slots

    def _make_room(self, keys: Words) -> None:
        if self._count + len(keys) <= self._room:
            return
        known = np.count_nonzero(self._keys[self._probe(keys, lambda at, _: self._keys[at] == 0)])
        count = self._count + len(keys) - int(known)
        size = len(self._keys)
        while count > int(size * _LOAD):
            size = int(size * _GROWTH)
        if size == len(self._keys):
            return
        old, used = self.rows()
        self._keys, self._used, self._count = np.zeros(size, np.uint64), np.zeros(size, np.uint16), 0
        for start in range(0, len(old), _BLOCK):
            block = slice(start, start + _BLOCK)
            self._used[self._settle(old[block])] = used[block]
