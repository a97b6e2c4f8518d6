"""What the leader does, again and again. A replica that does not lead does nothing of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from services.retention.leading.lease import Lead


@dataclass(frozen=True)
class Duty:
    """One thing that the leader repeats, beside its others.

    `run` does one bounded step, which may be ended anywhere (the lease is lost, the process dies) and begun again; what
    it writes of its progress goes through Fenced. It may raise SealpostError (tried again, later and later) and
    LeaseLostError. `every`: seconds between the end of one step and the next. `timed`: what it does hangs on what time
    it is, so it rests while the clock is not trusted.
    """

    name: str
    every: float | Callable[[], float]
    run: Callable[[Lead], Awaitable[None]]
    timed: bool = True

    @property
    def pause(self) -> float:
        """Seconds until the next step, by the numbers in force."""
        return self.every() if callable(self.every) else self.every
