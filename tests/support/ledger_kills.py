"""Kills processes of a platform in turn while a load is on, and takes the time until each is back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.support.ledger import Load
from tests.support.ledger_procs import children, is_ready, kill, pids, wait_for
from tests.support.platform import RunningPlatform

_BACK_SECONDS = 30.0


@dataclass(frozen=True)
class Recovery:
    """One kill: seconds until the process answered again, and until the next mail was accepted; when (monotonic)."""

    victim: str
    back: float
    accepted: float
    at: float


def victims(platform: RunningPlatform) -> list[str]:
    """Return who can be killed: every worker of ingest by its place, then every process by its name."""
    workers = [f"worker {place}" for place in range(len(children(pids(platform)["ingest"])))]
    services = [name for name in pids(platform) if name != "nats"]
    return [*workers, *sorted(services), "nats"]


def kill_in_turn(platform: RunningPlatform, load: Load, names: Sequence[str], mails_between: int) -> list[Recovery]:
    """Kill each, always after so many more mails, and wait until it is back and mail flows."""
    recoveries = []
    for name in names:
        load.wait_accepted(mails_between)
        recoveries.append(_kill_one(platform, load, name))
    return recoveries


def _kill_one(platform: RunningPlatform, load: Load, name: str) -> Recovery:
    service = "ingest" if name.startswith("worker") else name
    old = pids(platform)[service]
    workers = children(old) if service == "ingest" else []
    victim = workers[int(name.split()[1])] if name.startswith("worker") else old
    before = load.accepted()
    began = time.monotonic()
    kill(victim)

    def is_back() -> bool:
        if victim != old:
            return len(set(children(old)) - {victim}) == len(workers) and is_ready(platform, service)
        return pids(platform).get(service, old) != old and is_ready(platform, service)

    wait_for(f"{name} back", is_back, _BACK_SECONDS)
    back = time.monotonic() - began
    # What was under way at the kill may still have been accepted; a tenth of a second later nothing of it is left.
    wait_for("mail accepted again", lambda: load.accepted() > before + load.assignment.sessions, _BACK_SECONDS)
    return Recovery(name, back, time.monotonic() - began, began)
