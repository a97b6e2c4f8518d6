"""What libraries log is counted and never read."""

from __future__ import annotations

import logging
import sys
import threading
import warnings
from collections.abc import Iterator

import pytest

from libs.telemetry import foreign
from tests.unit.telemetry.conftest import Lines

CANARY = "ada@example.org wrote: hello"


@pytest.fixture
def installed() -> Iterator[None]:
    """Install, and put everything back."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    rest = logging.lastResort, logging.raiseExceptions
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    foreign.install()
    yield
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.lastResort, logging.raiseExceptions = rest
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks


pytestmark = pytest.mark.usefixtures("installed")


def test_only_name_and_level_come_out(lines: Lines, capfd: pytest.CaptureFixture[str]) -> None:
    before = foreign.FOREIGN.value(level="warning")
    log = logging.getLogger("aiosmtpd.server")
    log.debug(CANARY)
    log.info(CANARY)
    log.warning(CANARY)
    log.error("%s", CANARY)
    assert [(line["event"], line["level"], line["foreign"]) for line in lines.parsed()] == [
        ("foreign_log", "warning", "aiosmtpd.server"),
        ("foreign_log", "error", "aiosmtpd.server"),
    ]
    assert foreign.FOREIGN.value(level="warning") == before + 1
    assert CANARY not in "".join(lines.raw)
    assert capfd.readouterr() == ("", "")


def test_an_exception_is_class_and_place(lines: Lines) -> None:
    try:
        raise ValueError(CANARY)
    except ValueError:
        logging.getLogger("asyncio").exception(CANARY)
    (line,) = lines.parsed()
    assert (line["error"], line["at"].partition(":")[0]) == ("ValueError", "tests/unit/telemetry/test_foreign.py")
    assert CANARY not in lines.raw[0]


def test_a_record_that_cannot_be_formatted_does_no_harm(lines: Lines) -> None:
    logging.getLogger("x").error("%d %d", CANARY)
    assert lines.parsed()[0]["foreign"] == "x"


def test_handlers_of_libraries_are_taken_away(lines: Lines, capfd: pytest.CaptureFixture[str]) -> None:
    log = logging.getLogger("library.with.handler")
    log.addHandler(logging.StreamHandler())
    log.propagate = False
    foreign.install()
    log.error(CANARY)
    assert capfd.readouterr() == ("", "")
    assert lines.parsed()[0]["foreign"] == "library.with"


def test_a_name_of_a_logger_may_be_anything(lines: Lines) -> None:
    logging.getLogger(CANARY).error("x")
    logging.getLogger("42").error("x")
    assert [line["foreign"] for line in lines.parsed()] == ["ada", "unnamed"]


def test_warnings_are_counted_and_not_shown(lines: Lines, capfd: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn(CANARY, stacklevel=1)
    assert lines.parsed()[0]["foreign"] == "py.warnings"
    assert capfd.readouterr() == ("", "")


def test_what_fails_outside_of_everything_is_class_and_place(lines: Lines, capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise ValueError(CANARY)

    thread = threading.Thread(target=fail)
    thread.start()
    thread.join()
    try:
        fail()
    except ValueError as error:
        sys.excepthook(ValueError, error, error.__traceback__)
    events = [(line["event"], line["error"]) for line in lines.parsed()]
    assert events == [("uncaught_in_thread", "ValueError"), ("uncaught", "ValueError")]
    assert capfd.readouterr() == ("", "")


def test_what_fails_in_a_finaliser_is_class_and_place(lines: Lines, capfd: pytest.CaptureFixture[str]) -> None:
    class Broken:
        def __del__(self) -> None:
            raise ValueError(CANARY)

    Broken()
    assert lines.parsed()[0]["event"] == "unraisable"
    assert capfd.readouterr() == ("", "")
