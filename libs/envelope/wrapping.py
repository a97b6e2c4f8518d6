"""Data keys wrapped under versioned key-encryption keys (KEK), so that a KEK is rotated without touching sealed data.

A wrapped key is 0x01 || KEK version (4) || nonce (12) || AES-256-GCM(KEK, nonce, data key, version || place). The
newest KEK wraps, every KEK still held unwraps; `is_current` finds keys that still wait for the newest.
"""

from __future__ import annotations

from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from libs.envelope.keys import KEY_BYTES, read_key
from libs.runtime.errors import InvalidError, UnavailableError
from libs.runtime.randomness import random_bytes
from libs.runtime.secret import Secret

_FORMAT = 1
_NONCE = 12
_LENGTH = 1 + 4 + _NONCE + KEY_BYTES + 16


class KeyEncryptionKeys:
    """Wraps data keys under the newest key, unwraps under any that it holds."""

    def __init__(self, keys: Mapping[int, Secret[bytes]]) -> None:
        """Take keys by version (1 to 2^32 - 1), each as `read_key` takes it.

        Raises: ValueError if there is none, or one is not a 256-bit key, or a version is out of range.
        """
        if not keys or not all(0 < version < 2**32 for version in keys):
            raise ValueError("key-encryption keys need versions from 1 to 4294967295")
        self._ciphers = {version: AESGCM(read_key(key).reveal()) for version, key in keys.items()}
        self._newest = max(keys)

    @classmethod
    def from_file(cls, content: Secret[bytes]) -> KeyEncryptionKeys:
        """Read a mounted key file: one key (version 1, see `read_key`), or lines of `version:hexadecimal key`.

        Raises: ValueError if it holds anything else; the text does not show the content.
        """
        raw = content.reveal()
        if b":" not in raw or len(raw) == KEY_BYTES:
            return cls({1: read_key(content)})
        keys: dict[int, Secret[bytes]] = {}
        for line in raw.split(b"\n"):
            if not line.strip():
                continue
            version, _, key = line.partition(b":")
            if not version.strip().isdigit() or int(version) in keys:
                raise ValueError("a key file of several keys holds lines of distinct `version:hexadecimal key`")
            keys[int(version)] = read_key(Secret(key.strip()))
        return cls(keys)

    def wrap(self, data_key: Secret[bytes], place: str) -> bytes:
        """Return `data_key` (32 bytes) wrapped so that it unwraps at `place` only."""
        if len(data_key.reveal()) != KEY_BYTES:
            raise ValueError("a data key has 32 bytes")
        nonce = random_bytes(_NONCE)
        head = bytes((_FORMAT,)) + self._newest.to_bytes(4, "big")
        return head + nonce + self._ciphers[self._newest].encrypt(nonce, data_key.reveal(), _aad(place, head))

    def unwrap(self, blob: bytes, place: str) -> Secret[bytes]:
        """Return the data key.

        Raises: InvalidError("sealed_data_invalid") if the blob is changed or of another place;
        UnavailableError("kek_missing") if its key-encryption key is not held (any more): an operator can bring it back.
        """
        if len(blob) != _LENGTH or blob[0] != _FORMAT:
            raise InvalidError("sealed_data_invalid")
        cipher = self._ciphers.get(int.from_bytes(blob[1:5], "big"))
        if cipher is None:
            raise UnavailableError("kek_missing")
        try:
            return Secret(cipher.decrypt(blob[5 : 5 + _NONCE], blob[5 + _NONCE :], _aad(place, blob[:5])))
        except InvalidTag as error:
            raise InvalidError("sealed_data_invalid") from error

    @property
    def newest(self) -> int:
        """The version of the key that wraps."""
        return self._newest

    def is_current(self, blob: bytes) -> bool:
        """Tell whether `blob` is wrapped under the newest key."""
        return blob[1:5] == self._newest.to_bytes(4, "big")


def _aad(place: str, head: bytes) -> bytes:
    return b"sealpost/v1/wrap/" + head + place.encode()
