"""What the parts of retention are to each other."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from libs.owner.model import Erased, Subject
from libs.policy.terms import Version
from services.retention.ledger.entries import Data, Entry


class Numbers(Protocol):
    """The rules in force (libs.policy.Terms)."""

    def rule(self, name: str, version: int = 0) -> int:
        """Return the number of a rule in a version of the policy; 0 = the one in force."""


class Evidence(Protocol):
    """Where evidence is written: ledger.ledger.Ledger."""

    async def append(self, kind: str, data: Data, once: str = "") -> Entry:
        """Write an entry, durably; with the same `once` only one. Raises: UnavailableError, ValueError."""


class TrustedTime(Protocol):
    """What time it is, where the clock is trusted: leading.guard.Guard."""

    @property
    def held(self) -> bool:
        """Whether the clock has moved and nobody has confirmed it: nothing may be deleted."""

    def now(self) -> int:
        """Return Unix seconds. Raises: UnavailableError("clock_held")."""


@dataclass(frozen=True)
class Held:
    """One class of one owner's inventory; see sealpost.owner.v1.Held."""

    data_class: str
    count: int
    at_least: bool = False
    first_due: int = 0
    erasing: int = 0


@dataclass(frozen=True)
class SweepAnswer:
    """What a sweep of one class did."""

    deleted: int
    more: bool


@dataclass(frozen=True)
class EraseAnswer:
    """What a step of an erasure did, by data class. `more`: another is needed."""

    erased: Mapping[str, Erased]
    more: bool


class DataOwner(Protocol):
    """A service that keeps something. All methods raise UnavailableError and what else the owner says."""

    @property
    def service(self) -> str:
        """Return its name."""

    async def inventory(self) -> Sequence[Held]:
        """Return what it holds."""

    async def sweep(self, data_class: str, until: int, limit: int) -> SweepAnswer:
        """Have it delete at most `limit` items whose time was over at `until` (Unix seconds)."""

    async def erase(self, subject: Subject, limit: int) -> EraseAnswer:
        """Have it destroy the subject's keys and delete at most `limit` of its documents."""

    async def traces(self, needles: Sequence[bytes]) -> tuple[Sequence[int], int]:
        """Return how often each needle occurs in its files, and how many bytes were searched."""

    async def put_terms(self, versions: Sequence[Version]) -> None:
        """Tell it the numbers of versions of the policy."""

    def export(self, subject: Subject, wanted: ExportWanted) -> AsyncIterator[Part]:
        """Give what it holds about `subject`."""


@dataclass(frozen=True)
class ExportWanted:
    """Which items an export is for; see sealpost.owner.v1.ExportRequest."""

    data_classes: Sequence[str] = ()
    since: int = 0
    until: int = 0
    disclosure: bool = False


@dataclass(frozen=True)
class Part:
    """One part of an export; see sealpost.owner.v1.ExportPart."""

    data_class: str
    name: str
    kind: str
    data: bytes
    last: bool


# The versions whose numbers the owners must know; none: those of the running policy alone.
Versions = Callable[[], Awaitable[Sequence[Version]]]


@dataclass(frozen=True)
class ClauseResult:
    """How a clause's probe went last: "pass", "fail", "unknown" or "pending"; times in Unix seconds."""

    clause: str
    result: str
    at: int = 0
    detail: str = ""
    since: int = 0


@dataclass(frozen=True)
class CanaryState:
    """One canary: "waiting", "gone", "missed" or "failed"; times in Unix seconds."""

    data_class: str
    planted: int
    due: int
    state: str
    checked: int


class Results(Protocol):
    """What probes and canaries have found: the probes' part."""

    async def clauses(self) -> Sequence[ClauseResult]:
        """Return the last result of every clause. Raises: UnavailableError."""

    async def canaries(self) -> Sequence[CanaryState]:
        """Return the canaries of late. Raises: UnavailableError."""

    async def run(self, clause: str) -> None:
        """Run the probe of a clause now, "" = all. Raises: NotFoundError("clause"), UnavailableError."""
