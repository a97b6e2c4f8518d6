from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

import pytest

from libs.envelope import KeyedHash
from libs.runtime.errors import InvalidError
from libs.runtime.secret import Secret
from services.accounts.domain import verifiers
from services.accounts.domain.addresses import parse_address
from services.accounts.domain.verifiers import Purpose, Verifiers
from tests.unit.accounts.support import KDF

KEY = secrets.token_bytes(32)


@pytest.fixture
def maker() -> Verifiers:
    return Verifiers(Secret(b"k" * 32))


def test_the_right_key_matches_and_a_changed_bit_does_not(maker: Verifiers) -> None:
    verifier = maker.make("a1", Purpose.PASSWORD, KEY)
    assert maker.matches("a1", Purpose.PASSWORD, verifier, KEY)
    assert not maker.matches("a1", Purpose.PASSWORD, verifier, bytes([KEY[0] ^ 1]) + KEY[1:])


def test_a_verifier_works_in_its_place_only(maker: Verifiers) -> None:
    verifier = maker.make("a1", Purpose.PASSWORD, KEY)
    assert not maker.matches("a2", Purpose.PASSWORD, verifier, KEY)
    assert not maker.matches("a1", Purpose.RECOVERY, verifier, KEY)
    assert not Verifiers(Secret(b"l" * 32)).matches("a1", Purpose.PASSWORD, verifier, KEY)


def test_the_same_key_makes_another_verifier_each_time(maker: Verifiers) -> None:
    first, second = (maker.make("a1", Purpose.PASSWORD, KEY) for _ in range(2))
    assert first.digest != second.digest
    assert KEY not in first.digest + first.salt


def test_nothing_matches_where_there_is_no_verifier(maker: Verifiers) -> None:
    assert not maker.matches("a1", Purpose.PASSWORD, None, KEY)


def test_a_decoy_is_stable_and_looks_like_what_our_clients_make() -> None:
    hashes = KeyedHash(Secret(b"k" * 32))
    ada, bob = (parse_address(f"{name}@sealpost.test") for name in ("ada", "bob"))
    decoy = verifiers.decoy_kdf(hashes, ada)
    assert decoy == verifiers.decoy_kdf(hashes, ada)
    assert decoy.salt != verifiers.decoy_kdf(hashes, bob).salt
    assert replace(decoy, salt=KDF.salt) == KDF
    verifiers.check_kdf(decoy)


@pytest.mark.parametrize(
    "change",
    [
        {"salt": b""},
        {"salt": b"x" * 15},
        {"salt": b"x" * 17},
        {"memory_kib": 0},
        {"memory_kib": 19455},
        {"memory_kib": 1024 * 1024 + 1},
        {"iterations": 1},
        {"iterations": 17},
        {"parallelism": 0},
        {"parallelism": 5},
    ],
)
def test_parameters_out_of_bounds_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(InvalidError, match="kdf_"):
        verifiers.check_kdf(replace(KDF, **change))


@pytest.mark.parametrize("change", [{"memory_kib": 19456, "iterations": 2}, {"memory_kib": 1024 * 1024}])
def test_parameters_at_the_bounds_are_taken(change: dict[str, Any]) -> None:
    verifiers.check_kdf(replace(KDF, **change))


@pytest.mark.parametrize("size", [0, 31, 33])
def test_an_authentication_key_has_32_bytes(size: int) -> None:
    verifiers.check_authentication_key(b"x" * 32)
    with pytest.raises(InvalidError, match="authentication_key"):
        verifiers.check_authentication_key(b"x" * size)


@pytest.mark.parametrize("wrapped", [b"", b"\x01" + b"x" * 28, b"\x02" + b"x" * 100, b"\x01" + b"x" * 16384])
def test_a_wrapped_key_has_its_form_and_16_kib_at_most(wrapped: bytes) -> None:
    verifiers.check_wrapped_key(b"\x01" + b"x" * 29)
    verifiers.check_wrapped_key(b"\x01" + b"x" * 16383)
    with pytest.raises(InvalidError, match="wrapped_private_key"):
        verifiers.check_wrapped_key(wrapped)


@pytest.mark.parametrize("fingerprint", ["", "ab" * 19, "AB" * 20, "ab" * 32, "zz" * 20, "ab" * 20 + "\n"])
def test_a_fingerprint_is_that_of_a_v4_key(fingerprint: str) -> None:
    verifiers.check_fingerprint("ab" * 20)
    with pytest.raises(InvalidError, match="fingerprint"):
        verifiers.check_fingerprint(fingerprint)


def test_a_key_file_with_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match="key file"):
        Verifiers(Secret(b"short"))
