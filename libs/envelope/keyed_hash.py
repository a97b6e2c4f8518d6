"""Look-up by hash: HMAC-SHA-256 (RFC 2104) under a mounted key, so that a dump cannot be searched by guessing."""

from __future__ import annotations

import hashlib
import hmac

from libs.envelope.keys import read_key
from libs.runtime.secret import Secret

DIGEST_BYTES = 16


class KeyedHash:
    """Hashes values under one secret, separately for each purpose."""

    def __init__(self, secret: Secret[bytes]) -> None:
        """Take the content of the key file, see `read_key`.

        Raises: ValueError if it is not a 256-bit key.
        """
        self._state = hmac.new(read_key(secret).reveal(), digestmod=hashlib.sha256)

    def digest(self, purpose: str, value: bytes) -> bytes:
        """Return 16 bytes that depend on the secret, `purpose` and `value`.

        128 bits are past guessing and past accidental collision at any number of documents that fits a disk.
        """
        name = purpose.encode()
        state = self._state.copy()
        # The length in front keeps ("a", b"bc") and ("ab", b"c") apart.
        state.update(len(name).to_bytes(4, "big") + name)
        state.update(value)
        return state.digest()[:DIGEST_BYTES]
