"""Logs as JSON lines that cannot say anything about anybody: the list of fields is closed, each has its shape.

Redaction looks for what must not be said and misses what it does not know. Here only what is listed in `fields` can be
said at all; the name of an event is a word of the code, and an exception appears as class name and place. A field that
is not listed, or not of its shape, raises in tests; a service drops and counts it, for a log line must not fail a mail.

    log = get_logger("relay")
    log.warning("publish_failed", pending=17, error=error)
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from libs.runtime.clock import Clock, SystemClock
from libs.telemetry import faults, metrics, mode
from libs.telemetry.fields import FIELDS, text, word

LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}

LINES = metrics.counter("sealpost_log_lines_total", "Log lines written.", {"level": tuple(LEVELS)})
DROPPED = metrics.counter("sealpost_log_fields_dropped_total", "Fields left out: not listed, or not of their shape.")
LOST = metrics.counter("sealpost_log_lines_lost_total", "Log lines that standard output did not take.")

_part = text(r"[a-z_][a-z0-9_.-]{0,79}")
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True).encode
_LINES = {level: LINES.labels(level=level) for level in LEVELS}


def _to_stdout(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()


@dataclass(frozen=True)
class Output:
    """Where lines go and what stands in each. `write` takes one line, newline included."""

    service: str = ""
    level: str = "info"
    clock: Clock = SystemClock()  # noqa: RUF009 - without state
    write: Callable[[str], None] = _to_stdout


_output = Output()


def configure(output: Output) -> Output:
    """Send the lines of the whole process to `output`; return the former one."""
    global _output
    former, _output = _output, output
    return former


class FieldError(ValueError):
    """A field that may not be logged. Names the field, never its value."""


class Logger:
    """Writes events under the name of a part of the program."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        """Take the name of the part; see get_logger."""
        self._name = name

    def debug(self, event: str, /, **fields: object) -> None:
        """Log what only a developer asks for."""
        self._log("debug", event, fields)

    def info(self, event: str, /, **fields: object) -> None:
        """Log a change of state."""
        self._log("info", event, fields)

    def warning(self, event: str, /, **fields: object) -> None:
        """Log what mends itself, but should be seen."""
        self._log("warning", event, fields)

    def error(self, event: str, /, **fields: object) -> None:
        """Log what somebody must look at."""
        self._log("error", event, fields)

    def _log(self, level: str, event: str, fields: dict[str, object]) -> None:
        output = _output
        if LEVELS[level] < LEVELS[output.level]:
            return
        line: dict[str, object] = {
            "time": output.clock.now().isoformat(timespec="milliseconds"),
            "level": level,
            "service": output.service,
            "logger": self._name,
            "event": event if word(event) else _refused("event", "unnamed"),
        }
        for field, value in fields.items():
            if isinstance(value, BaseException) and field == "error":
                line.update(_checked(faults.describe(value)))
                continue
            check = FIELDS.get(field)
            if check is not None and check(value):
                line[field] = value
            else:
                _refused(field, None)
        try:
            output.write(_encode(line) + "\n")
        except (OSError, ValueError):  # standard output is gone: nobody to tell but the metric
            LOST.inc()
        else:
            _LINES[level].inc()


def get_logger(part: str) -> Logger:
    """Return a logger; `part` is a word of the program, "smtp" for one, or the name of a module."""
    if not _part(part):
        raise ValueError("a logger is named by a lower-case word or a module")
    return Logger(part)


def _checked(fields: dict[str, str]) -> dict[str, str]:
    """Keep what has its shape: class names of strangers may be anything."""
    return {field: value for field, value in fields.items() if FIELDS[field](value)}


def _refused(field: str, instead: str | None) -> str | None:
    if mode.is_strict():
        raise FieldError(f"{field}: not a field of libs.telemetry.fields, or not of its shape")
    DROPPED.inc()
    return instead
