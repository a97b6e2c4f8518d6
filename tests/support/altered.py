"""Starts the platform with services that a test has altered: tapped (capture), or spoiled (ledger_saboteur).

    python -m <the test's module> platform

starts it as `python -m services` does, but each service by that module again, which alters what it wants and then runs
the service as it is; and so do the workers of ingest.
"""

from __future__ import annotations

import functools
import importlib
import sys
from collections.abc import Callable
from typing import Any

_WORKER = "ingest.worker"


def run(program: str, alter: Callable[[str], None]) -> int:
    """Run what the last argument of the command line names: the platform, a service, or a worker of ingest.

    `program` is the module that is started for each; `alter` is told which one it is, before that runs.
    """
    role = sys.argv.pop()
    if role == "platform":
        return _run_platform(program)
    alter(role)
    if role == _WORKER:
        module = importlib.import_module("services.ingest.worker")
        module.run_service("ingest", module.WorkerSettings, module.build)
    else:
        _run_service(program, role)
    return 0


def replace(place: Any, name: str, by: object) -> None:
    """Put something in the place of what is there. Raises: AttributeError if it is not there any more."""
    if not hasattr(place, name):
        raise AttributeError(f"there is no {name} to alter any more")
    setattr(place, name, by)


def _run_platform(program: str) -> int:
    from libs.local import plan
    from services.__main__ import main

    replace(plan, "command", lambda name: [sys.executable, "-m", program, name])
    return main()


def _run_service(program: str, service: str) -> None:
    module = importlib.import_module(f"services.{service}.main")
    if service == "ingest":
        command = (sys.executable, "-m", program, _WORKER)
        replace(module, "Workers", functools.partial(module.Workers, command=command))
    module.run_service(service, module.Settings, module.build)
