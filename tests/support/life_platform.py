"""A platform that lives through months: its clocks and numbers are a test's, and so is when probes and canaries look.

    LATER_FILE=<file> LIFE_FILE=<overrides> LIFE_GATE=<file> python -m tests.support.life_platform platform

When a clock is moved by days at once, everything whose time was over in between is there until the next sweep, seconds
later; in a life that is lived minute by minute it never is. So that probes and canaries find what they would find
then, they stand at a gate while clocks are moved and until sweeps are through: a lock on a file, which the test takes
alone and which each of their steps shares. Probes that are asked for run at any time.
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.altered import replace, run
from tests.support.later import VARIABLE as LATER
from tests.support.later import Later, move_clocks
from tests.support.ledger_procs import wait_for
from tests.support.platform import RunningPlatform, running_platform

_OVERRIDES, _GATE = "LIFE_FILE", "LIFE_GATE"
_STEP_SECONDS = 90.0
Step = Callable[[Any, Any], Awaitable[None]]


@dataclass(frozen=True)
class Gate:
    """The gate, from the test's side."""

    path: Path

    @contextmanager
    def shut(self) -> Iterator[None]:
        """Wait until nobody is inside, and let nobody in."""
        with self.path.open("ab") as file:
            wait_for("probes and canaries to end", lambda: _locked(file.fileno(), fcntl.LOCK_EX), _STEP_SECONDS)
            yield


@contextmanager
def living_platform(home: Path, later: Later, gate: Gate, rules: dict[str, int]) -> Iterator[RunningPlatform]:
    """Start a platform in `home` with `rules` in place of those of the policy."""
    overrides = home.with_name(home.name + "-overrides.yaml")
    overrides.write_text("rules:\n" + "".join(f"  {name}: {value}\n" for name, value in rules.items()))
    with pytest.MonkeyPatch.context() as patch:
        for name, path in ((LATER, later.path), (_OVERRIDES, overrides), (_GATE, gate.path)):
            patch.setenv(name, str(path))
        with running_platform(home, program=(__name__, "platform")) as platform:
            yield platform


def _locked(file: int, how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _at_the_gate(step: Step) -> Step:
    path = os.environ[_GATE]

    async def when_open(self: object, lead: object) -> None:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if _locked(file, fcntl.LOCK_SH):
                await step(self, lead)
        finally:
            os.close(file)

    return when_open


def _alter(role: str) -> None:
    move_clocks()
    os.environ["SEALPOST_POLICY_OVERRIDES"] = os.environ[_OVERRIDES]
    if role == "retention":
        from services.retention.canaries.keeping import Keeper
        from services.retention.probes import graph
        from services.retention.probes.prober import Prober

        # In real seconds; what is done how often in days is up to the clock that is moved.
        replace(graph, "_CANARIES_EVERY", 1.0)
        for place in (Keeper, Prober):
            replace(place, "step", _at_the_gate(place.step))


def main() -> int:
    """Run what the command line names."""
    return run("tests.support.life_platform", _alter)


if __name__ == "__main__":
    sys.exit(main())
