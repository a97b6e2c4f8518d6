"""Keys that sign the ends of days, Ed25519 (RFC 8032), and what exactly they sign.

A root says: on this day (UTC) the ledger's last entry had this number and this hash. Because each entry holds the hash
of the one before it, the signature covers everything up to there. The key file may hold several seeds by version: the
highest signs, and a former one is kept there, or left out, as one likes: every root is stored with its public key.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from services.retention.ledger.entries import canonical

_PREFIX = b"sealpost evidence root 1\n"
_SEED = 32


@dataclass(frozen=True)
class Root:
    """The end of one day. `day` is YYYY-MM-DD; `key` the raw public key."""

    day: str
    entry: int
    hash: str
    signature: bytes
    key: bytes

    @property
    def key_id(self) -> bytes:
        """What the key is called: the first 8 bytes of its SHA-256."""
        return key_id(self.key)

    def holds(self) -> bool:
        """Tell whether the signature is by the key."""
        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(
                self.signature, _signed(self.day, self.entry, self.hash)
            )
        except (InvalidSignature, ValueError):
            return False
        return True


class SigningKeys:
    """The seeds of one key file."""

    def __init__(self, text: str) -> None:
        """Read 64 hexadecimal digits, or lines of `version:digits`. Raises: ValueError, which shows nothing of it."""
        seeds: dict[int, bytes] = {}
        for line in filter(None, map(str.strip, text.split("\n"))):
            version, colon, digits = line.rpartition(":")
            if (colon and not version.isdecimal()) or int(version or 1) in seeds:
                raise ValueError("a key file of several keys holds lines of distinct `version:hexadecimal seed`")
            seeds[int(version or 1)] = _seed(digits)
        if not seeds:
            raise ValueError("holds no key")
        keys = {version: Ed25519PrivateKey.from_private_bytes(seed) for version, seed in sorted(seeds.items())}
        self._newest = keys[max(keys)]
        self.public = [key.public_key().public_bytes_raw() for key in keys.values()]

    def sign(self, day: str, entry: int, entry_hash: str) -> Root:
        """Return the signed end of `day`."""
        signature = self._newest.sign(_signed(day, entry, entry_hash))
        return Root(day, entry, entry_hash, signature, self.public[-1])


def key_id(key: bytes) -> bytes:
    """Return what a public key is called."""
    return sha256(key).digest()[:8]


def all_keys(current: Iterable[bytes], roots: Iterable[Root]) -> list[bytes]:
    """Return every key that signed one of `roots` and the current ones, the newest last."""
    return list(dict.fromkeys([*(root.key for root in sorted(roots, key=lambda root: root.day)), *current]))


def _seed(digits: str) -> bytes:
    try:
        seed = bytes.fromhex(digits)
    except ValueError:
        seed = b""
    if len(seed) != _SEED:
        raise ValueError(f"a seed has {2 * _SEED} hexadecimal digits")
    return seed


def _signed(day: str, entry: int, entry_hash: str) -> bytes:
    return _PREFIX + canonical({"day": day, "entry": entry, "hash": entry_hash})
