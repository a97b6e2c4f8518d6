"""The user's keys: the same as every other client derives, wrapped in the same form, and of a form that GnuPG reads."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pysequoia
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.client import keys
from libs.client.errors import RefusedError
from libs.runtime.secret import Secret

VECTORS: dict[str, list[dict[str, Any]]] = json.loads(
    (Path(__file__).parents[2] / "support" / "vectors" / "password.json").read_text()
)
KDF = {
    "algorithm": "argon2id",
    "salt": "c2FsdHNhbHRzYWx0c2FsdA==",
    "memory_kib": 65536,
    "iterations": 3,
    "parallelism": 1,
}
KEYS = keys.DerivedKeys(Secret(b"a" * 32), Secret(b"w" * 32))
KEY = keys.generate("ada@sealpost.test", 1_795_366_800)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize("vector", VECTORS["derivation"], ids=range(len(VECTORS["derivation"])))
def test_passwords_are_derived_as_everywhere(vector: dict[str, Any]) -> None:
    derived = keys.derive(vector["password"], keys.Kdf.from_json(vector["kdf"]))
    assert b64(derived.authentication.reveal()) == vector["authentication_key"]
    assert b64(derived.wrapping.reveal()) == vector["wrap_key"]


@pytest.mark.parametrize("vector", VECTORS["recovery"], ids=range(len(VECTORS["recovery"])))
def test_recovery_codes_are_derived_as_everywhere(vector: dict[str, Any]) -> None:
    assert keys.format_recovery_code(base64.b64decode(vector["bytes"])) == vector["code"]
    for written in (vector["code"], vector["code"].lower(), vector["code"].replace("-", " "), "  " + vector["code"]):
        derived = keys.derive_recovery(written.replace("0", "o").replace("1", "l"))
        assert b64(derived.authentication.reveal()) == vector["authentication_key"]
        assert b64(derived.wrapping.reveal()) == vector["wrap_key"]


@pytest.mark.parametrize("vector", VECTORS["wrapping"], ids=range(len(VECTORS["wrapping"])))
def test_wrapped_keys_open_as_everywhere(vector: dict[str, Any]) -> None:
    wrapping = keys.DerivedKeys(Secret(b""), Secret(base64.b64decode(vector["wrap_key"])))
    wrapped, fingerprint = base64.b64decode(vector["wrapped"]), vector["fingerprint"]
    assert keys.unwrap(wrapped, fingerprint, wrapping).reveal() == base64.b64decode(vector["private_key"])


def test_wrapping_binds_key_fingerprint_and_every_byte() -> None:
    wrapped = keys.wrap(KEY.secret, KEY.fingerprint, KEYS)
    assert keys.unwrap(wrapped, KEY.fingerprint, KEYS).reveal() == KEY.secret.reveal()
    assert wrapped != keys.wrap(KEY.secret, KEY.fingerprint, KEYS)
    other = keys.DerivedKeys(KEYS.authentication, Secret(b"x" * 32))
    for blob, fingerprint, derived in (
        (wrapped, KEY.fingerprint, other),
        (wrapped, "0" * 40, KEYS),
        (wrapped[:-1], KEY.fingerprint, KEYS),
        (b"\x02" + wrapped[1:], KEY.fingerprint, KEYS),
        (b"", KEY.fingerprint, KEYS),
    ):
        with pytest.raises(RefusedError) as caught:
            keys.unwrap(blob, fingerprint, derived)
        assert caught.value.reason == "wrong_password"


@pytest.mark.parametrize(
    "change",
    [
        {"memory_kib": 8192},
        {"memory_kib": 2**21},
        {"iterations": 1},
        {"iterations": 100},
        {"parallelism": 0},
        {"parallelism": 100},
        {"salt": "c2FsdA=="},
        {"salt": "not base64"},
        {"algorithm": "argon2i"},
        {"iterations": "3"},
        {"memory_kib": None},
    ],
)
def test_unsafe_parameters_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(RefusedError) as caught:
        keys.Kdf.from_json({**KDF, **change})
    assert caught.value.reason == "kdf_parameters"


def test_parameters_survive_the_wire() -> None:
    fresh = keys.Kdf.fresh()
    assert keys.Kdf.from_json(fresh.to_json()) == fresh
    assert keys.Kdf.from_json(KDF).to_json() == KDF
    with pytest.raises(RefusedError):
        keys.Kdf.from_json({})


@pytest.mark.parametrize("code", ["", "0000", "U" * 32, "0" * 33, "!" * 32])
def test_bad_recovery_codes_are_refused(code: str) -> None:
    with pytest.raises(RefusedError) as caught:
        keys.derive_recovery(code)
    assert caught.value.reason == "recovery_code_malformed"


def test_new_recovery_codes_differ_and_parse() -> None:
    one, two = keys.new_recovery_code(), keys.new_recovery_code()
    assert one != two
    assert len(one) == 39
    keys.derive_recovery(one)


def test_a_generated_key_is_dated_back_to_a_day() -> None:
    day = keys.generate("ada@sealpost.test", 1_795_366_800).certificate[3:7]
    assert int.from_bytes(day, "big") == 1_795_219_200
    assert int.from_bytes(day, "big") % 86_400 == 0


@given(st.binary(max_size=2000))
def test_what_is_sealed_to_the_key_opens(body: bytes) -> None:
    key = keys.PrivateKey(KEY.secret, KEY.fingerprint)
    certificate = pysequoia.Cert.from_bytes(KEY.certificate)
    assert key.open(pysequoia.encrypt(body, recipients=[certificate], armor=False)) == body


@given(st.data())
def test_a_changed_message_never_opens(data: st.DataObject) -> None:
    key = keys.PrivateKey(KEY.secret, KEY.fingerprint)
    sealed = bytearray(
        pysequoia.encrypt(b"mail" * 20, recipients=[pysequoia.Cert.from_bytes(KEY.certificate)], armor=False)
    )
    # The key id in front (bytes 3 to 10) only says whom to try.
    at = data.draw(st.integers(11, len(sealed) - 1))
    sealed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(RefusedError) as caught:
        key.open(bytes(sealed))
    assert caught.value.reason == "cannot_open"


def test_other_messages_do_not_open() -> None:
    key = keys.PrivateKey(KEY.secret, KEY.fingerprint)
    other = pysequoia.Cert.from_bytes(keys.generate("eve@sealpost.test", 1_795_366_800).certificate)
    for message in (b"", b"text", KEY.certificate, pysequoia.encrypt(b"x", recipients=[other], armor=False)):
        with pytest.raises(RefusedError):
            key.open(message)


def test_a_key_must_be_that_of_the_account() -> None:
    with pytest.raises(RefusedError) as caught:
        keys.PrivateKey(KEY.secret, "0" * 40)
    assert caught.value.reason == "private_key_foreign"
    for bad in (b"", b"junk", KEY.certificate):
        with pytest.raises(RefusedError) as caught:
            keys.PrivateKey(Secret(bad), KEY.fingerprint)
        assert caught.value.reason == "private_key_malformed"


def test_nothing_secret_is_printed() -> None:
    assert str(KEY.secret) == "***"
    assert "a" * 32 not in repr(KEYS)
    assert KEY.secret.reveal().hex() not in repr(KEY)
