"""Ends tasks for certain.

asyncio.wait_for of Python 3.11 loses a cancellation that arrives in the same turn of the loop as the result that is
waited for (CPython issue 86296, mended in 3.12), and client libraries use it. A task may thus go on as if nothing had
been said, and whoever cancelled it and waits for its end waits for ever. So it is told again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

_AGAIN_SECONDS = 3.0


async def end(tasks: Iterable[asyncio.Task[None]], again_seconds: float = _AGAIN_SECONDS) -> None:
    """Cancel `tasks` and return when they have ended, however they end; again for those still there after a while."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=again_seconds)
