"""A ledger with its roots, and days that end."""

from __future__ import annotations

from libs.docstore.store import Store
from services.retention.leading.guard import Guard
from services.retention.ledger.export import LedgerFile
from services.retention.ledger.ledger import Ledger
from services.retention.ledger.roots import Roots
from services.retention.ledger.signing import SigningKeys
from tests.unit.retention.fakes import DAY, LEAD, TwoHands

FIRST_KEY, SECOND_KEY = "11" * 32, "22" * 32


class Book:
    """A ledger with its roots, and a clock."""

    def __init__(self, store: Store, key: str = FIRST_KEY) -> None:
        self.store = store
        self.clock = TwoHands()
        self.ledger = Ledger(store, self.clock)
        self.guard = Guard(store, self.clock, self.ledger, lambda: 10 * DAY)
        self.sign_with(key)

    def sign_with(self, key: str) -> None:
        self.keys = SigningKeys(key)
        self.roots = Roots(self.store, self.ledger, self.keys, self.guard)
        self.file = LedgerFile(self.ledger, self.roots)

    async def day(self, entries: int = 3) -> None:
        """Write some entries, and let the day end."""
        await self.guard.observe(True)
        for number in range(entries):
            await self.ledger.append("probe", {"clause": "E1", "run": number, "result": "pass"})
        self.clock.advance(DAY)
        await self.guard.observe(True)
        await self.roots.run(LEAD)

    async def text(self, first: str = "", last: str = "") -> bytes:
        return b"".join([block async for block in self.file.blocks(first, last)])
