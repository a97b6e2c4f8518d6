"""What a service has to do from time to time.

Each step is bounded and repeats at once while there is work. A step that fails is logged and tried again with the next
round, and leaves the other steps alone.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping

from libs.runtime.errors import SealpostError
from libs.telemetry.logs import get_logger

PERIOD_SECONDS = 30.0
# Of one step in one round; what is left waits for the next.
_ROUNDS = 50
_BREATH_SECONDS = 0.02

Step = Callable[[], Awaitable[int]]

_log = get_logger("upkeep")


class Upkeep:
    """Repeats steps until it is cancelled."""

    def __init__(self, steps: Mapping[str, Step], period: float = PERIOD_SECONDS) -> None:
        """Take the steps by name: each does a bounded piece of work and returns 0 when there is none left."""
        self._steps = steps
        self._period = period

    async def run(self) -> None:
        """Repeat until cancelled."""
        while True:
            # Processes that were started together need not work together.
            await asyncio.sleep(self._period * random.uniform(0.5, 1.0))
            await self.once()

    async def once(self) -> None:
        """Do everything that is due."""
        for name, step in self._steps.items():
            try:
                for _ in range(_ROUNDS):
                    if not await step():
                        break
                    await asyncio.sleep(_BREATH_SECONDS)
            except SealpostError as error:
                _log.warning("upkeep_failed", task=name, error=error)
