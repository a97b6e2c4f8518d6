"""Header fields, lists of addresses, parameters."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.mail.fields import MAX_ADDRESSES, Fields, count_fields, read_addresses, read_parameters


def test_fields_are_found_whatever_their_case_and_folding() -> None:
    fields = Fields(b"From: a@b.example\r\nSUBJECT : one\r\n\ttwo\r\nReceived: 1\r\nreceived: 2\r\nno field\r\n")
    assert fields.text(b"subject") == "one two"
    assert fields.all(b"received") == [b" 1", b" 2"]
    assert fields.first(b"missing") == ""
    assert fields.count == 4


@given(st.binary(max_size=200))
def test_no_block_raises(data: bytes) -> None:
    fields = Fields(data)
    for name in (b"from", b"a", b""):
        fields.text(name)
        fields.addresses(name)


def test_counting_needs_no_reading() -> None:
    block = bytearray(b"A: 1\r\n x\r\n\ty\r\nB: 2\r\n\r\n")
    assert count_fields(block, 0, len(block) - 2) == 2


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("ada@example.org", [("", "ada@example.org")]),
        ("Ada <ada@example.org>", [("Ada", "ada@example.org")]),
        ('"Love, Ada" <ada@example.org>, bob@example.org', [("Love, Ada", "ada@example.org"), ("", "bob@example.org")]),
        ("=?utf-8?q?Ad=C3=A4?= <ada@example.org>", [("Ad\u00e4", "ada@example.org")]),
        # Decoded words do not become structure.
        ("=?utf-8?q?a=2C_evil=40example=2Eorg?= <ada@example.org>", [("a, evil@example.org", "ada@example.org")]),
        ("=?utf-8?q?evil=40example=2Eorg_=3Cx=3E?= <ada@example.org>", [("evil@example.org <x>", "ada@example.org")]),
        ("ada@example.org (Ada Lovelace)", [("Ada Lovelace", "ada@example.org")]),
        ("friends: ada@example.org, bob@example.org;", [("", "ada@example.org"), ("", "bob@example.org")]),
        ("undisclosed-recipients:;", []),
        ("Ada <@relay.example:ada@example.org>", [("Ada", "ada@example.org")]),
        ('"a\\"b" <ada@example.org>', [('a"b', "ada@example.org")]),
        ("Ada <ada@example.org", [("Ada", "ada@example.org")]),
        ('"unfinished <ada@example.org>', [("", "unfinished<ada@example.org>")]),
        ("Ada <ada@example.org> <evil@example.org>", [("Ada", "ada@example.org")]),
        ("no address at all", [("no address at all", "")]),
        ("(comment (nested) only)", []),
        ("", []),
        (",,,", []),
    ],
)
def test_lists_of_addresses(text: str, addresses: list[tuple[str, str]]) -> None:
    assert [tuple(address) for address in read_addresses(text)] == addresses


def test_lists_are_cut() -> None:
    assert len(read_addresses(",".join(f"a{number}@b.example" for number in range(500)))) == MAX_ADDRESSES


@given(st.text(alphabet='"\\()<>,;:@ab \t', max_size=60))
def test_no_list_raises(text: str) -> None:
    for address in read_addresses(text):
        assert isinstance(address.name, str)


@pytest.mark.parametrize(
    "text", ["(" * 8000, "<" * 8000, '"' * 7999, "\\" * 8000, "()" * 4000, "a " * 4000, "a:" * 4000]
)
def test_nothing_takes_long_or_recurses(text: str) -> None:
    began = time.perf_counter()
    read_addresses(text)
    read_parameters("x;" + text)
    assert time.perf_counter() - began < 0.5


@pytest.mark.parametrize(
    ("text", "main", "parameters"),
    [
        ("text/plain", "text/plain", {}),
        ('Text/HTML; Charset="utf-8"; x=1', "text/html", {"charset": "utf-8", "x": "1"}),
        ("attachment; filename*=utf-8''%e2%82%ac.txt", "attachment", {"filename": "\u20ac.txt"}),
        ('attachment; filename*0="a b"; filename*1*=%20c; filename*2=d', "attachment", {"filename": "a b cd"}),
        ("attachment; filename*0*=iso-8859-1'de'gr%fc; filename*1*=n.txt", "attachment", {"filename": "gr\u00fcn.txt"}),
        ("attachment; filename*1=b; filename*0=a", "attachment", {"filename": "ab"}),
        ("attachment; filename*99999999999999999999=x", "attachment", {}),
        ('a/b; boundary="x;y\\"z"', "a/b", {"boundary": 'x;y"z'}),
        ("a/b; boundary=first; boundary=second", "a/b", {"boundary": "first"}),
        ("", "", {}),
    ],
)
def test_parameters(text: str, main: str, parameters: dict[str, str]) -> None:
    assert read_parameters(text) == (main, parameters)


@given(st.text(alphabet=";=\"*'% ab0\\", max_size=60))
def test_no_parameters_raise(text: str) -> None:
    read_parameters(text)
