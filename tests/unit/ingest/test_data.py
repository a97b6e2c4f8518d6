"""Reading DATA: blocks of any size give the same mail; only CRLF.CRLF ends it; anything doubtful is malformed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.data import DataReader, Outcome, is_strict

BIG = 10**9


class Space:
    """Room for so many bytes, that remembers what it was asked."""

    def __init__(self, most: int = BIG) -> None:
        self.most = most
        self.asked: list[int] = []
        self.released = 0

    def reserve(self, size: int) -> bool:
        self.asked.append(size)
        return size <= self.most

    def release(self) -> None:
        self.released += 1


def read(data: bytes, *, block: int = BIG, limit: int = BIG, drain: int = BIG, room: int = BIG) -> DataReader:
    """Feed `data` in blocks of `block` bytes until there is an outcome."""
    reader = DataReader(limit, drain, Space(room))
    for start in range(0, len(data), block):
        if reader.feed(data[start : start + block]):
            reader.rest += data[start + block :]
            break
    return reader


def stuffed(content: bytes) -> bytes:
    """Return `content` (empty or whole lines) as a client sends it."""
    lines = content.split(b"\r\n")
    return b"\r\n".join(b"." + line if line.startswith(b".") else line for line in lines) + b".\r\n"


@pytest.mark.parametrize("block", [1, 2, 3, 4, 5, 7, 64, BIG])
def test_dots_are_unstuffed_and_the_rest_is_left(block: int) -> None:
    reader = read(b"a\r\n..\r\n...b\r\n.c\r\n.\r\nQUIT\r\n", block=block)
    assert reader.outcome is Outcome.COMPLETE
    assert bytes(reader.content) == b"a\r\n.\r\n..b\r\nc\r\n"
    assert reader.rest == b"QUIT\r\n"


@pytest.mark.parametrize("block", [1, 2, BIG])
def test_an_empty_mail(block: int) -> None:
    reader = read(b".\r\n", block=block)
    assert reader.outcome is Outcome.COMPLETE
    assert bytes(reader.content) == b""


def test_a_first_line_of_a_dot_and_text_is_unstuffed() -> None:
    assert bytes(read(b"..x\r\n.\r\n").content) == b".x\r\n"


@given(
    st.lists(st.text(alphabet="a.\t \xe9", max_size=6).map(str.encode), max_size=12),
    st.integers(min_value=1, max_value=9),
)
def test_every_mail_survives_every_cut(lines: list[bytes], block: int) -> None:
    content = b"".join(line + b"\r\n" for line in lines)
    reader = read(stuffed(content) + b"NOOP\r\n", block=block)
    assert reader.outcome is Outcome.COMPLETE
    assert bytes(reader.content) == content
    assert reader.rest == b"NOOP\r\n"


@given(st.lists(st.sampled_from([b"\r", b"\n", b".", b"a", b"\0", b"\r\n"]), max_size=14), st.integers(1, 5))
def test_cuts_never_change_the_outcome(pieces: list[bytes], block: int) -> None:
    data = b"".join(pieces)
    whole, cut = read(data), read(data, block=block)
    if whole.outcome is Outcome.COMPLETE:
        assert cut.outcome is Outcome.COMPLETE
        assert (cut.content, cut.rest) == (whole.content, whole.rest)
    elif whole.outcome is Outcome.MALFORMED:
        assert cut.outcome is Outcome.MALFORMED
    else:
        assert cut.outcome is None


@pytest.mark.parametrize(
    "ending",
    [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n.\r", b"\n.\r", b"\r\n\0.\r\n", b"\0\r\n.\r\n"],
)
@pytest.mark.parametrize("block", [1, 2, 3, BIG])
def test_only_crlf_dot_crlf_ends_and_anything_like_it_is_malformed(ending: bytes, block: int) -> None:
    reader = read(b"text" + ending + b"MAIL FROM:<evil@example.org>\r\n.\r\n", block=block)
    assert reader.outcome is Outcome.MALFORMED
    assert bytes(reader.content) == b""


@pytest.mark.parametrize("bad", [b"a\rb", b"a\nb", b"a\0b", b"\n", b"\ra", b"\r\r\n", b"\n\r\n", b"a\r\n\n"])
def test_bare_line_ends_and_nul_are_malformed(bad: bytes) -> None:
    assert read(b"x\r\n" + bad + b"\r\n.\r\n").outcome is Outcome.MALFORMED
    assert not is_strict(bad + b"x")


def test_a_dot_alone_within_a_line_does_not_end() -> None:
    assert read(b"a.\r\nb .\r\n . \r\n").outcome is None


def test_too_large_is_read_to_its_end() -> None:
    reader = read(b"x" * 90 + b"\r\n" + b"y" * 90 + b"\r\n.\r\nQUIT\r\n", block=10, limit=100)
    assert reader.outcome is Outcome.TOO_LARGE
    assert reader.rest == b"QUIT\r\n"
    assert not reader.content


def test_the_limit_is_met_exactly_without_stuffing_and_end() -> None:
    assert read(b"..345678\r\n.\r\n", limit=9).outcome is Outcome.COMPLETE
    assert read(b"..3456789\r\n.\r\n", limit=9).outcome is Outcome.TOO_LARGE


def test_no_room_is_read_to_its_end() -> None:
    reader = read((b"x" * 98 + b"\r\n") * 10 + b".\r\n", block=100, room=500)
    assert reader.outcome is Outcome.NO_ROOM
    assert not reader.content


def test_reading_in_vain_is_bounded() -> None:
    reader = read((b"x" * 98 + b"\r\n") * 100 + b".\r\n", block=100, limit=100, drain=1000)
    assert reader.outcome is Outcome.ENDLESS
    assert reader.refused is Outcome.TOO_LARGE


def test_a_malformed_mail_is_malformed_even_while_it_is_read_in_vain() -> None:
    assert read((b"x" * 98 + b"\r\n") * 3 + b"a\nb\r\n.\r\n", block=100, limit=100).outcome is Outcome.MALFORMED


def test_nothing_is_kept_of_what_is_refused() -> None:
    reader = DataReader(50, BIG, Space())
    for _ in range(100):
        reader.feed(b"x" * 1000)
    assert len(reader.content) == 0
    assert reader.outcome is None


def test_room_is_asked_for_as_the_mail_grows_and_given_back_when_it_is_refused() -> None:
    space = Space(250)
    reader = DataReader(BIG, BIG, space)
    for _ in range(5):
        reader.feed(b"x" * 100)
    assert (space.asked, space.released) == ([100, 200, 300], 1)
    assert not reader.feed(b"\r\n")
    assert reader.feed(b".\r\n")
    assert reader.outcome is Outcome.NO_ROOM


def test_the_content_changes_hands_once() -> None:
    reader = read(b"a\r\n.\r\n")
    assert bytes(reader.take()) == b"a\r\n"
    assert bytes(reader.take()) == b""
