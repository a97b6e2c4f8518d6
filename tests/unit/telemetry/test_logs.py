"""A log line says only what is listed, in its shape, and never the text of an exception."""

from __future__ import annotations

import pytest

from libs.runtime.errors import UnavailableError
from libs.telemetry import logs
from libs.telemetry.fields import FIELDS
from tests.unit.telemetry.conftest import Lines

CANARY = "ada@example.org"


def test_a_line_is_one_json_object(lines: Lines) -> None:
    logs.get_logger("relay").info("published", pending=3, seconds=0.25, stream="MAIL")
    assert lines.parsed() == [
        {
            "time": "2026-11-22T17:00:00.000+00:00",
            "level": "info",
            "service": "crypto",
            "logger": "relay",
            "event": "published",
            "pending": 3,
            "seconds": 0.25,
            "stream": "MAIL",
        }
    ]


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_levels(lines: Lines, level: str) -> None:
    getattr(logs.get_logger("x"), level)("something")
    assert lines.parsed()[0]["level"] == level


def test_below_the_level_nothing_is_written_or_checked(lines: Lines) -> None:
    logs.configure(logs.Output(level="warning", write=lines.raw.append))
    logs.get_logger("x").info("something", address=CANARY)
    assert lines.raw == []


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("address", CANARY),
        ("account_id", "0" * 32),
        ("reason", CANARY),
        ("reason", "two words"),
        ("reason", "word\n"),
        ("count", "3"),
        ("count", float("nan")),
        ("peer", "ada"),
        ("event_id", "g" * 32),
        ("route", "/v1/public/ada@example.org"),
        ("method", "Append ada"),
        ("error", "KeyError('ada')"),
        ("event_type", "mail.stored.v1.0123.4567.89"),
        ("port", None),
        ("reason", b"bytes"),
        ("smtp_command", "MAIL FROM:<ada@example.org>"),
    ],
)
def test_what_is_not_listed_or_misshapen_raises_in_tests(lines: Lines, field: str, value: object) -> None:
    with pytest.raises(logs.FieldError) as caught:
        logs.get_logger("x").info("something", **{field: value})
    assert CANARY not in str(caught.value)
    assert lines.raw == []


@pytest.mark.usefixtures("lenient")
def test_in_a_service_it_is_dropped_and_counted(lines: Lines) -> None:
    before = logs.DROPPED.value()
    logs.get_logger("x").info("something", address=CANARY, count=3)
    assert logs.DROPPED.value() == before + 1
    assert lines.parsed()[0]["count"] == 3
    assert CANARY not in lines.raw[0]


@pytest.mark.usefixtures("lenient")
def test_the_name_of_an_event_is_a_word(lines: Lines) -> None:
    logs.get_logger("x").info(f"mail from {CANARY}")
    assert lines.parsed()[0]["event"] == "unnamed"


def test_an_event_that_is_no_word_raises_in_tests(lines: Lines) -> None:
    with pytest.raises(logs.FieldError):
        logs.get_logger("x").info("Mail accepted")


def test_exceptions_are_class_place_and_first_cause(lines: Lines) -> None:
    try:
        try:
            raise KeyError(CANARY)
        except KeyError as missing:
            raise UnavailableError("store_down") from missing
    except UnavailableError as error:
        logs.get_logger("x").error("failed", error=error)
    (line,) = lines.parsed()
    assert (line["error"], line["cause"], line["reason"]) == ("UnavailableError", "KeyError", "store_down")
    file, _, number = line["at"].partition(":")
    assert file == "tests/unit/telemetry/test_logs.py"
    assert number.isdecimal()
    assert CANARY not in lines.raw[0]


def test_a_reason_that_is_no_word_is_left_out(lines: Lines) -> None:
    logs.get_logger("x").error("failed", error=UnavailableError(CANARY))
    assert "reason" not in lines.parsed()[0]
    assert CANARY not in lines.raw[0]


def test_a_class_named_after_somebody_is_left_out(lines: Lines) -> None:
    logs.get_logger("x").error("failed", error=type(CANARY, (Exception,), {})())
    assert CANARY not in lines.raw[0]


def test_an_exception_only_stands_in_the_field_error(lines: Lines) -> None:
    with pytest.raises(logs.FieldError):
        logs.get_logger("x").error("failed", reason=ValueError(CANARY))


@pytest.mark.parametrize("part", ["relay", "services.ingest.smtp", "__main__"])
def test_names_of_loggers(part: str) -> None:
    assert isinstance(logs.get_logger(part), logs.Logger)


@pytest.mark.parametrize("part", ["", "Ada", CANARY, "a b"])
def test_what_is_no_name_of_a_logger(part: str) -> None:
    with pytest.raises(ValueError, match="logger"):
        logs.get_logger(part)


def test_a_broken_standard_output_stops_nobody(lines: Lines) -> None:
    def broken(line: str) -> None:
        raise BrokenPipeError

    before = logs.LOST.value()
    logs.configure(logs.Output(write=broken))
    logs.get_logger("x").info("something")
    assert logs.LOST.value() == before + 1


def test_an_event_has_a_budget_and_the_rest_is_counted(lines: Lines) -> None:
    logs.configure(logs.Output(clock=lines.clock, write=lines.raw.append, budget=3))
    log = logs.get_logger("x")
    for _ in range(10):
        log.warning("often")
    log.warning("rare")
    assert [line["event"] for line in lines.parsed()] == ["often"] * 3 + ["rare"]
    lines.clock.advance(10)
    log.warning("often")
    later = lines.parsed()[4:]
    assert [line["event"] for line in later] == ["lines_suppressed", "often"]
    assert later[0]["suppressed"] == 7


def test_a_line_names_its_trace_if_there_is_one(lines: Lines) -> None:
    traces: list[str | None] = [None, "0" * 31 + "1"]
    logs.configure(logs.Output(write=lines.raw.append, trace_id=lambda: traces.pop(0)))
    for _ in range(2):
        logs.get_logger("x").info("something")
    assert [line.get("trace_id") for line in lines.parsed()] == [None, "0" * 31 + "1"]


def test_lines_go_to_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    logs.get_logger("x").info("something")
    captured = capsys.readouterr()
    assert '"event":"something"' in captured.out
    assert captured.err == ""


PERSONAL = (CANARY, "Ada Lovelace", "198.51.100.7", "2001:db8::7", "Re: our meeting", "héllo", "a" * 200)


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_no_field_takes_anything_personal(field: str) -> None:
    values: tuple[object, ...] = (*PERSONAL, "", "word\n", None, [], {}, b"x")
    for value in values:
        assert not FIELDS[field](value)
