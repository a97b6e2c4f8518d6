"""Which certificates of strangers mail is sealed to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pysequoia
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pysequoia.packet import Tag

from libs.client.openpgp import KeyMaterial, build_key
from services.gateway.certificates import MAX_BYTES, usable
from tests.unit.gateway.certificates import (
    ADDRESS,
    CREATED,
    DAY,
    joined,
    key_of,
    packets_of,
    tags_of,
    with_expired_subkey,
    with_several_names,
    without_subkey,
)

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.mark.parametrize(
    "user_id",
    [f"Ann <{ADDRESS}>", f"<{ADDRESS}>", ADDRESS, "Ann <Ann@Example.ORG>", f"Ann (at work) <{ADDRESS}>"],
)
def test_a_good_one_is_taken(user_id: str) -> None:
    key = key_of(user_id)
    found = usable(key.certificate, ADDRESS, NOW)
    assert found is not None
    assert found.fingerprint == key.fingerprint
    sealed = pysequoia.encrypt(b"hello", recipients=[pysequoia.Cert.from_bytes(found.data)], armor=False)
    secret = pysequoia.Tsk.from_bytes(key.secret.reveal())
    assert pysequoia.decrypt(sealed, decryptor=secret.decryptor()).bytes == b"hello"


def test_an_armoured_one_is_taken_and_handed_on_binary() -> None:
    armoured = str(pysequoia.Cert.from_bytes(key_of().certificate)).encode()
    found = usable(armoured, ADDRESS, NOW)
    assert found is not None and found.data[0] & 0x80


@pytest.mark.parametrize(
    "user_id",
    [
        "Ann <ann@example.com>",
        "Ann <ann@example.org.evil.example>",
        "ann@example.org <eve@evil.example>",
        "Ann <annb@example.org>",
        "Ann",
        "",
    ],
)
def test_one_of_somebody_else_is_not(user_id: str) -> None:
    assert usable(key_of(user_id).certificate, ADDRESS, NOW) is None


def test_only_the_name_that_was_asked_for_is_handed_on() -> None:
    found = usable(with_several_names("Old <ann@old.example>", f"Ann <{ADDRESS}>"), ADDRESS, NOW)
    assert found is not None
    assert [str(name) for name in pysequoia.Cert.from_bytes(found.data).user_ids] == [f"Ann <{ADDRESS}>"]


def test_a_name_that_the_key_did_not_certify_does_not_count() -> None:
    packets = packets_of(key_of("Eve <eve@evil.example>").certificate)
    stranger = packets_of(build_key(f"Ann <{ADDRESS}>", CREATED, KeyMaterial.generate()).certificate)
    assert usable(joined([*packets[:3], stranger[1], *packets[3:]]), ADDRESS, NOW) is None
    assert usable(joined([*packets[:3], *stranger[1:3], *packets[3:]]), ADDRESS, NOW) is None


def test_what_has_expired_is_not() -> None:
    lived = key_of(lifetime=DAY).certificate
    end = datetime.fromtimestamp(CREATED, UTC) + timedelta(days=1)
    assert usable(lived, ADDRESS, end - timedelta(seconds=1)) is not None
    assert usable(lived, ADDRESS, end) is None


def test_a_subkey_that_has_expired_is_not_sealed_to() -> None:
    assert usable(with_expired_subkey(), ADDRESS, NOW) is None


def test_a_key_from_the_future_is_not() -> None:
    assert usable(key_of().certificate, ADDRESS, datetime.fromtimestamp(CREATED - 1, UTC)) is None


def test_one_that_cannot_be_sealed_to_is_not() -> None:
    assert usable(without_subkey(), ADDRESS, NOW) is None


def test_a_revoked_one_is_not() -> None:
    key = key_of()
    certificate = pysequoia.Cert.from_bytes(key.certificate)
    revocation = certificate.revoke(pysequoia.Tsk.from_bytes(key.secret.reveal()).certifier())
    revoked = packets_of(key.certificate)
    data = bytes(revoked[0]) + bytes(revocation) + joined(revoked[1:])
    assert pysequoia.Cert.from_bytes(data).is_revoked
    assert usable(data, ADDRESS, NOW) is None


def test_a_revoked_name_is_not() -> None:
    key = key_of()
    certificate = pysequoia.Cert.from_bytes(key.certificate)
    certifier = pysequoia.Tsk.from_bytes(key.secret.reveal()).certifier()
    revocation = certificate.revoke_user_id(certificate.user_ids[0], certifier)
    packets = packets_of(key.certificate)
    data = joined(packets[:3]) + bytes(revocation) + joined(packets[3:])
    assert usable(data, ADDRESS, NOW) is None


def test_a_private_key_is_not() -> None:
    assert usable(key_of().secret.reveal(), ADDRESS, NOW) is None


def test_of_several_the_first_that_is_good_is_taken() -> None:
    other = build_key("Eve <eve@evil.example>", CREATED, KeyMaterial.generate())
    found = usable(other.certificate + key_of().certificate, ADDRESS, NOW)
    assert found is not None and found.fingerprint == key_of().fingerprint


def test_signatures_of_strangers_are_left_out() -> None:
    packets = packets_of(key_of().certificate)
    stranger = packets_of(build_key(f"Ann <{ADDRESS}>", CREATED, KeyMaterial.generate()).certificate)[2]
    found = usable(joined([*packets[:3], stranger, *packets[3:]]), ADDRESS, NOW)
    assert found is not None
    assert tags_of(found.data) == [Tag.PublicKey, Tag.UserID, Tag.Signature, Tag.PublicSubkey, Tag.Signature]


@pytest.mark.parametrize("data", [b"", b"x", b"\xff" * 100, b"-----BEGIN PGP", b"\x99", b"<!doctype html>"])
def test_what_is_none_is_not(data: bytes) -> None:
    assert usable(data, ADDRESS, NOW) is None


def test_one_that_is_too_large_is_not() -> None:
    certificate = with_several_names(f"Ann <{ADDRESS}>", *(f"{number} <a{number}@b.example>" for number in range(600)))
    assert len(certificate) > MAX_BYTES
    assert usable(certificate, ADDRESS, NOW) is None


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_damaged_one_never_fails_otherwise(place: int, change: int) -> None:
    data = bytearray(key_of().certificate)
    data[place % len(data)] ^= change
    found = usable(bytes(data), ADDRESS, NOW)
    assert found is None or found.fingerprint == key_of().fingerprint
