"""What a transfer bears, so that whoever reads it on a statement finds the payment: short, said easily, never mistaken.

Ten letters and digits without those that look alike (Crockford's base 32), parted in the middle; the last one checks
the others by their places, so that a wrong letter, or two in the wrong order, are noticed before money goes astray.
"""

from __future__ import annotations

import secrets

from libs.runtime.errors import InvalidError

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_SIZE = 10
# A prime: then a wrong letter always changes the sum, and so do two neighbours that are exchanged.
_MODULUS = 31
_ALIKE = str.maketrans({"O": "0", "I": "1", "L": "1", " ": "", "-": ""})


def new_reference() -> str:
    """Return a new reference, say "7KQ2M-9XR4T"."""
    first = "".join(secrets.choice(_ALPHABET[:_MODULUS]) for _ in range(_SIZE - 1))
    return _parted(first + _check(first))


def read_reference(text: str) -> str:
    """Return the reference that somebody has written down. Raises: InvalidError("reference")."""
    found = text.upper().translate(_ALIKE)
    if len(found) != _SIZE or any(letter not in _ALPHABET[:_MODULUS] for letter in found):
        raise InvalidError("reference")
    if _check(found[:-1]) != found[-1]:
        raise InvalidError("reference")
    return _parted(found)


def _check(letters: str) -> str:
    return _ALPHABET[sum((place + 2) * _ALPHABET.index(letter) for place, letter in enumerate(letters)) % _MODULUS]


def _parted(letters: str) -> str:
    return f"{letters[:5]}-{letters[5:]}"
