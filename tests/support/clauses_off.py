"""The platform with a switch at the mechanism of each clause.

    CLAUSES_OFF_FILE=<file> LATER_FILE=<file> python -m tests.support.clauses_off platform

starts it as tests.support.later does. Probes and canaries run when they are asked for, and at no other time, or what
they find while a mechanism is off would be blamed on another.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from libs.runtime.clock import SystemClock, unix_seconds
from tests.support import clauses_everyone, clauses_public, clauses_relay, clauses_sealed, clauses_versions
from tests.support.altered import replace, run
from tests.support.clauses import VARIABLE, Broken, Saboteur
from tests.support.later import VARIABLE as LATER
from tests.support.later import Later, move_clocks
from tests.support.platform import RunningPlatform, running_platform

_PAUSE = 2.0

SABOTEURS: tuple[Saboteur, ...] = (
    *clauses_everyone.SABOTEURS,
    *clauses_sealed.SABOTEURS,
    *clauses_public.SABOTEURS,
    *clauses_relay.SABOTEURS,
    *clauses_versions.SABOTEURS,
)


@contextmanager
def sabotaged_platform(home: Path, broken: Broken, later: Later) -> Iterator[RunningPlatform]:
    """Start a platform in `home` that breaks the clauses which the file names."""
    broken.put()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(broken.path))
        patch.setenv(LATER, str(later.path))
        with running_platform(home, program=(__name__, "platform")) as platform:
            yield platform


def _alter(role: str) -> None:
    move_clocks()
    if role == "gateway":
        # All probes are one client here, and each is run several times within a minute.
        os.environ["SEALPOST_PROOFS_PER_MINUTE"] = "600"
    if role == "retention":
        from services.retention.probes import of_mail, people

        # The library of OpenPGP has a clock of its own, and takes no key that is made later than now.
        replace(people, "unix_seconds", lambda clock: unix_seconds(SystemClock()))
        _only_when_asked()
        _soon()
        # How often the inbox is looked at whose mails do not go.
        replace(of_mail, "_SETTLING", 32)
    for saboteur in SABOTEURS:
        if role in saboteur.services:
            saboteur.spoil(role)


def _only_when_asked() -> None:
    from services.retention.canaries.keeping import Keeper
    from services.retention.probes.prober import Prober

    async def nothing(self: object, lead: object) -> None:
        return

    for place in (Keeper, Prober):
        replace(place, "step", nothing)


def _soon() -> None:
    """Let duties rest for seconds where that is a minute: a sweep is what some probes wait for."""
    from services.retention.leading.duties import Duty

    pause = vars(Duty)["pause"].fget
    replace(Duty, "pause", property(lambda self: min(_PAUSE, pause(self))))


if __name__ == "__main__":
    sys.exit(run(__spec__.name, _alter))
