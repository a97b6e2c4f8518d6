"""The customers' side of delivery on a real store, with fakes at its Protocols."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Collection, Store
from libs.envelope import KeyedHash, KeyEncryptionKeys, Vault
from libs.runtime.errors import NotFoundError, UnavailableError
from libs.runtime.ids import new_id
from libs.runtime.secret import Secret
from services.delivery.customers.marks import Marks
from services.delivery.customers.ports import AccountFacts, DkimRecord, ServedDomain
from services.delivery.domain.events import event_id_of
from services.delivery.domain.limits import DAY
from services.delivery.domain.model import Profile
from services.delivery.domain.ports import Happening, Kind
from tests.support.clock import START, ManualClock

MARKS = Marks(KeyedHash(Secret(b"l" * 32)))
VAULT = Vault(KeyEncryptionKeys({1: Secret(b"k" * 32)}))
TODAY = int(START.timestamp()) // DAY
OLD = TODAY - 100


@asynccontextmanager
async def opened(directory: Path, *collections: Collection) -> AsyncIterator[SqliteStore]:
    async with SqliteStore.open(directory / "delivery.db", collections) as store:
        yield store


class BrokenStore:
    """A store that cannot be reached while `broken`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.broken = False

    def __getattr__(self, name: str) -> Any:
        if self.broken:
            raise UnavailableError("store")
        return getattr(self._store, name)


@dataclass
class FakeAccounts:
    """Implements customers.ports.Accounts; accounts that are not listed are old members."""

    known: dict[str, AccountFacts] = field(default_factory=dict)
    domains: list[ServedDomain] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)
    failing: bool = False
    asked: int = 0

    async def facts(self, account_id: str) -> AccountFacts:
        self.asked += 1
        if self.failing:
            raise UnavailableError("unreachable")
        if account_id in self.missing:
            raise NotFoundError("account_not_found")
        return self.known.get(account_id, AccountFacts(Profile.SEALED, OLD))

    async def served(self) -> Sequence[ServedDomain]:
        if self.failing:
            raise UnavailableError("unreachable")
        return self.domains


def happening(
    kind: Kind, account_id: str, clock: ManualClock, recipient: str = "ben@there.test", **more: object
) -> Happening:
    """Return something that happens now to the first recipient of a new mail."""
    mail_id = str(more.pop("mail_id", new_id()))
    known = {
        "event_id": event_id_of(mail_id, 0, kind),
        "at": int(clock.now().timestamp()),
        "profile": Profile.RELAY,
        "submission_id": mail_id,
        "campaign": "",
        "status": "",
    }
    return Happening(kind=kind, account_id=account_id, recipient=recipient, **(known | more))  # type: ignore[arg-type]


@dataclass
class FakeDkim:
    """Implements customers.ports.DkimKeys."""

    made: set[str] = field(default_factory=set)
    failing: bool = False

    async def ensure(self, domain: str) -> Sequence[DkimRecord]:
        if self.failing:
            raise UnavailableError("unreachable")
        self.made.add(domain)
        return [DkimRecord("r1", f"v=DKIM1; k=rsa; p={'A' * 300}"), DkimRecord("e1", "v=DKIM1; k=ed25519; p=AAAA")]

    async def delete(self, domain: str) -> None:
        self.made.discard(domain)
