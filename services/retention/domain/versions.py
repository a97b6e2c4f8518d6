"""What a version of the policy is, and which step may follow which.

    proposed ──▶ announced ──▶ active ──▶ replaced
        └────────────┴──▶ withdrawn          (a change that is not material begins as active)

A version is the policy as it was published: its document, and the numbers that hold under it. Neither ever changes
once it has a number. The version in force is the newest that is active: the one before it is marked as replaced
afterwards, so that one write alone decides, and there is no moment without a policy or with two.

How long notice is given, and how long old terms last for who refuses, is said by the version in force, never by the
one that wants to replace it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import sha256
from typing import Protocol

from libs.policy.changes import Change
from libs.policy.classify import affected, is_material
from libs.policy.document import Document
from libs.runtime.errors import ConflictError


class State(StrEnum):
    """How far a version is."""

    PROPOSED = "proposed"
    ANNOUNCED = "announced"
    ACTIVE = "active"
    REPLACED = "replaced"
    WITHDRAWN = "withdrawn"


class Step(StrEnum):
    """What the ledger says of a version."""

    PROPOSED = "version_proposed"
    ANNOUNCED = "version_announced"
    ACTIVATED = "version_activated"
    WITHDRAWN = "version_withdrawn"


@dataclass(frozen=True)
class PolicyVersion:
    """One version. Times in Unix seconds, 0 where it has not come to that."""

    number: int
    state: State
    document: bytes
    rules: Mapping[str, int]
    changes: tuple[Change, ...]
    replaces: int
    proposed_at: int
    announced_at: int = 0
    # When somebody was told of it last.
    noticed_at: int = 0
    activated_at: int = 0
    noticed: int = 0
    refused: int = 0
    # Entries of the ledger that are still to be written.
    owed: tuple[Step, ...] = ()
    # Of the stored document that this was read from.
    revision: int = field(default=0, compare=False)

    @property
    def material(self) -> bool:
        """Whether it has to be announced before it may be in force."""
        return is_material(list(self.changes))

    @property
    def profiles(self) -> tuple[str, ...]:
        """Return whom it affects: the profiles of its material changes."""
        return affected(list(self.changes))

    def earliest(self, notice_seconds: int) -> int:
        """Return when it may be in force at the earliest, as far as is known; 0 before it is announced."""
        if not self.announced_at:
            return 0
        return max(self.announced_at, self.noticed_at) + notice_seconds

    def entry(self) -> dict[str, str | int]:
        """Return what the ledger says at each of its steps."""
        digest = sha256(self.document).hexdigest()
        return {"version": self.number, "replaces": self.replaces, "document": digest, "material": int(self.material)}

    def announced(self, now: int) -> PolicyVersion:
        """Return it as announced. Raises: ConflictError("policy_state")."""
        if self.state is not State.PROPOSED:
            raise ConflictError("policy_state")
        return replace(self, state=State.ANNOUNCED, announced_at=now, owed=(*self.owed, Step.ANNOUNCED))

    def activated(self, now: int) -> PolicyVersion:
        """Return it as in force. Raises: ConflictError("policy_state")."""
        if self.state is not State.ANNOUNCED:
            raise ConflictError("policy_state")
        return replace(self, state=State.ACTIVE, activated_at=now, owed=(*self.owed, Step.ACTIVATED))

    def withdrawn(self) -> PolicyVersion:
        """Return it as taken back. Raises: ConflictError("policy_state")."""
        if self.state not in (State.PROPOSED, State.ANNOUNCED):
            raise ConflictError("policy_state")
        return replace(self, state=State.WITHDRAWN, owed=(*self.owed, Step.WITHDRAWN))


class Running(Protocol):
    """The configuration that this process was started with."""

    @property
    def rules(self) -> Mapping[str, int]:
        """Return its numbers."""

    def document(self, version: int) -> Document:
        """Return its document, as version `version` of the policy."""


class VersionStore(Protocol):
    """What is kept: repository.versions. All methods raise UnavailableError."""

    async def get(self, number: int) -> PolicyVersion | None:
        """Return a version."""

    async def newest(self, limit: int) -> Sequence[PolicyVersion]:
        """Return versions, newest first."""

    async def in_state(self, state: State, limit: int) -> Sequence[PolicyVersion]:
        """Return versions of a state, newest first."""

    async def owing(self, limit: int) -> Sequence[PolicyVersion]:
        """Return versions whose steps are not all in the ledger, oldest first."""

    async def add(self, version: PolicyVersion) -> None:
        """Keep a new one. Raises: ConflictError if its number is taken."""

    async def put(self, version: PolicyVersion) -> PolicyVersion:
        """Keep a changed one. Raises: ConflictError("version") if somebody else has changed it since it was read."""


@dataclass(frozen=True)
class NoticeState:
    """Whether everybody had notice, how many have been told, and how many have refused."""

    complete: bool
    noticed: int
    refused: int


@dataclass(frozen=True)
class Marking:
    """A version, whom it affects, when they are told, from when it holds and until when old terms do: Unix seconds."""

    version: int
    profiles: Sequence[str]
    at: int
    effective: int
    old_terms_until: int


class NoticeBook(Protocol):
    """Who has been told of a version: the service accounts. All methods raise UnavailableError."""

    async def unnoticed(self, version: int, profiles: Sequence[str], limit: int) -> Sequence[str]:
        """Return at most `limit` accounts that have not been told."""

    async def mark(self, marking: Marking, account_ids: Sequence[str]) -> None:
        """Note, durably, that accounts have been told; the first time counts.

        Whoever makes an account from now on knows of the version from the start.
        """

    async def withdraw(self, version: int, profiles: Sequence[str]) -> None:
        """Ask nobody about a version any more. Idempotent."""

    async def state(self, version: int, profiles: Sequence[str], before: int) -> NoticeState:
        """Return whether everybody affected had been told at `before` (Unix seconds)."""


@dataclass(frozen=True)
class Letter:
    """A letter of the platform to the owner of an account; see sealpost.delivery.v1.SendPlatformMailRequest."""

    notice_id: str
    account_id: str
    name: str
    fields: Mapping[str, str]


class Letters(Protocol):
    """The way for mail of the platform itself: the service delivery."""

    async def send(self, letter: Letter) -> bool:
        """Hand it over, durably; the same notice_id again changes nothing. False: the account cannot be written to.

        Raises: UnavailableError.
        """


def notice_id(*about: object) -> str:
    """Return the id of the letter about something: the same for the same, and so sent once."""
    return sha256("/".join(map(str, ("notice", *about))).encode()).hexdigest()[:32]


def read(version: PolicyVersion) -> Document:
    """Return the document of a version."""
    found: Document = json.loads(version.document)
    return found
