"""Background tasks: each repeats one bounded step, at once while there is work, else when woken or when it is time.

A step that fails because the store cannot be reached is tried again with growing pauses; any other failure is a fault
of ours and ends the process, for a service whose expiry silently stopped would break a promise.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from libs.runtime.errors import SealpostError
from libs.telemetry.logs import get_logger

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 30.0

_log = get_logger("upkeep")


@dataclass
class Task:
    """One repeated step. `step` returns 0 when there is nothing more to do; times are seconds.

    `every`: longest time between steps. `pause`: between two steps while there is work. `gather`: from being woken to
    the step, so that more comes together.
    """

    name: str
    step: Callable[[], Awaitable[int]]
    every: float
    pause: float = 0.01
    gather: float = 0.0
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Repeat until cancelled."""
        failures = 0
        while True:
            try:
                busy = await self.step()
            except SealpostError as error:
                failures += 1
                _log.warning("upkeep_failed", task=self.name, attempt=failures, error=error)
                ceiling = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(failures, 10))
                await asyncio.sleep(random.uniform(ceiling / 2, ceiling))
                continue
            failures = 0
            if busy:
                await asyncio.sleep(self.pause)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(self.every):
                    await self.wake.wait()
            await asyncio.sleep(self.gather)
            self.wake.clear()
