"""Leads while it has the lease, and does nothing otherwise.

The duties run side by side as long as the lease is renewed; when it is lost, or cannot be renewed before its end, they
are ended where they stand. Each fails and is tried again by itself, later and later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from libs.runtime.backoff import Backoff
from libs.runtime.clock import Clock
from libs.runtime.errors import SealpostError
from libs.telemetry import metrics
from libs.telemetry.logs import get_logger
from services.retention.leading.duties import Duty
from services.retention.leading.guard import Guard
from services.retention.leading.lease import Lead, Lease, LeaseLostError

_AGAIN = Backoff(first=1.0, ceiling=60.0)
_FAILURES = (SealpostError, TimeoutError, OSError)

_log = get_logger("leader")
_LEADS = metrics.gauge("sealpost_retention_leads", "1 while this replica leads.")
_FAILED = metrics.counter("sealpost_retention_failures_total", "Steps of duties that failed and are tried again.")


class Leader:
    """One replica. `run` goes on for the life of the process."""

    def __init__(self, lease: Lease, guard: Guard, clock: Clock, tick: float) -> None:
        """Look at lease and clock every `tick` seconds."""
        self._lease = lease
        self._guard = guard
        self._clock = clock
        self._tick = tick
        self._lead: Lead | None = None

    @property
    def leads(self) -> bool:
        """Whether this replica leads."""
        return self._lead is not None

    async def run(self, duties: Sequence[Duty]) -> None:
        """Take the lease whenever it is free, and do the duties while it lasts. Until cancelled."""
        try:
            while True:
                await self._look()
                if self._lead is not None:
                    await self._do(duties)
                await asyncio.sleep(self._tick)
        finally:
            _LEADS.set(0)
            if self._lead is not None:
                await self._leave(self._lead)

    async def _do(self, duties: Sequence[Duty]) -> None:
        _log.info("leading")
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._repeat(duty), name=duty.name) for duty in duties]
            while self._lead is not None:
                await asyncio.sleep(self._tick)
                await self._look()
            for task in tasks:
                task.cancel()
        _log.info("lease_lost")

    async def _look(self) -> None:
        """Take or renew the lease, and look at the clock; a lease that cannot be renewed is lost when it is over."""
        try:
            async with asyncio.timeout(max(self._tick, 5.0)):
                self._lead = await self._lease.take(self._lead)
                await self._guard.observe(self._lead is not None)
        except (SealpostError, TimeoutError) as error:
            _log.warning("lease_not_renewed", error=error)
            if self._lead is not None and self._clock.monotonic() >= self._lead.until:
                self._lead = None
        _LEADS.set(1 if self._lead else 0)

    async def _repeat(self, duty: Duty) -> None:
        failures = 0
        while True:
            lead = self._lead
            if lead is not None and not (duty.timed and self._guard.held):
                try:
                    await duty.run(lead)
                    failures = 0
                except LeaseLostError:
                    _log.info("fenced", task=duty.name)
                except _FAILURES as error:
                    failures += 1
                    _FAILED.inc()
                    _log.warning("duty_failed", task=duty.name, error=error)
            await asyncio.sleep(duty.pause + (_AGAIN.pause(failures) if failures else 0.0))

    async def _leave(self, lead: Lead) -> None:
        try:
            async with asyncio.timeout(2.0):
                await self._lease.leave(lead)
        except (SealpostError, TimeoutError) as error:
            _log.info("lease_kept", error=error)
