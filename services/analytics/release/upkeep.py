"""Every ten minutes: releases, budgets and audit entries whose time is over, in bounded numbers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import SealpostError
from libs.telemetry.logs import get_logger

Sweep = Callable[[int], Awaitable[int]]

_PERIOD_SECONDS = 600.0
# Rounds of one kind in one sweep; what is left waits for the next.
_ROUNDS = 20

_log = get_logger("releases")


class Upkeep:
    """Sweeps what is older than it may be."""

    def __init__(self, sweeps: Mapping[str, tuple[Sweep, timedelta]], clock: Clock) -> None:
        """Sweep kinds by name: what does it (given Unix seconds) and how long its documents are kept."""
        self._sweeps = sweeps
        self._clock = clock

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            await self.sweep()
            await asyncio.sleep(_PERIOD_SECONDS)

    async def sweep(self) -> None:
        """Sweep everything that is due; a failure is logged and leaves the other kinds alone."""
        for kind, (sweep, kept) in self._sweeps.items():
            before = unix_seconds(self._clock) - int(kept.total_seconds())
            deleted = 0
            try:
                for _ in range(_ROUNDS):
                    count = await sweep(before)
                    deleted += count
                    if count == 0:
                        break
            except SealpostError as error:
                _log.warning("sweep_failed", kind=kind, error=error)
            if deleted:
                _log.info("swept", kind=kind, deleted=deleted)
