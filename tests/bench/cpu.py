"""CPU time of processes and all below them, those included that have ended and were waited for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def seconds_used(pids: Mapping[str, int]) -> dict[str, float]:
    """Return the CPU seconds, in user and kernel, of each of these processes and its descendants."""
    return {name: _ticks(pid) / _TICK for name, pid in pids.items()}


def _ticks(pid: int) -> int:
    try:
        # The name in the second field may hold anything, closing brackets too.
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    own_and_waited_for = sum(int(field) for field in fields[11:15])
    return own_and_waited_for + sum(_ticks(child) for child in children(pid))


def children(pid: int) -> list[int]:
    """Return the process ids of a process's children."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
