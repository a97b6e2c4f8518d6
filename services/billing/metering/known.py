"""Which ids of a day are counted already: sorted arrays of eight bytes each, found by bisection.

New ids come in batches. Each becomes an array of its own, and arrays of about the same length are put together, so that
a day of millions is a handful of arrays and each id was moved a few times. That costs eight bytes an id, where a set of
numbers takes sixty.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.uint64]


class KnownIds:
    """The ids of one day."""

    def __init__(self) -> None:
        """Know none."""
        self._arrays: list[Ids] = []
        # The number of the last document of the log that is in it.
        self.upto = 0

    def __len__(self) -> int:
        return sum(len(one) for one in self._arrays)

    def contains(self, ids: Ids) -> NDArray[np.bool_]:
        """Tell of each id whether it is known."""
        found = np.zeros(len(ids), dtype=np.bool_)
        for known in self._arrays:
            places = np.searchsorted(known, ids)
            places[places == len(known)] = 0
            found |= known[places] == ids
        return found

    def add(self, ids: Ids) -> None:
        """Know these too; none of them was known."""
        if not len(ids):
            return
        self._arrays.append(np.sort(ids))
        while len(self._arrays) > 1 and len(self._arrays[-2]) < 2 * len(self._arrays[-1]):
            last = self._arrays.pop()
            self._arrays[-1] = np.sort(np.concatenate((self._arrays[-1], last)), kind="stable")


def ids_of(raw: bytes) -> Ids:
    """Return ids that stand one after the other, big-endian."""
    return np.frombuffer(raw, dtype=">u8").astype(np.uint64)


def bytes_of(ids: Ids) -> bytes:
    """Return what `ids_of` reads."""
    return ids.astype(">u8").tobytes()
