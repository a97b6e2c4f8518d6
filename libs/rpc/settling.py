"""Calls that are repeated until it is known what came of them.

A call that is cut off, because the other side was killed for one, may have been carried out. Where it carries ids by
which repetitions are known, it is sent again until the other side is back and says how it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from libs.runtime.backoff import Backoff
from libs.runtime.errors import UnavailableError

T = TypeVar("T")

SETTLE_SECONDS = 30.0
# The call was cut off: it may have been carried out all the same.
_CUT_OFF = frozenset({"unreachable", "deadline", "cancelled"})
_AGAIN = Backoff(first=0.1, ceiling=1.0, attempts=None)


async def settled(call: Callable[[], Awaitable[T]], seconds: float) -> T:
    """Return what `call` answers, repeating it while it is cut off, for `seconds` at most.

    Raises: UnavailableError as the last attempt does; what else goes wrong, at once.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    async for _ in _AGAIN:
        try:
            return await call()
        except UnavailableError as error:
            if error.reason not in _CUT_OFF or loop.time() > end:
                raise
    raise AssertionError("not reached")
