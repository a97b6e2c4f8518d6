"""What the platform has said of itself: every line that a service logged, and whether it may say that."""

from __future__ import annotations

import json
import re
from pathlib import Path

from libs.telemetry.fields import FIELDS
from libs.telemetry.logs import LEVELS

# nats-server writes its own format, about connections of the services and about streams; it is searched, not parsed.
FOREIGN = ("nats.log",)

_FRAME = {
    "time": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00"),
    "level": re.compile("|".join(LEVELS)),
    "service": re.compile(r"[a-z]{1,20}"),
    "logger": re.compile(r"[a-z_][a-z0-9_.-]{0,79}"),
    "event": re.compile(r"[a-z][a-z0-9_]{0,63}"),
}


def log_files(home: Path) -> list[Path]:
    """Return the log files of the services."""
    return sorted(path for path in (home / "log").iterdir() if path.name not in FOREIGN)


def log_faults(path: Path) -> list[str]:
    """Return what is wrong with the lines of one log file, each with its number; a last line may be cut off."""
    faults = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n")[:-1], 1):
        reason = _fault(line)
        if reason:
            faults.append(f"{path.name}:{number}: {reason}")
    return faults


def _fault(line: str) -> str:
    try:
        said = json.loads(line)
    except ValueError:
        return "not JSON"
    if not isinstance(said, dict):
        return "not an object"
    for name, pattern in _FRAME.items():
        text = said.pop(name, None)
        if not isinstance(text, str) or not pattern.fullmatch(text):
            return f"{name} is not what it must be"
    for name, value in said.items():
        if name not in FIELDS or not FIELDS[name](value):
            return f"{name[:40]} is not of the closed list, or not of its shape"
    return ""
