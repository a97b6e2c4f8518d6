"""Logs as JSON lines that cannot say anything about anybody: the list of fields is closed, each has its shape.

Redaction looks for what must not be said and misses what it does not know. Here only what is listed in `fields` can be
said at all; the name of an event is a word of the code, and an exception appears as class name and place. A field that
is not listed, or not of its shape, raises in tests; a service drops and counts it, for a log line must not fail a mail.
Neither may somebody fill a disk by failing often: an event beyond its budget of lines is counted instead.

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
SUPPRESSED = metrics.counter("sealpost_log_lines_suppressed_total", "Log lines beyond the budget of their event.")
LOST = metrics.counter("sealpost_log_lines_lost_total", "Log lines that standard output did not take.")

_BUDGET_SECONDS = 10.0
_part = text(r"[a-z_][a-z0-9_.-]{0,79}")
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True).encode
_LINES = {level: LINES.labels(level=level) for level in LEVELS}


def _to_stdout(line: str) -> None:
    sys.stdout.write(line)
    sys.stdout.flush()


@dataclass(frozen=True)
class Output:
    """Where lines go and what stands in each.

    `write` takes one line, newline included; `budget` is how many lines one event may write in ten seconds; `trace_id`
    tells the trace that a line belongs to, if any.
    """

    service: str = ""
    level: str = "info"
    clock: Clock = SystemClock()  # noqa: RUF009 - without state
    write: Callable[[str], None] = _to_stdout
    budget: int = 500
    trace_id: Callable[[], str | None] | None = None


class _Budget:
    """Counts lines by event in windows of ten seconds."""

    def __init__(self) -> None:
        self._end = float("-inf")
        self._lines: dict[str, int] = {}
        self._suppressed = 0

    def take(self, event: str, output: Output) -> bool:
        """Tell whether a line may be written; at the turn of a window, write how many were not."""
        now = output.clock.monotonic()
        if now >= self._end:
            suppressed, self._suppressed = self._suppressed, 0
            self._lines.clear()
            self._end = now + _BUDGET_SECONDS
            if suppressed:
                _log_suppressed.warning("lines_suppressed", suppressed=suppressed)
        lines = self._lines.get(event, 0) + 1
        self._lines[event] = lines
        if lines <= output.budget:
            return True
        self._suppressed += 1
        SUPPRESSED.inc()
        return False


_output = Output()
_budget = _Budget()


def configure(output: Output) -> Output:
    """Send the lines of the whole process to `output`; return the former one."""
    global _output, _budget
    former, _output = _output, output
    _budget = _Budget()
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
        if LEVELS[level] < LEVELS[output.level] or not _budget.take(event, output):
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
        if output.trace_id is not None and (trace_id := output.trace_id()) is not None:
            line["trace_id"] = trace_id
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


_log_suppressed = Logger("logs")


def _checked(fields: dict[str, str]) -> dict[str, str]:
    """Keep what has its shape: class names of strangers may be anything."""
    return {field: value for field, value in fields.items() if FIELDS[field](value)}


def _refused(field: str, instead: str | None) -> str | None:
    if mode.is_strict():
        raise FieldError(f"{field}: not a field of libs.telemetry.fields, or not of its shape")
    DROPPED.inc()
    return instead
