"""A platform that lives through months: its clocks and numbers are a test's, and so is when probes and canaries look.

    LATER_FILE=<file> LIFE_FILE=<overrides> LIFE_GATES=<folder> python -m tests.support.life_platform platform

When a clock is moved by days at once, everything whose time was over in between is there until the next sweep, seconds
later; in a life that is lived minute by minute it never is. So that probes and canaries find what they would find
then, they stand at a gate while clocks are moved and until sweeps are through. Sweeps stand at another while clocks are
moved, or one would seem to have taken days, and its owner be left alone for that. Probes that are asked for run at any
time.
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

from libs.runtime.clock import SystemClock, unix_seconds
from tests.support.altered import replace, run
from tests.support.later import VARIABLE as LATER
from tests.support.later import Later, move_clocks
from tests.support.ledger_procs import wait_for
from tests.support.platform import RunningPlatform, running_platform

_OVERRIDES, _GATES = "LIFE_FILE", "LIFE_GATES"
_STEP_SECONDS = 90.0
Step = Callable[[Any, Any], Awaitable[None]]


@dataclass(frozen=True)
class Gate:
    """A gate of retention: a lock that whoever is inside shares, and a mark that lets nobody in."""

    path: Path

    @contextmanager
    def shut(self) -> Iterator[None]:
        """Let nobody in, and wait until nobody is inside."""
        mark = _mark(self.path)
        mark.touch()
        with self.path.open("ab") as file:
            wait_for(f"{self.path.name} to end", lambda: _locked(file.fileno(), fcntl.LOCK_EX), _STEP_SECONDS)
        try:
            yield
        finally:
            mark.unlink()


@dataclass(frozen=True)
class Gates:
    """All gates, in a folder."""

    folder: Path

    @property
    def watching(self) -> Gate:
        """That of probes and canaries."""
        return Gate(self.folder / "watching")

    @property
    def sweeping(self) -> Gate:
        """That of sweeps."""
        return Gate(self.folder / "sweeping")


@contextmanager
def living_platform(home: Path, later: Later, gates: Gates, rules: dict[str, int]) -> Iterator[RunningPlatform]:
    """Start a platform in `home` with `rules` in place of those of the policy."""
    overrides = home.with_name(home.name + "-overrides.yaml")
    overrides.write_text("rules:\n" + "".join(f"  {name}: {value}\n" for name, value in rules.items()))
    with pytest.MonkeyPatch.context() as patch:
        for name, path in ((LATER, later.path), (_OVERRIDES, overrides), (_GATES, gates.folder)):
            patch.setenv(name, str(path))
        with running_platform(home, program=(__name__, "platform")) as platform:
            yield platform


def _locked(file: int, how: int) -> bool:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _mark(path: Path) -> Path:
    return path.with_suffix(".shut")


def _behind(gate: Gate, step: Step) -> Step:
    async def when_open(self: object, lead: object) -> None:
        file = os.open(gate.path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if _locked(file, fcntl.LOCK_SH) and not _mark(gate.path).exists():
                await step(self, lead)
        finally:
            os.close(file)

    return when_open


def _alter(role: str) -> None:
    move_clocks()
    os.environ["SEALPOST_POLICY_OVERRIDES"] = os.environ[_OVERRIDES]
    if role == "retention":
        from services.retention.canaries.keeping import Keeper
        from services.retention.probes import graph, people
        from services.retention.probes.prober import Prober
        from services.retention.sweeping.sweeps import Sweeper

        # In real seconds; what is done how often in days is up to the clock that is moved.
        replace(graph, "_CANARIES_EVERY", 1.0)
        # The library of OpenPGP has a clock of its own, and takes no key that is made later than now.
        replace(people, "unix_seconds", lambda clock: unix_seconds(SystemClock()))
        gates = Gates(Path(os.environ[_GATES]))
        for place in (Keeper, Prober):
            replace(place, "step", _behind(gates.watching, place.step))
        replace(Sweeper, "run", _behind(gates.sweeping, Sweeper.run))


def main() -> int:
    """Run what the command line names."""
    return run("tests.support.life_platform", _alter)


if __name__ == "__main__":
    sys.exit(main())
