"""AES-256-GCM bound to a place, in one piece up to 256 KiB and in a chain of segments above.

One piece:  0x01 || nonce (12) || ciphertext || tag. The nonce is random; 2^32 pieces under one data key keep the chance
of a repeated nonce below 2^-32 (NIST SP 800-38D 8.3), which no account and no public day reaches.

Segments:   0x02 || salt (32) || (ciphertext || tag)... with 256 KiB of plaintext each, the last one shorter or equal.
The STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015): the nonce of a segment is its number (11 bytes) and
a flag that marks the last (1 byte), so a segment that is missing, doubled, moved or cut off the end fails. Counting
nonces need a key of their own for every blob: HKDF-SHA-256 (RFC 5869) of the data key with the random salt.

Segments bound what one call of the cipher holds and let AES-GCM stay within its limits; the additional data of each is
the place.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from libs.runtime.errors import InvalidError
from libs.runtime.randomness import random_bytes
from libs.runtime.secret import Secret

SEGMENT_BYTES = 256 * 1024

_ONE_PIECE = 1
_SEGMENTS = 2
_NONCE = 12
_TAG = 16
_SALT = 32


def place_of(collection: str, key: str, field: str) -> str:
    """Return the place that binds a ciphertext: `collection/key/field`."""
    return f"{collection}/{key}/{field}"


def seal(data_key: Secret[bytes], place: str, plaintext: bytes) -> bytes:
    """Return `plaintext` sealed under `data_key` (32 bytes) so that it opens at `place` only."""
    aad = _aad(place)
    if len(plaintext) <= SEGMENT_BYTES:
        nonce = random_bytes(_NONCE)
        return bytes((_ONE_PIECE,)) + nonce + AESGCM(data_key.reveal()).encrypt(nonce, plaintext, aad)
    salt = random_bytes(_SALT)
    cipher = _segment_cipher(data_key, salt)
    view = memoryview(plaintext)
    parts = [bytes((_SEGMENTS,)), salt]
    for number, start in enumerate(range(0, len(plaintext), SEGMENT_BYTES)):
        end = start + SEGMENT_BYTES
        parts.append(cipher.encrypt(_segment_nonce(number, end >= len(plaintext)), view[start:end], aad))
    return b"".join(parts)


def open_sealed(data_key: Secret[bytes], place: str, blob: bytes) -> bytes:
    """Return what `seal` was given with the same key and place.

    Raises: InvalidError("sealed_data_invalid") for another key, another place, or any changed, missing, added or
    moved byte or segment. No part of the plaintext is returned unless all of it is authentic.
    """
    try:
        form = blob[0] if blob else 0
        if form == _ONE_PIECE and len(blob) >= 1 + _NONCE + _TAG:
            rest = memoryview(blob)[1:]
            return AESGCM(data_key.reveal()).decrypt(rest[:_NONCE], rest[_NONCE:], _aad(place))
        # Shorter blobs are never made in segments: one plaintext has one form.
        if form == _SEGMENTS and len(blob) > 1 + _SALT + SEGMENT_BYTES + 2 * _TAG:
            return _open_segments(data_key, place, memoryview(blob)[1:])
    except InvalidTag as error:
        raise InvalidError("sealed_data_invalid") from error
    raise InvalidError("sealed_data_invalid")


def _open_segments(data_key: Secret[bytes], place: str, rest: memoryview) -> bytes:
    cipher, aad = _segment_cipher(data_key, bytes(rest[:_SALT])), _aad(place)
    body = rest[_SALT:]
    parts = []
    for number, start in enumerate(range(0, len(body), SEGMENT_BYTES + _TAG)):
        end = start + SEGMENT_BYTES + _TAG
        parts.append(cipher.decrypt(_segment_nonce(number, end >= len(body)), body[start:end], aad))
    return b"".join(parts)


def _segment_cipher(data_key: Secret[bytes], salt: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), 32, salt, b"sealpost/v1/segments").derive(data_key.reveal()))


def _segment_nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


def _aad(place: str) -> bytes:
    return b"sealpost/v1/seal/" + place.encode()
