"""What erases, over owners in memory, and a wire that kills it between two steps."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from libs.docstore.store import Store
from services.retention.erasing.erasing import Erasing, Tools
from services.retention.erasing.register import FILE, Register
from services.retention.leading.guard import Guard
from services.retention.leading.lease import Fenced
from services.retention.ledger.ledger import Ledger
from services.retention.repository.erasures import Erasures
from tests.unit.retention.fakes import DAY, LEAD, ModelAccounts, ModelOwner, TwoHands, owners

ADA, BOB, EVE = "a" * 32, "b" * 32, "c" * 32
TOKEN = bytes(range(32))


class KilledError(BaseException):
    """The process is gone."""


class Scene:
    """What erases, over owners in memory; `killing` puts an end to the process at the n-th step that matters."""

    def __init__(self, store: Store, directory: Path) -> None:
        self.store, self.directory = store, directory
        self.clock = TwoHands()
        self.ledger = Ledger(store, self.clock)
        self.guard = Guard(store, self.clock, self.ledger, lambda: DAY)
        self.accounts = ModelAccounts()
        names = ("accounts", "crypto", "storage", "delivery")
        self.owners = owners(*(ModelOwner(name, self.clock) for name in names))
        self.erasures = Erasures(store, Fenced(store))
        self.start()

    def start(self, tripwire: Callable[[], None] = lambda: None) -> None:
        """Begin a process; `tripwire` is called before each of its effects."""
        self.register = Register(self.directory, self.store)
        tools = Tools(
            accounts=tripping(self.accounts, tripwire),
            owners={name: tripping(owner, tripwire) for name, owner in self.owners.items()},
            erasures=tripping(self.erasures, tripwire),
            register=tripping(self.register, tripwire),
            evidence=tripping(self.ledger, tripwire),
            time=self.guard,
            clock=self.clock,
            store=self.store,
        )
        self.erasing = Erasing(tools, batch=100)

    def hold(self, account: str, documents: int = 250) -> None:
        """Have every owner hold something of an account, under a key."""
        for owner in self.owners.values():
            owner.documents[account] = documents
            owner.keys.add(account)

    def ask(self, account: str, receipt: bytes = TOKEN) -> None:
        self.accounts.ask(account, self.clock.unix - 1, receipt)

    def left(self, account: str) -> int:
        return sum(owner.documents.get(account, 0) + (account in owner.keys) for owner in self.owners.values())

    async def run(self) -> None:
        self.clock.advance(1)
        await self.guard.observe(True)
        try:
            await self.erasing.run(LEAD)
        finally:
            # An account that is gone is not listed any more.
            for account in list(self.accounts.waiting):
                if not self.owners["accounts"].documents.get(account):
                    del self.accounts.waiting[account]

    async def kinds(self) -> list[str]:
        return [entry.kind for entry in await self.ledger.read(1, 100)]

    def lines(self) -> list[dict[str, Any]]:
        path = self.directory / FILE
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def tripping(whole: Any, tripwire: Callable[[], None]) -> Any:
    """Return `whole`, of which every method calls `tripwire` first."""

    class Tripping:
        def __getattr__(self, name: str) -> Any:
            found = getattr(whole, name)
            if not callable(found):
                return found

            async def called(*given: Any, **named: Any) -> Any:
                tripwire()
                return await found(*given, **named)

            return called

    return Tripping()
