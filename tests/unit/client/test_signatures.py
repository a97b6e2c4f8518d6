"""What a signature is worth."""

from __future__ import annotations

from typing import Any

import pysequoia
import pytest

from libs.client import keys, signatures
from libs.client.errors import RefusedError
from libs.runtime.clock import SystemClock, unix_seconds

NOW = unix_seconds(SystemClock())


def private(address: str) -> keys.PrivateKey:
    made = keys.generate(address, NOW)
    return keys.PrivateKey(made.secret, made.fingerprint)


ADA, BOB, EVE = (private(f"{name}@sealpost.test") for name in ("ada", "bob", "eve"))


def opened(message: bytes, writer: keys.PrivateKey | None = ADA) -> tuple[bytes, str]:
    found = BOB.open_checked(message, writer.certificate() if writer else None)
    return found.plaintext, found.signature


def test_the_right_key_verifies() -> None:
    assert opened(ADA.seal(b"hello", BOB.certificate())) == (b"hello", signatures.VERIFIED)


def test_another_key_does_not() -> None:
    assert opened(EVE.seal(b"hello", BOB.certificate())) == (b"hello", signatures.OTHER_KEY)


def test_without_a_certificate_nothing_is_checked() -> None:
    message = ADA.seal(b"hello", BOB.certificate())
    assert opened(message, None) == (b"hello", signatures.UNCHECKED)
    found = BOB.open_checked(message, b"no certificate")
    assert found.signature == signatures.UNCHECKED


def test_without_a_signature_nothing_is_signed() -> None:
    reader = pysequoia.Cert.from_bytes(BOB.certificate())
    message = pysequoia.encrypt(b"hello", recipients=[reader], armor=False)
    for writer in (ADA, None):
        assert opened(message, writer) == (b"hello", signatures.NONE)


def test_a_changed_message_does_not_open() -> None:
    message = bytearray(ADA.seal(b"hello" * 100, BOB.certificate()))
    message[-50] ^= 1
    with pytest.raises(RefusedError, match="does not open"):
        BOB.open_checked(bytes(message), ADA.certificate())
    with pytest.raises(RefusedError, match="does not open"):
        EVE.open_checked(ADA.seal(b"hello", BOB.certificate()), ADA.certificate())


def test_nothing_is_sealed_to_what_is_no_certificate() -> None:
    for certificate in (b"", b"x", b"\x99" * 50):
        with pytest.raises(RefusedError, match="certificate"):
            ADA.seal(b"hello", certificate)


def test_certificates_are_what_they_are_said_to_be() -> None:
    data = ADA.certificate()
    keys.check_certificate(data, ADA.fingerprint.upper(), "Ada@sealpost.test")
    keys.check_certificate(data, ADA.fingerprint, "")
    for given in ((data, BOB.fingerprint, ""), (data, ADA.fingerprint, "bob@sealpost.test"), (b"x", "", "")):
        with pytest.raises(RefusedError, match="certificate"):
            keys.check_certificate(*given)


ENVELOPE = {"from": {"address": "Ada@sealpost.test"}, "rcpt": "bob@sealpost.test", "message_id": "<1@x>"}
MAIL = b"From: Ada <ada@sealpost.test>\r\nMessage-ID: <1@x>\r\n\r\nhello\r\n"
READER = "bob@sealpost.test"


@pytest.mark.parametrize(
    ("envelope", "mail", "words", "word"),
    [
        ({}, MAIL, ("verified", "verified"), "verified"),
        ({}, MAIL, ("verified", "none"), "none"),
        ({}, MAIL, ("other-key", "verified"), "other-key"),
        ({}, MAIL, ("mismatch", "verified"), "verified"),
        ({"rcpt": "carol@sealpost.test"}, MAIL, ("verified", "verified"), "mismatch"),
        ({"message_id": "<2@x>"}, MAIL, ("verified", "verified"), "mismatch"),
        ({"from": {"address": "eve@sealpost.test"}}, MAIL, ("verified", "verified"), "mismatch"),
        ({"from": None}, MAIL, ("verified", "verified"), "mismatch"),
        ({}, b"From: eve@sealpost.test\r\n" + MAIL, ("verified", "verified"), "mismatch"),
        ({}, MAIL.replace(b"From:", b"From: eve@x.test,"), ("verified", "verified"), "mismatch"),
        ({}, b"hello", ("verified", "verified"), "mismatch"),
    ],
)
def test_good_signatures_must_belong_together(
    envelope: dict[str, Any], mail: bytes, words: tuple[str, str], word: str
) -> None:
    assert signatures.judge(ENVELOPE | envelope, mail, words, READER) == word


def test_only_one_word_sounds_good() -> None:
    for word, sentence in signatures.SENTENCES.items():
        assert ("NOT VERIFIED" in sentence) == (word != signatures.VERIFIED)
