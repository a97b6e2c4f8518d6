"""Once a minute: sessions that ended, sign-ups that never finished, addresses whose quarantine is over.

None of it works any longer when it is swept, so a sweep that fails or is late harms nobody; it is tried again with the
next one. Each finds its documents by an index on the moment they are due and in bounded numbers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import SealpostError
from libs.telemetry.logs import Logger
from services.accounts.graph import Graph

PERIOD_SECONDS = 60.0
# Rounds of one kind in one sweep; what is left waits for the next.
_ROUNDS = 20


async def sweep_forever(graph: Graph, clock: Clock, log: Logger) -> None:
    """Sweep until cancelled."""
    while True:
        await asyncio.sleep(PERIOD_SECONDS)
        await sweep_once(graph, clock, log)


async def sweep_once(graph: Graph, clock: Clock, log: Logger) -> None:
    """Sweep everything that is due; a failure is logged and leaves the other kinds alone."""

    async def registrations() -> int:
        return await graph.registration.sweep(unix_seconds(clock))

    kinds: dict[str, Callable[[], Awaitable[int]]] = {
        "sessions": graph.signed_in.sweep,
        "registrations": registrations,
        "addresses": graph.staff.sweep,
        "forwards": graph.forwards.sweep,
    }
    for kind, sweep in kinds.items():
        deleted = 0
        try:
            for _ in range(_ROUNDS):
                count = await sweep()
                deleted += count
                if count == 0:
                    break
        except SealpostError as error:
            log.warning("sweep_failed", kind=kind, error=error)
        if deleted:
            log.info("swept", kind=kind, deleted=deleted)
