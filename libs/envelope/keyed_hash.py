"""Look-up by hash: HMAC-SHA-256 (RFC 2104) under a mounted key, so that a dump cannot be searched by guessing."""

from __future__ import annotations

import hashlib

from libs.envelope.keys import read_key
from libs.runtime.secret import Secret

DIGEST_BYTES = 16
# RFC 2104 2; written out, for Python's own HMAC objects take three times as long for values as short as these.
_BLOCK = 64
_INNER = bytes(byte ^ 0x36 for byte in range(256))
_OUTER = bytes(byte ^ 0x5C for byte in range(256))
_MAX_PURPOSES = 100


class KeyedHash:
    """Hashes values under one secret, separately for each purpose."""

    def __init__(self, secret: Secret[bytes]) -> None:
        """Take the content of the key file, see `read_key`.

        Raises: ValueError if it is not a 256-bit key.
        """
        key = read_key(secret).reveal().ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(key.translate(_INNER))
        self._outer = hashlib.sha256(key.translate(_OUTER))
        # By purpose, of which there are a few.
        self._begun: dict[str, hashlib._Hash] = {}

    def digest(self, purpose: str, value: bytes) -> bytes:
        """Return 16 bytes that depend on the secret, `purpose` and `value`.

        128 bits are past guessing and past accidental collision at any number of documents that fits a disk.
        """
        inner = (self._begun.get(purpose) or self._begin(purpose)).copy()
        inner.update(value)
        outer = self._outer.copy()
        outer.update(inner.digest())
        return outer.digest()[:DIGEST_BYTES]

    def _begin(self, purpose: str) -> hashlib._Hash:
        name = purpose.encode()
        begun = self._inner.copy()
        # The length in front keeps ("a", b"bc") and ("ab", b"c") apart.
        begun.update(len(name).to_bytes(4, "big") + name)
        if len(self._begun) < _MAX_PURPOSES:
            self._begun[purpose] = begun
        return begun
