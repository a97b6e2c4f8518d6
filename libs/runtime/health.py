"""Health: named checks, asked together, each under a time limit, remembered for a moment.

Probes come from outside and at any rate; the checks reach for disks and brokers. So answers are kept for `max_age` and
a burst of probes costs one round. A check that is not required (the event bus: mail flows without it) is reported and
measured, but does not make the service unready.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from libs.runtime.clock import Clock
from libs.telemetry import metrics
from libs.telemetry.logs import Logger

Check = Callable[[], Awaitable[bool]]

_PASSING = metrics.gauge("sealpost_health_passing", "Whether a health check passes (1) or fails (0).", {"check": ()})


@dataclass(frozen=True)
class Report:
    """What the checks said: by name, whether it passes."""

    ready: bool
    checks: dict[str, bool]


class Health:
    """The checks of one process. Not ready until `started`, and no longer after `stopping`."""

    def __init__(self, clock: Clock, log: Logger, *, timeout: float = 2.0, max_age: float = 1.0) -> None:
        """Give each check `timeout` seconds, and its answer a life of `max_age` seconds."""
        self._clock = clock
        self._log = log
        self._timeout = timeout
        self._max_age = max_age
        self._checks: dict[str, tuple[Check, bool]] = {}
        self._serving = False
        self._answers: dict[str, bool] = {}
        self._asked = float("-inf")
        self._round: asyncio.Task[None] | None = None

    def add(self, name: str, check: Check, *, required: bool = True) -> None:
        """Add a check that returns whether all is well; raising or taking too long means it is not."""
        if name in self._checks:
            raise ValueError(f"a health check named {name} exists")
        _PASSING.allow("check", (name,))
        self._checks[name] = (check, required)
        self._asked = float("-inf")

    def started(self) -> None:
        """Readiness follows the checks from now on."""
        self._serving = True

    def stopping(self) -> None:
        """Readiness is off, whatever the checks say."""
        self._serving = False

    async def report(self) -> Report:
        """Ask what has not been asked lately."""
        if self._clock.monotonic() - self._asked >= self._max_age:
            if self._round is None or self._round.done():
                self._round = asyncio.get_running_loop().create_task(self._ask())
            # One prober that hangs up must not cancel the round that the others wait for.
            await asyncio.shield(self._round)
        passing = all(self._answers.get(name, False) for name, (_, required) in self._checks.items() if required)
        return Report(self._serving and passing, dict(self._answers))

    async def _ask(self) -> None:
        names = list(self._checks)
        answers = await asyncio.gather(*(self._ask_one(name) for name in names))
        for name, passing in zip(names, answers, strict=True):
            _PASSING.set(int(passing), check=name)
            if self._answers.get(name, True) != passing:
                self._log.warning("health_changed", check=name, state="passing" if passing else "failing")
            self._answers[name] = passing
        self._asked = self._clock.monotonic()

    async def _ask_one(self, name: str) -> bool:
        try:
            async with asyncio.timeout(self._timeout):
                return await self._checks[name][0]()
        except Exception as error:  # a check may fail in any way: that is its answer
            if self._answers.get(name, True):
                self._log.warning("health_check_failed", check=name, error=error)
            return False
