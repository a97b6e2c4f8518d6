"""What replies mean."""

from __future__ import annotations

import pytest

from services.delivery.domain.model import Result
from services.delivery.transport.replies import Reply, Stage, clean, read_outcome

D, T, P = Result.DELIVERED, Result.TEMPORARY, Result.PERMANENT


@pytest.mark.parametrize(
    ("stage", "code", "text", "result", "status"),
    [
        (Stage.CONTENT, 250, "2.6.0 queued as 1", D, "2.6.0"),
        (Stage.CONTENT, 250, "Ok", D, "2.0.0"),
        (Stage.RCPT, 251, "User not local; will forward", D, "2.0.0"),
        (Stage.RCPT, 450, "4.2.0 greylisted", T, "4.2.0"),
        (Stage.RCPT, 450, "later", T, "4.2.0"),
        (Stage.RCPT, 451, "later", T, "4.3.0"),
        (Stage.RCPT, 452, "too many", T, "4.5.3"),
        # RFC 5321 4.5.3.1.10.
        (Stage.RCPT, 552, "too many recipients", T, "4.5.3"),
        (Stage.RCPT, 552, "5.5.3 too many recipients", T, "4.5.3"),
        (Stage.RCPT, 552, "5.2.2 mailbox full", P, "5.2.2"),
        (Stage.CONTENT, 552, "message too large", P, "5.3.4"),
        (Stage.MAIL, 552, "message too large", P, "5.3.4"),
        (Stage.RCPT, 550, "5.1.1 who?", P, "5.1.1"),
        (Stage.RCPT, 550, "who?", P, "5.1.1"),
        (Stage.MAIL, 550, "5.7.1 we do not like you", P, "5.7.1"),
        (Stage.MAIL, 550, "no", P, "5.0.0"),
        (Stage.RCPT, 556, "domain takes no mail", P, "5.1.10"),
        (Stage.DATA, 421, "closing", T, "4.3.2"),
        # An enhanced code of another class is not believed.
        (Stage.RCPT, 450, "5.1.1 both", T, "4.2.0"),
        (Stage.RCPT, 550, "4.2.1 both", P, "5.1.1"),
        (Stage.RCPT, 550, "5.1.1234 none", P, "5.1.1"),
        (Stage.RCPT, 550, "5.1.10", P, "5.1.10"),
        (Stage.RCPT, 550, "5.001.001 zeros", P, "5.1.1"),
        (Stage.RCPT, 550, "", P, "5.1.1"),
        # What fits nowhere is tried again.
        (Stage.RCPT, 354, "go ahead", T, "4.5.0"),
        (Stage.CONTENT, 354, "more", T, "4.5.0"),
    ],
)
def test_codes(stage: Stage, code: int, text: str, result: Result, status: str) -> None:
    outcome = read_outcome(Reply(code, (text,)), stage, "mx.remote.test")
    assert (outcome.result, outcome.code, outcome.status, outcome.host) == (result, code, status, "mx.remote.test")


def test_lines_are_one_text() -> None:
    outcome = read_outcome(Reply(550, ("5.7.1 one", "5.7.1 two")), Stage.RCPT, "")
    assert outcome.text == "5.7.1 one 5.7.1 two"


def test_no_line_at_all_is_no_fault() -> None:
    assert read_outcome(Reply(550, ()), Stage.RCPT, "").status == "5.1.1"


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("plain", "plain"),
        ("a\x1b[31mred\x07", "a [31mred"),
        ("tabs\tand\r\nlines\x00", "tabs and lines"),
        ("evil\u202etxt.exe\u2066", "evil txt.exe"),
        ("zero\u200bwidth\ufeff", "zero width"),
        ("line\u2028separator", "line separator"),
        ("\ud800lone", "lone"),
        ("Grüße 你好", "Grüße 你好"),
        ("x" * 9000, "x" * 500),
        ("", ""),
    ],
)
def test_texts_are_cleaned(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned
