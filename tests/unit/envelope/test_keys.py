"""Data keys are wrapped under versioned key-encryption keys; look-up hashes depend on secret, purpose and value."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.envelope import KeyedHash, KeyEncryptionKeys, new_data_key, read_key
from libs.runtime.errors import InvalidError, UnavailableError
from libs.runtime.secret import Secret

OLD, NEW = Secret(b"o" * 32), Secret(b"n" * 32)


def test_rotation_wraps_under_the_newest_and_unwraps_under_all() -> None:
    key = new_data_key()
    old = KeyEncryptionKeys({1: OLD})
    both = KeyEncryptionKeys({1: OLD, 2: NEW})
    before = old.wrap(key, "key/a")
    after = both.wrap(both.unwrap(before, "key/a"), "key/a")
    assert both.unwrap(before, "key/a").reveal() == key.reveal()
    assert not both.is_current(before)
    assert both.is_current(after)
    assert KeyEncryptionKeys({2: NEW}).unwrap(after, "key/a").reveal() == key.reveal()
    with pytest.raises(UnavailableError, match="kek_missing"):
        KeyEncryptionKeys({2: NEW}).unwrap(before, "key/a")


def test_another_place_or_key_is_refused() -> None:
    blob = KeyEncryptionKeys({1: OLD}).wrap(new_data_key(), "key/a")
    with pytest.raises(InvalidError, match="sealed_data_invalid"):
        KeyEncryptionKeys({1: OLD}).unwrap(blob, "key/b")
    with pytest.raises(InvalidError, match="sealed_data_invalid"):
        KeyEncryptionKeys({1: NEW}).unwrap(blob, "key/a")


@given(st.data())
def test_a_changed_wrapped_key_is_refused(data: st.DataObject) -> None:
    keys = KeyEncryptionKeys({1: OLD})
    blob = bytearray(keys.wrap(new_data_key(), "key/a"))
    at = data.draw(st.integers(0, len(blob) - 1))
    blob[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises((InvalidError, UnavailableError)):
        keys.unwrap(bytes(blob), "key/a")
    with pytest.raises(InvalidError):
        keys.unwrap(bytes(blob[:at]), "key/a")


def test_key_files() -> None:
    assert read_key(Secret(b"k" * 32)).reveal() == b"k" * 32
    assert read_key(Secret(b"6b" * 32 + b"\n")).reveal() == b"k" * 32
    single = KeyEncryptionKeys.from_file(Secret(OLD.reveal().hex().encode() + b"\n"))
    several = KeyEncryptionKeys.from_file(
        Secret(f"1:{OLD.reveal().hex()}\n\n2: {NEW.reveal().hex()}\n".encode()),
    )
    key = new_data_key()
    assert several.unwrap(single.wrap(key, "p"), "p").reveal() == key.reveal()
    assert not several.is_current(single.wrap(key, "p"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"short",
        b"zz" * 32,
        b"1:" + b"zz" * 32,
        b"x:" + b"6b" * 32,
        (b"1:" + b"6b" * 32 + b"\n") * 2,
        b"0:" + b"6b" * 32,
    ],
)
def test_a_bad_key_file_is_refused_without_showing_it(content: bytes) -> None:
    with pytest.raises(ValueError) as caught:
        KeyEncryptionKeys.from_file(Secret(content))
    assert "zz" not in str(caught.value)


def test_bad_keys_are_refused() -> None:
    with pytest.raises(ValueError, match="versions"):
        KeyEncryptionKeys({})
    with pytest.raises(ValueError, match="32 bytes"):
        KeyEncryptionKeys({1: OLD}).wrap(Secret(b"short"), "p")
    with pytest.raises(ValueError, match="key file"):
        KeyedHash(Secret(b"short"))


def test_keyed_hash_separates_secrets_purposes_and_values() -> None:
    hashed = KeyedHash(OLD)
    digest = hashed.digest("address", b"ada@sealpost.test")
    assert len(digest) == 16
    assert digest == KeyedHash(Secret(OLD.reveal().hex().encode())).digest("address", b"ada@sealpost.test")
    assert digest != KeyedHash(NEW).digest("address", b"ada@sealpost.test")
    assert digest != hashed.digest("session", b"ada@sealpost.test")
    assert hashed.digest("a", b"bc") != hashed.digest("ab", b"c")
