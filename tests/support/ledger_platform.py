"""Platforms for the ledger test: spoiled ones, and one that is ended as a power cut ends it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support import ledger_saboteur
from tests.support.ledger_procs import family, is_alive, kill, wait_for
from tests.support.platform import RunningPlatform, running_platform


@contextmanager
def spoiled_platform(
    home: Path, *sabotage: str, tuning: Mapping[str, Mapping[str, str]] | None = None, **extra: str
) -> Iterator[RunningPlatform]:
    """Start a platform of which something is taken away: "service:kind", kinds as in ledger_saboteur.

    `tuning` gives services settings of their own that the local platform does not have; `extra` are its own.
    """
    scratch = home.with_name(home.name + "-scratch")
    scratch.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(ledger_saboteur.VARIABLE, ",".join(sabotage))
        patch.setenv(ledger_saboteur.SCRATCH, str(scratch))
        patch.setenv(ledger_saboteur.TUNING, json.dumps({name: dict(own) for name, own in (tuning or {}).items()}))
        with running_platform(home, program=(ledger_saboteur.__name__, "platform"), **extra) as platform:
            yield platform


def end_at_once(platform: RunningPlatform) -> None:
    """Kill everything, the supervisor first, so that nothing comes back and nothing drains."""
    everybody = family(platform.process.pid)
    for pid in everybody:
        kill(pid)
    platform.process.wait()
    wait_for("every process gone", lambda: not any(is_alive(pid) for pid in everybody), 10.0)
