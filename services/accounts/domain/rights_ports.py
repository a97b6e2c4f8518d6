"""What the rights of an account's owner need to have kept, as Protocols; services.accounts.repository keeps it.

Every method raises UnavailableError where the store cannot answer now. Each write is atomic and durable by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from services.accounts.domain.model import Profile, Standing


class ConsentTo(StrEnum):
    """What an owner may agree to; everything is off until he does (policy E8)."""

    NEWSLETTER = "newsletter"
    CONTACT = "contact"


@dataclass(frozen=True)
class Consent:
    """Whether somebody agreed, and when that last changed: Unix seconds, 0 = never."""

    given: bool = False
    at: int = 0


@dataclass(frozen=True)
class Consents:
    """The consents of one account; `version` is 0 where nothing is kept."""

    given: Mapping[ConsentTo, Consent] = field(default_factory=dict)
    version: int = 0

    def to(self, purpose: ConsentTo) -> Consent:
        """Return the consent to one purpose."""
        return self.given.get(purpose, Consent())


@dataclass(frozen=True)
class Announcement:
    """A version of the policy that accounts of a profile are being told of. Times are Unix seconds."""

    profile: Profile
    version: int
    effective: int
    old_until: int


@dataclass(frozen=True)
class Told:
    """What is needed of an account to tell it of a version; `version` is that of its document."""

    account_id: str
    profile: Profile
    standing: Standing
    version: int


@dataclass(frozen=True)
class Tally:
    """How many accounts were told of a version, and how many of them have refused it."""

    noticed: int = 0
    refused: int = 0


class ConcernState(StrEnum):
    """Whose turn it is: an open concern waits for staff, an answered one for its owner."""

    OPEN = "open"
    ANSWERED = "answered"
    CLOSED = "closed"


class About(StrEnum):
    """What a concern is about."""

    CORRECTION = "correction"
    DELETION = "deletion"
    PROCESSING = "processing"
    SECURITY = "security"
    OTHER = "other"


@dataclass(frozen=True)
class Concern:
    """A thread as kept; each of its entries is sealed (domain.concerns). Times are Unix seconds.

    `slot` numbers the concerns of an account that are not closed, 0 to 19, and is None for a closed one; `due` is when
    a closed one is deleted, 0 for the others.
    """

    concern_id: str
    account_id: str
    about: About
    state: ConcernState
    opened_at: int
    changed_at: int
    entries: tuple[bytes, ...]
    slot: int | None = None
    due: int = 0
    version: int = 1


class ConsentsPort(Protocol):
    """Consents by account."""

    async def get(self, account_id: str) -> Consents:
        """Return the consents of an account."""

    async def put(self, account_id: str, consents: Consents) -> None:
        """Replace them at their version; ConflictError("rights_changed")."""

    async def delete(self, account_id: str) -> bool:
        """Forget them; tell whether there were any."""


class ContactsPort(Protocol):
    """Sealed contact addresses by account."""

    async def get(self, account_id: str) -> bytes | None:
        """Return the sealed address, None if there is none."""

    async def put(self, account_id: str, sealed: bytes) -> None:
        """Keep it instead of what was kept."""

    async def delete(self, account_id: str) -> bool:
        """Forget it; tell whether there was one."""


class NoticesPort(Protocol):
    """How accounts stand to the versions of the policy."""

    async def behind(self, profile: Profile, version: int, limit: int) -> list[str]:
        """Return at most `limit` ids of accounts of a profile that were not told of `version` or a later one."""

    async def told_after(self, profile: Profile, before: int) -> bool:
        """Tell whether some account of a profile was told of its latest version later than `before`."""

    async def get_many(self, account_ids: Sequence[str]) -> dict[str, Told]:
        """Return the accounts that exist, by id; at most 1,000 are asked for."""

    async def put_many(self, told: Sequence[Told]) -> list[str]:
        """Write the standings of accounts at their versions; return the ids of those that had changed or were gone."""

    async def announced(self, profile: Profile) -> Announcement | None:
        """Return what accounts of a profile are being told of."""

    async def announce(self, announcement: Announcement) -> None:
        """Keep it, unless a later version is announced for the profile."""

    async def withdraw(self, profile: Profile, version: int) -> None:
        """Forget the announcement of `version`. Idempotent."""

    async def add(self, profile: Profile, version: int, change: Tally) -> None:
        """Add to what was counted of a version."""

    async def tally(self, profile: Profile, version: int) -> Tally:
        """Return what was counted of a version."""


class ConcernsPort(Protocol):
    """Concerns by id."""

    async def insert(self, concern: Concern) -> None:
        """Keep a new one; ConflictError("slot_taken")."""

    async def get(self, concern_id: str) -> Concern | None:
        """Return one, None if there is none."""

    async def put(self, concern: Concern) -> Concern:
        """Replace it at its version; return it as it is now. ConflictError, NotFoundError."""

    async def of_account(self, account_id: str, limit: int) -> list[Concern]:
        """Return those of an account, the last changed first."""

    async def slots(self, account_id: str) -> set[int]:
        """Return the slots that are taken."""

    async def in_state(self, state: ConcernState, limit: int, *, oldest: bool) -> list[Concern]:
        """Return those in a state by the time of their last change."""

    async def delete_many(self, concern_ids: Sequence[str]) -> None:
        """Delete some; those that are gone do not matter."""


@dataclass(frozen=True)
class KeptRights:
    """Everything that is kept for the rights of owners."""

    consents: ConsentsPort
    contacts: ContactsPort
    notices: NoticesPort
    concerns: ConcernsPort
