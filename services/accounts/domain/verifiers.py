"""Proofs of a password, checked without knowing it.

What arrives is an authentication key: 32 bytes that the client made by Argon2id and HKDF (docs/architecture.md). The
slow hash has been paid there, for each account with its own salt, so whoever steals a verifier pays it for each guess.
A second slow hash here would add nothing to that and hand every caller a lever to burn our CPU. So a verifier is
HMAC-SHA-256 under a key of this installation (a pepper: a stolen database alone cannot be searched at all) over a salt,
the account and the purpose, which makes a verifier copied into another row or field useless.

Nobody learns here whether an address exists: where there is no verifier, a decoy is compared at the same cost, and
unknown addresses have derivation parameters that look like those of any account made by our clients.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from enum import StrEnum

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from libs.envelope import KeyedHash, read_key
from libs.runtime.errors import InvalidError
from libs.runtime.secret import Secret
from services.accounts.domain.addresses import Address
from services.accounts.domain.model import Kdf, Verifier

AUTHENTICATION_KEY_BYTES = 32
KDF_SALT_BYTES = 16
MAX_WRAPPED_KEY_BYTES = 16 * 1024

# What our clients use; a decoy must look like it.
USUAL_KDF = {"memory_kib": 65536, "iterations": 3, "parallelism": 1}
# The floor is the weakest Argon2id setting that OWASP recommends; the ceiling keeps somebody else's browser, asked to
# derive with these parameters, from running out of memory or time.
_MEMORY_KIB = range(19456, 1024 * 1024 + 1)
_ITERATIONS = range(2, 17)
_PARALLELISM = range(1, 5)

_SALT_BYTES = 16
_FINGERPRINT = re.compile(r"[0-9a-f]{40}\Z")
# 0x01 || nonce (12) || at least one byte || tag (16): docs/architecture.md, "Password derivation".
_WRAPPED_FORMAT = 1
_SHORTEST_WRAPPED = 1 + 12 + 1 + 16


class Purpose(StrEnum):
    """What an authentication key proves."""

    PASSWORD = "password"  # noqa: S105 - the name of a purpose
    RECOVERY = "recovery"


class Verifiers:
    """Makes and checks verifiers under the pepper of this installation."""

    def __init__(self, lookup_key: Secret[bytes]) -> None:
        """Derive the pepper from the content of the lookup key file (libs.envelope.read_key).

        Raises: ValueError if it is not a 256-bit key.
        """
        derive = HKDF(SHA256(), 32, None, b"sealpost/v1/accounts/verifier").derive
        self._pepper = Secret(derive(read_key(lookup_key).reveal()))
        self._decoy = Verifier(secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(32))

    def make(self, account_id: str, purpose: Purpose, authentication_key: bytes) -> Verifier:
        """Return a verifier of `authentication_key`, usable for this account and purpose only."""
        salt = secrets.token_bytes(_SALT_BYTES)
        return Verifier(salt, self._digest(account_id, purpose, salt, authentication_key))

    def matches(self, account_id: str, purpose: Purpose, verifier: Verifier | None, authentication_key: bytes) -> bool:
        """Tell whether the key is the one the verifier was made of; always False, at the same cost, without one."""
        known = verifier or self._decoy
        same = hmac.compare_digest(known.digest, self._digest(account_id, purpose, known.salt, authentication_key))
        return same and verifier is not None

    def _digest(self, account_id: str, purpose: Purpose, salt: bytes, authentication_key: bytes) -> bytes:
        # No part can run into the next: only the last one has a length that the caller chooses.
        context = f"{purpose.value}/{account_id}/".encode()
        return hmac.digest(self._pepper.reveal(), context + salt + authentication_key, hashlib.sha256)


def decoy_kdf(hashes: KeyedHash, address: Address) -> Kdf:
    """Return the parameters of an address that has no account: always the same for the same address."""
    return Kdf(salt=hashes.digest("kdf-salt", address.text.encode()), **USUAL_KDF)


def check_kdf(kdf: Kdf) -> None:
    """Raise InvalidError("kdf_salt") or InvalidError("kdf_cost") unless a client may use these parameters.

    Every salt has 16 bytes, so that a decoy's does not stand out.
    """
    if len(kdf.salt) != KDF_SALT_BYTES:
        raise InvalidError("kdf_salt")
    if kdf.memory_kib not in _MEMORY_KIB or kdf.iterations not in _ITERATIONS or kdf.parallelism not in _PARALLELISM:
        raise InvalidError("kdf_cost")


def check_authentication_key(key: bytes) -> None:
    """Raise InvalidError("authentication_key") unless it has exactly 32 bytes."""
    if len(key) != AUTHENTICATION_KEY_BYTES:
        raise InvalidError("authentication_key")


def check_wrapped_key(wrapped: bytes) -> None:
    """Raise InvalidError("wrapped_private_key") unless it has the form of a wrapped key and at most 16 KiB."""
    if not _SHORTEST_WRAPPED <= len(wrapped) <= MAX_WRAPPED_KEY_BYTES or wrapped[0] != _WRAPPED_FORMAT:
        raise InvalidError("wrapped_private_key")


def check_fingerprint(fingerprint: str) -> None:
    """Raise InvalidError("fingerprint") unless it is that of a v4 key: 40 lower-case hexadecimal digits."""
    if not _FINGERPRINT.match(fingerprint):
        raise InvalidError("fingerprint")
