"""A platform whose clocks a test moves: months of a life in minutes.

    LATER_FILE=<file> python -m tests.support.later platform

starts the platform as `python -m services` does, but each service's clock reads an offset from the file: `wall`
seconds that the wall clock is ahead, and `passed` seconds that both clocks are, as if that time had gone by. Timers of
the event loop keep real time, so whatever a service repeats every minute it still repeats every real minute.
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from libs.runtime import clock as clocks
from tests.support.altered import replace, run

VARIABLE = "LATER_FILE"
LOOK_SECONDS = 0.05


@dataclass
class Later:
    """The file that moves the clocks."""

    path: Path
    wall: int = 0
    passed: int = 0

    def __post_init__(self) -> None:
        """Write it."""
        self._write()

    def let_pass(self, delta: timedelta) -> None:
        """Let time go by; every process knows it when this returns."""
        self.passed += int(delta.total_seconds())
        self._move()

    def jump(self, delta: timedelta) -> None:
        """Set the wall clock forward, or back; no time goes by. Every process knows it when this returns."""
        self.wall += int(delta.total_seconds())
        self._move()

    def now(self) -> datetime:
        """Return what the services take for the time."""
        return clocks.SystemClock().now() + timedelta(seconds=self.wall + self.passed)

    def _move(self) -> None:
        self._write()
        time.sleep(2 * LOOK_SECONDS)

    def _write(self) -> None:
        new = self.path.with_suffix(".new")
        new.write_text(f"{self.wall} {self.passed}", encoding="ascii")
        new.replace(self.path)


class LaterClock:
    """The machine's clocks and the offsets of a file, looked at again every few milliseconds."""

    def __init__(self) -> None:
        """Read the file that the environment names."""
        self._clock = clocks.SystemClock()
        self._path = Path(os.environ[VARIABLE])
        self._looked = float("-inf")
        self._wall = self._passed = 0

    def now(self) -> datetime:
        """See Clock."""
        self._look()
        return self._clock.now() + timedelta(seconds=self._wall + self._passed)

    def monotonic(self) -> float:
        """See Clock."""
        self._look()
        return self._clock.monotonic() + self._passed

    def _look(self) -> None:
        at = self._clock.monotonic()
        if at - self._looked >= LOOK_SECONDS:
            self._looked = at
            self._wall, self._passed = map(int, self._path.read_text(encoding="ascii").split())


def move_clocks() -> None:
    """Give this process, which is to become a service, a clock that the file moves."""
    from libs.runtime import service

    replace(service, "SystemClock", LaterClock)


def main() -> int:
    """Run what the command line names."""
    return run("tests.support.later", lambda role: move_clocks())


if __name__ == "__main__":
    sys.exit(main())
