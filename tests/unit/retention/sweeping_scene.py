"""An owner in memory, and who sweeps it."""

from __future__ import annotations

from libs.docstore.store import Store
from services.retention.leading.guard import Guard
from services.retention.leading.lease import Fenced
from services.retention.ledger.ledger import Ledger
from services.retention.repository.books import Books
from services.retention.sweeping.sweeps import Sweeper, Tools
from tests.unit.retention.fakes import DAY, LEAD, ModelOwner, Thing, TwoHands

INTERVAL = 60
HOUR = 3600


class Scene:
    """An owner, and who sweeps it."""

    def __init__(self, store: Store, classes: dict[str, int], service: str = "storage") -> None:
        self.clock = TwoHands()
        self.limits = classes
        self.owner = ModelOwner(service, self.clock, {name: [] for name in classes})
        self.ledger = Ledger(store, self.clock)
        self.guard = Guard(store, self.clock, self.ledger, lambda: DAY)
        self.books = Books(store, Fenced(store))
        self.slept: list[float] = []
        self.sweeper = self.another()

    def another(self, batch: int = 50) -> Sweeper:
        async def sleep(seconds: float) -> None:
            self.slept.append(seconds)
            self.clock.advance(seconds)

        return Sweeper(self.owner, Tools(self.books, self.guard, self.ledger, self.clock, sleep), batch)

    def plant(self, name: str, count: int = 1) -> None:
        thing = Thing(self.clock.passed, self.clock.unix + self.limits[name])
        self.owner.classes[name] += [thing] * count

    async def round(self, seconds: float = INTERVAL) -> None:
        self.clock.advance(seconds)
        await self.guard.observe(True)
        await self.sweeper.run(LEAD)
