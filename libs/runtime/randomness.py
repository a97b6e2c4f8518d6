"""Random bytes for what is not secret: ids, nonces, salts. Keys are drawn one by one, from `secrets`.

Each call of the system's generator hands the interpreter lock over, which costs a busy process more than the bytes do.
So they are fetched a few kilobytes at a time. What is left of them stands in memory until it is used; a process that is
forked off draws its own.
"""

from __future__ import annotations

import os

_FETCHED = 4096


class _Stock:
    """Bytes that were fetched; `draw` may be called by several threads at once."""

    def __init__(self) -> None:
        self._pieces: dict[int, list[bytes]] = {}

    def draw(self, count: int) -> bytes:
        pieces = self._pieces.setdefault(count, [])
        while True:
            try:
                # Taken out in one step: no two callers get the same piece.
                return pieces.pop()
            except IndexError:
                fetched = os.urandom(max(count, _FETCHED - _FETCHED % count))
                pieces.extend([fetched[at : at + count] for at in range(0, len(fetched), count)])

    def forget(self) -> None:
        self._pieces = {}


_stock = _Stock()
os.register_at_fork(after_in_child=_stock.forget)


def random_bytes(count: int) -> bytes:
    """Return `count` bytes (1 to 64) of the system's generator that nobody else gets."""
    if not 1 <= count <= 64:
        raise ValueError("random bytes come in pieces of 1 to 64")
    return _stock.draw(count)
