"""Where mail for an address goes, its sealed copies, and what is asked of others for them. Knows no wire."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol


class Standing(Enum):
    """How an address stands here."""

    OK = "ok"
    NOT_OURS = "not_ours"
    UNKNOWN = "unknown"
    SUSPENDED = "suspended"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Route:
    """Where mail for one address goes, and under which rules; as accounts tells. 0 means no limit."""

    standing: Standing
    mailbox_id: str = ""
    # Empty for a public mailbox.
    account_id: str = ""
    domain: str = ""
    quota_bytes: int = 0
    quota_messages: int = 0
    keep_newest: int = 0
    retention_seconds: int = 0
    # "sealed", "public" and so on; "" where accounts named none.
    profile: str = ""
    # Addresses that get copies; ingest alone is told.
    forward_to: tuple[str, ...] = ()
    # The version of the policy whose terms hold for the mailbox; 0: the one in force.
    terms: int = 0


@dataclass(frozen=True, slots=True)
class Recipient:
    """An accepted recipient: the address as it was given, and its route."""

    address: str
    route: Route


@dataclass(frozen=True, slots=True)
class PublicDay:
    """Whose key seals a public mail; see sealpost.common.v1.PublicDay."""

    domain: str
    day: str
    destroy_after: int


@dataclass(frozen=True, slots=True)
class SealTask:
    """One copy to be sealed. `owner` is the id of an account or a public day."""

    owner: str | PublicDay
    message_id: str
    envelope: bytes
    body: bytes


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed copy."""

    envelope: bytes
    body: bytes
    scheme: str
    key_id: str


@dataclass(slots=True)
class Copy:
    """A sealed copy on its way to its mailbox. `sealed.body` is empty where it was staged ahead."""

    route: Route
    message_id: str
    received_minute: int
    size: int
    expires_at: int
    sealed: Sealed
    staged: bool = False


@dataclass(frozen=True, slots=True)
class Delivery:
    """All the copies of one mail: stored all or none."""

    delivery_id: str
    copies: Sequence[Copy]


class Accounts(Protocol):
    """Of the service accounts."""

    async def resolve(self, address: str) -> Route:
        """Return the route of one address. Raises SealpostError if accounts cannot tell."""


class Crypto(Protocol):
    """Of the service crypto."""

    async def seal(self, task: SealTask) -> Sealed:
        """Seal one copy. Raises SealpostError; other copies are not affected."""


class Storage(Protocol):
    """Of the service storage."""

    async def stage(self, mailbox_id: str, message_id: str, body: bytes) -> None:
        """Bring a large sealed body ahead of its `append`. Raises SealpostError."""

    async def append(self, delivery: Delivery) -> None:
        """Return when all copies are durable.

        Raises SealpostError: none is (ExhaustedError "quota_..." for a full mailbox), or, for "deadline" and
        "unreachable" alone, it is not known; the sender then comes again with new ids.
        """
