"""Versions of the policy on a store in a file, with accounts, letters and owners in memory."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from libs.docstore.sqlite import SqliteStore
from libs.policy import terms
from libs.policy.document import Document
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import UnavailableError
from services.retention.domain.versions import Letter, Marking, NoticeState
from services.retention.domain.versions_book import Tools, Versions
from services.retention.domain.versions_notices import Notices
from services.retention.ledger.ledger import LEDGER, Ledger
from services.retention.repository.versions import VERSIONS, VersionRepository
from tests.support.clock import ManualClock

DAY = 86_400
RULES = {"notice_seconds": 30 * DAY, "refusal_seconds": 180 * DAY, "public_mail_seconds": 4 * DAY}
_EMPTY: Document = {
    "format": "sealpost-policy/1",
    "profiles": {},
    "clauses": [],
    "classes": {},
    "purposes": {"mailbox": {"title": "Mailbox", "help": "as it was"}},
    "recipients": {},
    "mail": {},
    "disclosure": {"legal_bases": {}, "facts": {}},
    "metrics": {},
    "budget": {"epsilon_per_day": 1.0, "delta_per_day": 0.0},
}


@dataclass
class Configuration:
    """domain.versions.Running: `rules`, and words that make no difference to anybody."""

    rules: Mapping[str, int] = field(default_factory=lambda: dict(RULES))
    words: str = "as it was"

    def document(self, version: int) -> Document:
        """Return it."""
        made: Document = copy.deepcopy(_EMPTY) | {"version": version}
        made["purposes"]["mailbox"]["help"] = self.words
        made["rules"] = {name: _rule(name, value) for name, value in self.rules.items()}
        return made

    def changed(self, **rules: int) -> Configuration:
        """Return it with other numbers."""
        return Configuration({**self.rules, **rules}, self.words)


def _rule(name: str, value: int) -> dict[str, Any]:
    profiles = ["public"] if name.startswith("public") else ["public", "sealed"]
    weaker = "more" if name == "public_mail_seconds" else "less"
    rule = {"value": value, "unit": "seconds", "said": f"{value} s", "help": name, "weaker": weaker}
    return {**rule, "at_least": 0, "at_most": 9_999_999_999, "profiles": profiles}


@dataclass
class Time:
    """domain.ports.TrustedTime on a clock of the test."""

    clock: ManualClock
    held: bool = False

    def now(self) -> int:
        """Return Unix seconds."""
        if self.held:
            raise UnavailableError("clock_held")
        return unix_seconds(self.clock)


@dataclass
class People:
    """domain.versions.NoticeBook: accounts by id with their profile, as accounts keeps them."""

    time: Time
    profiles: dict[str, str] = field(default_factory=dict)
    # By version and account: when it was told, None for who signed up knowing it.
    told: dict[int, dict[str, int | None]] = field(default_factory=dict)
    asked: dict[str, Marking] = field(default_factory=dict)
    refused: set[tuple[int, str]] = field(default_factory=set)
    withdrawn: list[int] = field(default_factory=list)
    down: bool = False

    def sign_up(self, account_id: str, profile: str) -> None:
        """Make an account, which knows what is announced."""
        self.profiles[account_id] = profile
        if profile in self.asked:
            self.told.setdefault(self.asked[profile].version, {})[account_id] = None

    async def unnoticed(self, version: int, profiles: Sequence[str], limit: int) -> Sequence[str]:
        """See NoticeBook."""
        self._up()
        told = self.told.get(version, {})
        return [one for one, profile in self.profiles.items() if profile in profiles and one not in told][:limit]

    async def mark(self, marking: Marking, account_ids: Sequence[str]) -> None:
        """See NoticeBook."""
        self._up()
        self.asked.update(dict.fromkeys(marking.profiles, marking))
        for one in account_ids:
            self.told.setdefault(marking.version, {}).setdefault(one, marking.at)

    async def withdraw(self, version: int, profiles: Sequence[str]) -> None:
        """See NoticeBook."""
        self._up()
        self.withdrawn.append(version)
        for profile in profiles:
            if profile in self.asked and self.asked[profile].version == version:
                del self.asked[profile]

    async def state(self, version: int, profiles: Sequence[str], before: int) -> NoticeState:
        """See NoticeBook."""
        self._up()
        told = self.told.get(version, {})
        late = any(at is not None and at > before for at in told.values())
        left = await self.unnoticed(version, profiles, 1)
        refused = sum(number == version for number, _ in self.refused)
        return NoticeState(not late and not left, len(told), refused)

    def _up(self) -> None:
        if self.down:
            raise UnavailableError("accounts")


@dataclass
class Post:
    """domain.versions.Letters: what arrived, once for each notice_id."""

    arrived: dict[str, Letter] = field(default_factory=dict)
    unreachable: set[str] = field(default_factory=set)
    # Accounts whose letters fail for now.
    failing: set[str] = field(default_factory=set)

    async def send(self, letter: Letter) -> bool:
        """See Letters."""
        if letter.account_id in self.failing:
            raise UnavailableError("delivery")
        if letter.account_id in self.unreachable:
            return False
        self.arrived.setdefault(letter.notice_id, letter)
        return True

    def to(self, account_id: str) -> list[Letter]:
        """Return what an account got."""
        return [letter for letter in self.arrived.values() if letter.account_id == account_id]


class World:
    """One installation, whose processes come and go."""

    def __init__(self, store: SqliteStore, clock: ManualClock) -> None:
        """Use a store that was opened with VERSIONS and LEDGER."""
        self.store = store
        self.clock = clock
        self.time = Time(clock)
        self.people = People(self.time)
        self.post = Post()
        self.ledger = Ledger(store, clock)
        self.numbers: list[Sequence[terms.Version]] = []
        self.term = 0
        self.configuration = Configuration()
        self.start(self.configuration)

    @classmethod
    async def open(cls, directory: Path) -> World:
        """Begin with nothing."""
        return cls(await SqliteStore.open(directory / "store.db", (VERSIONS, LEDGER)), ManualClock())

    def start(self, configuration: Configuration) -> None:
        """Start another process, which leads from now on."""
        self.term += 1
        self.configuration = configuration
        self.versions = Versions(
            Tools(
                store=VersionRepository(self.store),
                running=configuration,
                book=self.people,
                notices=Notices(self.people, self.post, self.time),
                evidence=self.ledger,
                time=self.time,
                tell=self._tell,
            )
        )

    async def step(self) -> None:
        """Do what the leader does."""
        await self.versions.step(self.term)

    async def run(self, configuration: Configuration) -> None:
        """Start anew and do a step."""
        self.start(configuration)
        await self.step()

    async def states(self) -> list[tuple[int, str]]:
        """Return all versions with their states, oldest first."""
        return [(one.number, one.state.value) for one in reversed(await self.versions.newest(100))]

    async def entries(self) -> list[tuple[str, int]]:
        """Return kind and version of all entries of the ledger."""
        return [(one.kind, int(one.data["version"])) for one in await self.ledger.read(1, 1000)]

    async def rule(self, name: str) -> int:
        """Return the number in force."""
        found = await self.versions.get(0)
        return found.rules[name]

    async def _tell(self, versions: Sequence[terms.Version]) -> None:
        self.numbers.append(versions)
