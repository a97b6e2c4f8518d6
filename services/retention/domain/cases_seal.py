"""What of a case is readable only with the service's key, and how officers are told apart.

Each case has a data key of its own, wrapped under the key-encryption key and bound to the case; texts are sealed under
it at their place. The key that officers are hashed under is derived from it (HKDF-SHA-256, RFC 5869), so hashes of two
cases have nothing in common, and none can be tried without the service's key.
"""

from __future__ import annotations

import hmac

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from libs.envelope import KeyEncryptionKeys, new_data_key, open_sealed, place_of, seal
from libs.runtime.errors import InternalError, InvalidError
from libs.runtime.secret import Secret

_COLLECTION = "disclosure_case"
_OFFICER = b"sealpost disclosure officer"
_DIGEST = 16


class CaseKey:
    """The data key of one case."""

    def __init__(self, case_id: str, key: Secret[bytes], wrapped: bytes) -> None:
        """Seal at places of `case_id`."""
        self._case_id = case_id
        self._key = key
        self.wrapped = wrapped

    def seal(self, field: str, text: str) -> bytes:
        """Return `text` sealed for a field of the case."""
        return seal(self._key, place_of(_COLLECTION, self._case_id, field), text.encode())

    def open(self, field: str, blob: bytes) -> str:
        """Return what was sealed; "" where nothing is kept. Raises: InternalError("document_damaged")."""
        if not blob:
            return ""
        try:
            return open_sealed(self._key, place_of(_COLLECTION, self._case_id, field), blob).decode()
        except InvalidError as error:
            raise InternalError("document_damaged") from error

    def officer(self, officer: str) -> bytes:
        """Return what stands for an officer in this case."""
        key = HKDF(SHA256(), 32, None, _OFFICER).derive(self._key.reveal())
        return hmac.digest(key, officer.encode(), "sha256")[:_DIGEST]

    def is_officer(self, officer: str, digest: bytes) -> bool:
        """Tell whether `digest` stands for `officer`."""
        return hmac.compare_digest(self.officer(officer), digest)


class CaseKeys:
    """Data keys of cases, under the key-encryption keys."""

    def __init__(self, keks: KeyEncryptionKeys) -> None:
        """Wrap under the newest of `keks`."""
        self._keks = keks

    def new(self, case_id: str) -> CaseKey:
        """Return the key of a case that is being opened."""
        key = new_data_key()
        return CaseKey(case_id, key, self._keks.wrap(key, place_of(_COLLECTION, case_id, "key")))

    def of(self, case_id: str, wrapped: bytes) -> CaseKey:
        """Return the key of a case. Raises: InternalError("document_damaged"), UnavailableError("kek_missing")."""
        try:
            key = self._keks.unwrap(wrapped, place_of(_COLLECTION, case_id, "key"))
        except InvalidError as error:
            raise InternalError("document_damaged") from error
        return CaseKey(case_id, key, wrapped)
