"""The keyed hash is HMAC-SHA-256 over a purpose with its length and the value."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.envelope import KeyedHash
from libs.runtime.secret import Secret

KEY = bytes(range(32))


@given(st.text(max_size=50), st.binary(max_size=300))
def test_it_is_hmac_as_python_has_it(purpose: str, value: bytes) -> None:
    name = purpose.encode()
    expected = hmac.digest(KEY, len(name).to_bytes(4, "big") + name + value, hashlib.sha256)[:16]
    hashes = KeyedHash(Secret(KEY))
    # The second time it begins with what it remembers of the purpose.
    assert [hashes.digest(purpose, value), hashes.digest(purpose, value)] == [expected, expected]


def test_purposes_are_apart_also_where_there_are_more_than_it_remembers() -> None:
    hashes = KeyedHash(Secret(KEY))
    assert len({hashes.digest(f"purpose{number}", b"same") for number in range(300)}) == 300
    assert hashes.digest("a", b"bc") != hashes.digest("ab", b"c")
    assert hashes.digest("purpose299", b"same") == KeyedHash(Secret(KEY)).digest("purpose299", b"same")


def test_another_key_gives_another_hash_and_a_short_one_is_refused() -> None:
    assert KeyedHash(Secret(KEY)).digest("a", b"") != KeyedHash(Secret(KEY[::-1])).digest("a", b"")
    with pytest.raises(ValueError, match="32 raw bytes"):
        KeyedHash(Secret(b"short"))
