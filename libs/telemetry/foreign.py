"""What libraries log is not ours to print: aiosmtpd logs addresses and bodies, asyncio the text of exceptions.

Every logger of the standard library leads to one handler, which never formats a record: it writes the event
"foreign_log" with the logger's name, and the class and place of an exception. The same goes for what would
reach standard error by itself: uncaught exceptions, failures in threads and finalisers, warnings.

Native code (gRPC's C core, Rust panics) writes to file descriptor 2 and asks nobody. So that descriptor becomes a pipe
whose reader counts bytes. Only the stack that Python dumps when it crashes still goes out: it names code and no data.
"""

from __future__ import annotations

import faulthandler
import logging
import os
import re
import sys
import threading
from types import TracebackType
from typing import Any, TextIO

from libs.telemetry import metrics
from libs.telemetry.logs import Logger, get_logger

_LEVELS = ("warning", "error")
FOREIGN = metrics.counter("sealpost_foreign_logs_total", "Log records of libraries, not printed.", {"level": _LEVELS})
OUTPUT = metrics.counter("sealpost_foreign_output_bytes_total", "Bytes on standard error, not let out.")
_SAFE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,30}(\.[A-Za-z_][A-Za-z0-9_]{0,28})?", re.ASCII)


class ForeignHandler(logging.Handler):
    """Turns records of the standard library's logging into events without their text."""

    def __init__(self, log: Logger) -> None:
        """Write to `log`."""
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Count the record, and log where it came from."""
        level = "error" if record.levelno >= logging.ERROR else "warning"
        FOREIGN.inc(level=level)
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        write = self._log.error if level == "error" else self._log.warning
        if error is None:
            write("foreign_log", foreign=_origin(record.name))
        else:
            write("foreign_log", foreign=_origin(record.name), error=error)


def install() -> None:
    """Route everything of the process; call once, before libraries are set to work."""
    handler = ForeignHandler(get_logger("foreign"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    for name in list(logging.Logger.manager.loggerDict):
        known = logging.getLogger(name)
        known.handlers.clear()
        known.propagate = True
        known.setLevel(logging.NOTSET)
    logging.lastResort = None
    logging.raiseExceptions = False
    logging.captureWarnings(True)
    log = get_logger("process")

    def uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        log.error("uncaught", error=error.with_traceback(trace))

    def in_thread(args: threading.ExceptHookArgs) -> None:
        log.error("uncaught_in_thread", error=args.exc_value or args.exc_type())

    def unraisable(args: Any) -> None:
        log.error("unraisable", error=args.exc_value or args.exc_type())

    sys.excepthook, threading.excepthook, sys.unraisablehook = uncaught, in_thread, unraisable


def seal_stderr() -> TextIO:
    """Let nothing that is written to file descriptor 2 out any more; return a stream to where it led before."""
    outside = os.fdopen(os.dup(2), "w", buffering=1)
    read_end, write_end = os.pipe()
    # A writer must never wait for the reader, the last lines of a dying interpreter included.
    os.set_blocking(write_end, False)
    os.dup2(write_end, 2)
    os.close(write_end)
    faulthandler.enable(outside)
    threading.Thread(target=_count, args=(read_end,), name="stderr", daemon=True).start()
    return outside


def _count(read_end: int) -> None:
    log = get_logger("foreign")
    while text := os.read(read_end, 65536):
        OUTPUT.inc(len(text))
        log.warning("foreign_output", bytes=len(text))


def _origin(logger: str) -> str:
    match = _SAFE.match(logger)
    return match.group() if match else "unnamed"
