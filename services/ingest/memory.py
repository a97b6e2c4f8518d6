"""Gives memory back to the system after large mails.

Blocks of a large mail that were read in pieces - gRPC's buffers above all - lie in the heap between others that stay,
and glibc only ever shrinks a heap from its end. `malloc_trim` returns the free pages in the middle; it takes a few
milliseconds, so it is done once after a burst, not after every mail.
"""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Callable

_DELAY = 2.0


def trimmer() -> Callable[[], None]:
    """Return what frees unused memory, or does nothing where the C library has no such thing."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is None:
        return lambda: None
    trim.argtypes, trim.restype = (ctypes.c_size_t,), ctypes.c_int
    return lambda: trim(0)


class Trim:
    """Frees unused memory a moment after the last of several calls. For one event loop."""

    def __init__(self, free: Callable[[], None], delay: float = _DELAY) -> None:
        """Call `free` `delay` seconds after the last call of `soon`."""
        self._free = free
        self._delay = delay
        self._timer: asyncio.TimerHandle | None = None

    def soon(self) -> None:
        """Something large is done with."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(self._delay, self._free)
