"""A platform whose clocks a test moves and whose policy an operator has amended.

    AMENDED_FILE=<overrides> LATER_FILE=<file> python -m tests.support.amended platform

starts it as tests.support.later does; each service reads the overrides of the policy, if the file is there, when it
starts.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.altered import run
from tests.support.later import VARIABLE as LATER
from tests.support.later import Later, move_clocks
from tests.support.platform import RunningPlatform, running_platform

VARIABLE = "AMENDED_FILE"


@contextmanager
def amended_platform(home: Path, later: Later, rules: dict[str, int] | None = None) -> Iterator[RunningPlatform]:
    """Start a platform in `home` with `rules` in place of those of the policy."""
    overrides = home.with_name(home.name + "-overrides.yaml")
    if rules:
        overrides.write_text("rules:\n" + "".join(f"  {name}: {value}\n" for name, value in rules.items()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(LATER, str(later.path))
        patch.setenv(VARIABLE, str(overrides))
        with running_platform(home, program=(__name__, "platform")) as platform:
            yield platform


def _amend(role: str) -> None:
    move_clocks()
    if role == "retention":
        # Who comes after one that was killed leads sooner.
        os.environ["SEALPOST_LEASE"] = "3"
    if role == "billing":
        os.environ["SEALPOST_UPKEEP_SECONDS"] = "0.5"
    overrides = os.environ[VARIABLE]
    if Path(overrides).exists():
        os.environ["SEALPOST_POLICY_OVERRIDES"] = overrides


def main() -> int:
    """Run what the command line names."""
    return run("tests.support.amended", _amend)


if __name__ == "__main__":
    sys.exit(main())
