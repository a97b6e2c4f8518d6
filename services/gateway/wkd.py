"""The Web Key Directory (draft-koch-openpgp-webkey-service): how an address is turned into a look-up."""

from __future__ import annotations

import hashlib

_ALPHABET = "ybndrfg8ejkmcpqxot1uwisza345h769"


def z_base_32(data: bytes) -> str:
    """Return `data` in z-base-32 (RFC 6189, section 5.1.6); its length must be a multiple of 5 bytes."""
    bits = int.from_bytes(data, "big")
    count = len(data) * 8 // 5
    return "".join(_ALPHABET[(bits >> (5 * (count - 1 - place))) & 31] for place in range(count))


def hash_of(local_part: str) -> str:
    """Return the directory's name of a local part: z-base-32 of the SHA-1 of its lower-case UTF-8."""
    lowered = "".join(letter.lower() if letter.isascii() else letter for letter in local_part)
    # SHA-1 is what the draft names; nothing rests on its strength.
    return z_base_32(hashlib.sha1(lowered.encode(), usedforsecurity=False).digest())


def is_hash(text: str) -> bool:
    """Tell whether `text` can be a name in the directory."""
    return len(text) == 32 and all(letter in _ALPHABET for letter in text)
