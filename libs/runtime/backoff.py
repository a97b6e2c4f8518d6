"""Exponential backoff with full jitter: many that fail together must not come back together.

The pause before attempt n + 1 is uniform between 0 and min(ceiling, first * 2**(n-1)), as in AWS's "Exponential Backoff
And Jitter": of the usual kinds it asks the least of the server for about the same time to success.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """Counts attempts and sleeps between them; may be iterated any number of times.

        async for attempt in Backoff(attempts=5):
            try:
                return await call()
            except UnavailableError:
                if attempt == 5:
                    raise

    `first` and `ceiling` are seconds. `attempts` None never stops: for supervised loops, which end by cancellation.
    """

    first: float = 0.1
    ceiling: float = 5.0
    attempts: int | None = 8
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    uniform: Callable[[float, float], float] = random.uniform

    def __aiter__(self) -> AsyncIterator[int]:
        """Yield 1, 2, ... up to `attempts`; the first at once, each other after its pause."""
        return _Attempts(self)

    def pause(self, attempt: int) -> float:
        """Return the seconds to sleep after `attempt` (from 1) has failed."""
        longest = min(self.ceiling, self.first * 2.0 ** min(attempt - 1, 60))
        return self.uniform(0.0, longest)


class _Attempts:
    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._done = 0

    def __aiter__(self) -> AsyncIterator[int]:
        return self

    async def __anext__(self) -> int:
        if self._backoff.attempts is not None and self._done >= self._backoff.attempts:
            raise StopAsyncIteration
        if self._done:
            await self._backoff.sleep(self._backoff.pause(self._done))
        self._done += 1
        return self._done
