"""Text from hostile bytes: decoded where that is possible, never with a control in it."""

from __future__ import annotations

import base64
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.mail.text import clean, decode, decode_base64, decode_words, unfold


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ("plain", "plain"),
        ("=?utf-8?q?Gr=C3=BC=C3=9Fe_an?= alle", "Gr\u00fc\u00dfe an alle"),
        ("=?UTF-8?B?R3LDvMOfZQ==?=", "Gr\u00fc\u00dfe"),
        ("=?iso-8859-1?q?a?= =?iso-8859-1?q?b?=", "ab"),
        ("=?utf-8?b?4oKs?= =?utf-8?b?4oKs?=", "\u20ac\u20ac"),
        # A character cut in two by the sender.
        ("=?utf-8?q?=E2=82?= =?utf-8?q?=AC?=", "\u20ac"),
        ("=?utf-8*en?q?a?=", "a"),
        ("=?x-unknown?q?abc?=", "abc"),
        ("=?utf-8?b?####?=", ""),
        ("=?utf-8?b?YQ?=", "a"),
        ("=?utf-8?q?unfinished", "=?utf-8?q?unfinished"),
        ("=?utf-8?x?abc?=", "=?utf-8?x?abc?="),
        # Charsets that are none, or that take time.
        ("=?unicode_escape?q?=5Cx41?=", "\\x41"),
        ("=?punycode?q?abc-?=", "abc-"),
        ("=?utf-7?q?+ADw-script+AD4-?=", "+ADw-script+AD4-"),
    ],
)
def test_encoded_words(raw: str, text: str) -> None:
    assert decode_words(raw) == text


def test_what_is_decoded_is_cleaned_of_controls() -> None:
    smuggled = base64.b64encode(b"Hello\r\nBcc: evil@example.org\r\n\r\n\x00body").decode()
    assert clean(decode_words(f"=?utf-8?b?{smuggled}?="), 500) == "Hello  Bcc: evil@example.org     body"


@pytest.mark.parametrize(
    "character", ["\x00", "\x1b", "\x7f", "\x85", "\u2028", "\u202e", "\u2066", "\ud800", "\ufeff"]
)
def test_controls_become_spaces(character: str) -> None:
    assert clean(f"a{character}b", 500) == "a b"


@given(st.text(), st.integers(1, 50))
def test_clean_text_is_clean_and_short_and_utf8(text: str, limit: int) -> None:
    cleaned = clean(text, limit)
    assert len(cleaned) <= limit
    assert not any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in cleaned)
    cleaned.encode()


@given(st.binary(max_size=300))
def test_no_bytes_raise(data: bytes) -> None:
    text = decode_words(unfold(b"=?utf-8?b?" + data + b"?= =?gb18030?q?" + data + b"?="))
    clean(text, 100).encode()
    decode_base64(data)
    for charset in ("utf-16", "iso-2022-jp", "big5", "shift_jis", "koi8-r", "cp932", "no-such", ""):
        clean(decode(data, charset), 100).encode()


def test_folding_is_taken_out() -> None:
    assert unfold(b" a\r\n\tb\r\n c") == " a\tb c"


@pytest.mark.parametrize(
    "text", ["=?" * 4000, "=?utf-8?q?" * 800, "=?utf-8?q?a?= " * 500, " " * 8000 + "=?", "?= " * 2700]
)
def test_nothing_takes_long(text: str) -> None:
    began = time.perf_counter()
    clean(decode_words(text), 500)
    assert time.perf_counter() - began < 0.1
