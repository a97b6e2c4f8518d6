"""A model of a data owner, of accounts, and a clock whose two hands move apart, for the unit tests of retention."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Store
from libs.owner.model import Erased, Subject
from libs.policy.terms import Version
from libs.runtime.errors import ConflictError, UnavailableError
from services.retention.domain.ports import EraseAnswer, ExportWanted, Held, Part, SweepAnswer
from services.retention.erasing.erasing import Due
from services.retention.graph import CORE_COLLECTIONS
from services.retention.leading.lease import Lead

START = datetime(2026, 11, 22, 17, 0, 0, tzinfo=UTC)
DAY = 86_400
LEAD = Lead(1, float("inf"), 1)
NUMBERS = {
    "clock_jump_seconds": DAY,
    "sweep_seconds": 60,
    "ledger_seconds": 3650 * DAY,
    "receipt_seconds": 400 * DAY,
    "erasure_register_seconds": 3650 * DAY,
}


class TwoHands:
    """A libs.runtime.clock.Clock whose wall time may be set while the monotonic time goes on."""

    def __init__(self) -> None:
        """Begin at START."""
        self.wall = START
        self.passed = 1000.0

    def now(self) -> datetime:
        """Return wall time."""
        return self.wall

    def monotonic(self) -> float:
        """Return the monotonic time."""
        return self.passed

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.wall += timedelta(seconds=seconds)
        self.passed += seconds

    def step(self, seconds: float) -> None:
        """Set the wall clock."""
        self.wall += timedelta(seconds=seconds)

    @property
    def unix(self) -> int:
        """Wall time in Unix seconds."""
        return int(self.wall.timestamp())


@dataclass
class Rules:
    """domain.ports.Numbers."""

    numbers: dict[str, int] = field(default_factory=lambda: dict(NUMBERS))

    def rule(self, name: str, version: int = 0) -> int:
        """Return the number."""
        return self.numbers[name]


@dataclass(frozen=True)
class Thing:
    """Something that the owner holds: when it came in by the true time, and when its time is over by the clock."""

    born: float
    due: int


@dataclass
class ModelOwner:
    """A data owner that keeps its items in memory. `away`: it answers nothing."""

    service: str
    clock: TwoHands
    classes: dict[str, list[Thing]] = field(default_factory=dict)
    died: list[tuple[str, Thing, float]] = field(default_factory=list)
    documents: dict[str, int] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    away: bool = False
    slow: float = 0.0
    asked: list[tuple[str, int]] = field(default_factory=list)
    terms: list[Version] = field(default_factory=list)

    async def inventory(self) -> Sequence[Held]:
        """See DataOwner."""
        self._answer()
        return [
            Held(name, len(things), False, min((one.due for one in things), default=0))
            for name, things in self.classes.items()
        ]

    async def sweep(self, data_class: str, until: int, limit: int) -> SweepAnswer:
        """See DataOwner."""
        self._answer()
        self.asked.append((data_class, limit))
        until = min(until, self.clock.unix)
        things = sorted(self.classes[data_class], key=lambda one: one.due)
        gone = [one for one in things if one.due <= until][:limit]
        self.classes[data_class] = things[len(gone) :]
        self.died += [(data_class, one, self.clock.passed) for one in gone]
        return SweepAnswer(len(gone), any(one.due <= until for one in self.classes[data_class]))

    async def erase(self, subject: Subject, limit: int) -> EraseAnswer:
        """See DataOwner."""
        self._answer()
        account = subject.account_id
        keys = int(account in self.keys)
        self.keys.discard(account)
        deleted = min(limit, self.documents.get(account, 0))
        self.documents[account] = self.documents.get(account, 0) - deleted
        erased = {f"{self.service}_things": Erased(deleted, keys)} if deleted or keys else {}
        return EraseAnswer(erased, self.documents[account] > 0)

    async def traces(self, needles: Sequence[bytes]) -> tuple[Sequence[int], int]:
        """See DataOwner."""
        return [0] * len(needles), 0

    async def put_terms(self, versions: Sequence[Version]) -> None:
        """See DataOwner."""
        self._answer()
        self.terms = list(versions)

    async def export(self, subject: Subject, wanted: ExportWanted) -> AsyncIterator[Part]:
        """See DataOwner."""
        nothing: tuple[Part, ...] = ()
        for part in nothing:
            yield part

    def _answer(self) -> None:
        self.clock.passed += self.slow
        self.clock.wall += timedelta(seconds=self.slow)
        if self.away:
            raise UnavailableError("unreachable")


@dataclass
class ModelAccounts:
    """erasing.Accounts."""

    waiting: dict[str, Due] = field(default_factory=dict)
    begun: list[str] = field(default_factory=list)

    def ask(self, account: str, due: int, receipt: bytes = b"") -> None:
        """Have an account's erasure be due."""
        self.waiting[account] = Due(Subject(account, account[::-1]), receipt, due - 14 * DAY, due)

    async def due(self, until: int, limit: int) -> list[Due]:
        """See Accounts."""
        return sorted((one for one in self.waiting.values() if one.due <= until), key=lambda one: one.due)[:limit]

    async def begin(self, account_id: str) -> None:
        """See Accounts."""
        if account_id not in self.waiting:
            raise ConflictError("erasure_not_asked")
        self.begun.append(account_id)


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Store]:
    """Open a store with the collections of the core."""
    store = await SqliteStore.open(path, CORE_COLLECTIONS)
    try:
        yield store
    finally:
        await store.close()


def owners(*models: ModelOwner) -> Mapping[str, ModelOwner]:
    """Return them by name."""
    return {one.service: one for one in models}


def following(lead: Lead) -> Lead:
    """Return the lead of whoever takes over from `lead`."""
    return replace(lead, term=lead.term + 1)
