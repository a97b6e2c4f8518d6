"""The words of this service: what is sealed to whom, what is kept, and where it is kept (as Protocols)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

OPENPGP = "openpgp"
AES_256_GCM = "aes-256-gcm"


@dataclass(frozen=True)
class PublicDay:
    """A public domain's UTC day (YYYY-MM-DD); its key dies at `destroy_after` (Unix seconds)."""

    domain: str
    day: str
    destroy_after: int


class SealItem(Protocol):
    """One mail to seal. Reading a body may copy it, so it is read once, when its turn has come."""

    @property
    def owner(self) -> str | PublicDay:
        """An account id or a public day."""

    @property
    def message_id(self) -> str:
        """The id that public mail is bound to."""

    @property
    def envelope(self) -> bytes:
        """JSON, see docs/architecture.md "Envelope"."""

    @property
    def body(self) -> bytes:
        """The mail as it will be read."""

    @property
    def weight(self) -> int:
        """About how many bytes of plaintext it is."""


@dataclass(frozen=True)
class Mail:
    """A SealItem that is all in memory."""

    owner: str | PublicDay
    message_id: str
    envelope: bytes
    body: bytes

    @property
    def weight(self) -> int:
        """Bytes of plaintext."""
        return len(self.envelope) + len(self.body)


@dataclass(frozen=True)
class Sealed:
    """A sealed mail, see docs/architecture.md "Formats"."""

    envelope: bytes
    body: bytes
    scheme: str
    key_id: str


@dataclass(frozen=True)
class OpenItem:
    """A field ("envelope" or "body") of public mail to open."""

    key_id: str
    message_id: str
    field: str
    ciphertext: bytes


@dataclass(frozen=True)
class Certificate:
    """A binary transferable public key and its fingerprint (40 lower-case hexadecimal digits)."""

    data: bytes
    fingerprint: str


@dataclass(frozen=True)
class CertificateRecord:
    """How a certificate is kept: sealed; once listed, found by the keyed hash of domain and directory name."""

    account_id: str
    sealed: bytes
    lookup: bytes | None
    version: int = 0


@dataclass(frozen=True)
class KeyRecord:
    """How a data key is kept. `wrapped` is None for the tombstone of a destroyed key.

    `due` is when a public day's key is to be destroyed, or its tombstone forgotten; None for keys of accounts.
    `closes` is when nothing may be sealed under a public day's key any more. Both are Unix seconds. `kek` is the
    version of the key-encryption key it is wrapped under.
    """

    key: str
    wrapped: bytes | None
    kek: int | None = None
    due: int | None = None
    closes: int = 0
    version: int = 0


@dataclass(frozen=True)
class DkimRecord:
    """How the DKIM keys of a domain are kept: found by the keyed hash of the domain, sealed under a data key of their
    own, which is wrapped under version `kek` of the key-encryption key.
    """

    key: str
    sealed: bytes
    wrapped: bytes
    kek: int
    version: int = 0


@dataclass(frozen=True)
class DkimKey:
    """A public DKIM key: `record` is the TXT record at `selector`._domainkey of the domain."""

    selector: str
    algorithm: str
    record: str


@dataclass(frozen=True)
class SignItem:
    """A digest to sign: SHA-256 of the canonical header (RFC 6376 3.7)."""

    domain: str
    selector: str
    digest: bytes


class CertificateRecords(Protocol):
    """Where certificates are kept."""

    async def get_many(self, account_ids: Sequence[str]) -> Mapping[str, CertificateRecord]:
        """Return the records that exist."""

    async def find(self, lookup: bytes) -> CertificateRecord | None:
        """Return the record with this look-up hash."""

    async def insert(self, record: CertificateRecord) -> None:
        """Keep a new one. Raises ConflictError("exists") or, where the look-up hash is taken, ("duplicate")."""

    async def replace(self, record: CertificateRecord) -> None:
        """Put `record` in place of its version. Raises ConflictError, NotFoundError."""

    async def delete(self, account_id: str) -> None:
        """Remove it; absent is fine."""


class KeyRecords(Protocol):
    """Where data keys are kept."""

    async def get_many(self, keys: Sequence[str]) -> Mapping[str, KeyRecord]:
        """Return the records that exist."""

    async def insert(self, record: KeyRecord) -> None:
        """Keep a new one. Raises ConflictError("exists")."""

    async def replace(self, record: KeyRecord) -> None:
        """Put `record` in place of its version. Raises ConflictError, NotFoundError."""

    async def replace_many(self, records: Sequence[KeyRecord]) -> int:
        """Put each in place of its version, unless it has changed or is gone; return how many were."""

    async def delete(self, key: str, version: int | None = None) -> None:
        """Remove it; absent is fine. Raises ConflictError if it is not of `version`."""

    async def due(self, now: int, limit: int) -> Sequence[KeyRecord]:
        """Return at most `limit` live keys whose time has come, the most overdue first."""

    async def forget_tombstones(self, now: int, limit: int) -> int:
        """Remove at most `limit` tombstones whose time has come; return how many."""

    async def wrapped_before(self, kek: int, limit: int) -> Sequence[KeyRecord]:
        """Return at most `limit` keys wrapped under an older key-encryption key than version `kek`."""

    async def compact(self) -> None:
        """Leave nothing of removed keys behind in the engine's files."""


class MailKeyRecords(Protocol):
    """Where the data keys of mails on their way out are kept."""

    async def get_many(self, keys: Sequence[str]) -> Mapping[str, KeyRecord]:
        """Return the records that exist."""

    async def insert_many(self, records: Sequence[KeyRecord]) -> None:
        """Keep new ones, durably; some may be kept where it raises."""

    async def replace_many(self, records: Sequence[KeyRecord]) -> int:
        """Put each in place of its version, unless it has changed or is gone; return how many were."""

    async def delete_many(self, keys: Sequence[str]) -> None:
        """Remove them, durably; absent ones are fine."""

    async def delete_due(self, now: int, limit: int) -> int:
        """Remove at most `limit` records whose time has come, the most overdue first; return how many."""

    async def wrapped_before(self, kek: int, limit: int) -> Sequence[KeyRecord]:
        """Return at most `limit` keys wrapped under an older key-encryption key than version `kek`."""


class DkimRecords(Protocol):
    """Where DKIM keys are kept."""

    async def get_many(self, keys: Sequence[str]) -> Mapping[str, DkimRecord]:
        """Return the records that exist."""

    async def insert(self, record: DkimRecord) -> None:
        """Keep a new one. Raises ConflictError("exists")."""

    async def replace_many(self, records: Sequence[DkimRecord]) -> int:
        """Put each in place of its version, unless it has changed or is gone; return how many were."""

    async def delete(self, key: str) -> None:
        """Remove it; absent is fine."""

    async def wrapped_before(self, kek: int, limit: int) -> Sequence[DkimRecord]:
        """Return at most `limit` records wrapped under an older key-encryption key than version `kek`."""
