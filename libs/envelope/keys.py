"""256-bit keys: made at random, or read from a mounted file as raw bytes or hexadecimal text."""

from __future__ import annotations

import binascii
import secrets

from libs.runtime.secret import Secret

KEY_BYTES = 32


def new_data_key() -> Secret[bytes]:
    """Return 32 random bytes."""
    return Secret(secrets.token_bytes(KEY_BYTES))


def read_key(content: Secret[bytes]) -> Secret[bytes]:
    """Return the 32-byte key that a key file holds: 32 raw bytes, or 64 hexadecimal digits with white space around.

    Raises: ValueError if it holds anything else; the text does not show the content.
    """
    raw = content.reveal()
    if len(raw) == KEY_BYTES:
        return content
    text = raw.strip()
    if len(text) == 2 * KEY_BYTES:
        try:
            return Secret(binascii.unhexlify(text))
        except binascii.Error:
            pass
    raise ValueError("a key file holds 32 raw bytes or 64 hexadecimal digits")
