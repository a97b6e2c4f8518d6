"""What strangers wrote cannot steer a terminal, and tables stay in their columns."""

from __future__ import annotations

import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.client import terminal


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ünïcode 字 👩\u200d💻", "plain ünïcode 字 👩\u200d💻"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("a\x9b31mred", "a\\x9b31mred"),
        ("a\r\nb\tc\x7f\x00", "a\\x0d\\x0ab\\x09c\\x7f\\x00"),
        ("gpj.\u202eexe", "gpj.\\u202eexe"),
        ("\u2066x\u2069\u2028\ufeff", "\\u2066x\\u2069\\u2028\\ufeff"),
        ("\U000e0041", "\\U000e0041"),
        ("\udc80", "\\udc80"),
    ],
)
def test_control_characters_are_shown(text: str, shown: str) -> None:
    assert terminal.one_line(text) == shown


def test_line_ends_and_tabs_stay_in_a_body() -> None:
    assert terminal.lines("a\r\n\tb\rc\x1b[2J") == "a\n\tb\\x0dc\\x1b[2J"


@given(st.text())
def test_nothing_hidden_passes(text: str) -> None:
    for shown, allowed in ((terminal.one_line(text), ""), (terminal.lines(text), "\n\t")):
        for character in shown:
            category = unicodedata.category(character)
            assert character in allowed + "\u200c\u200d" or category not in ("Cc", "Cf", "Cs", "Zl", "Zp")
        shown.encode()


@given(st.text(), st.integers(2, 60))
def test_cells_have_their_width(text: str, columns: int) -> None:
    assert terminal.width(terminal.fitted(text, columns)) == columns


@given(st.lists(st.tuples(st.text(), st.text(), st.text()), max_size=5))
def test_tables_stay_in_their_columns(rows: list[tuple[str, str, str]]) -> None:
    for line in terminal.table(("id", "from", "subject"), [("1", *row[1:]) for row in rows], 80):
        assert terminal.width(line) <= 80
        assert "\n" not in line


def test_rows_of_odd_envelopes() -> None:
    assert terminal.envelope_row(None) == ("?", "(does not open with this key)")
    assert terminal.envelope_row({}) == ("", "(no subject)")
    assert terminal.envelope_row({"from": {"name": "", "address": "a@b"}, "subject": "s"}) == ("a@b", "s")
    assert terminal.envelope_row({"from": 5, "subject": 5}) == ("", "5")


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_for_terminals_only() -> None:
    file, screen = io.StringIO(), Screen()
    for stream in (file, screen):
        bar = terminal.ProgressBar(stream)
        bar.stop()
        assert stream.getvalue() == ""
        bar("derive", 0, None)
        bar("download", 5, 10)
        bar("download", 10, 10)
        bar.stop()
    assert file.getvalue() == ""
    assert "Loading mail" in screen.getvalue()
