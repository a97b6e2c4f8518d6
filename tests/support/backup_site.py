"""Two services' stores on one engine, something to keep in them, and a backup of both."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from libs.docstore import open_store
from libs.docstore.backup import save
from libs.docstore.store import Body, Collection, Event, Index, Insert, Patch, Query, Store
from libs.runtime.errors import SealpostError
from tests.support.clock import ManualClock
from tests.support.docstore import Engine

NOTES = Collection("notes", (Index("by_box", ("box", "at")), Index("by_name", ("name",), unique=True)))
COUNTS = Collection("counts")
ALL = (NOTES, COUNTS)
EVENT = Event("e" * 32, "notes.made.v1", b"payload")


@dataclass
class Site:
    """Stores of two services on one engine; each `place` is an installation of its own."""

    engine: Engine
    directory: Path
    clock: ManualClock = field(default_factory=ManualClock)

    def stores(self, place: str = "here") -> dict[str, str]:
        """Return the URLs of the stores at `place`, by service."""
        if self.engine.name == "sqlite":
            url = f"sqlite:{self.directory / place}"
            return dict.fromkeys(("alpha", "beta"), url)
        # Databases are named after services, so a place of its own has services of its own on the same server.
        return dict.fromkeys((self.named("alpha", place), self.named("beta", place)), self.engine.url)

    def named(self, service: str, place: str = "here") -> str:
        """Return the name under which a service's database is unused by other tests."""
        return service if self.engine.name == "sqlite" else f"{service}_{self.engine.database[-12:]}"

    async def open(self, service: str, place: str = "here") -> Store:
        """Open one store; the caller closes it."""
        name = self.named(service, place)
        return await open_store(self.stores(place)[name], name, ALL)

    async def wipe(self) -> None:
        """Lose everything."""
        if self.engine.name == "sqlite":
            shutil.rmtree(self.directory / "here")
            return
        from libs.docstore.mongo import make_client

        client = make_client(self.engine.url)
        for name in self.stores():
            await client.drop_database(f"sealpost_{name}")
        client.close()


async def fill(store: Store, count: int = 30, word: str = "x") -> None:
    """Keep notes of all kinds of values, one of them with an event that waits."""
    await store.write(
        Insert(COUNTS, "all", {"number": count, "list": [1, b"\x00\xff", {"a.b": None}], "large": 2**63 - 1})
    )
    for number in range(count):
        events = (EVENT,) if number == 3 else ()
        body: Body = {"box": word.encode(), "at": number, "name": f"{word}-{number}", "raw": bytes(1000)}
        await store.write(Insert(NOTES, f"{word}/{number:05d}", body, events))
    await store.write(Patch(NOTES, f"{word}/00001", {"name": None}))


async def held(store: Store, word: str = "x") -> object:
    """Return all that `fill` has put there, as it is found."""
    notes = await store.find(Query(NOTES, "by_box", (word.encode(),), limit=1000))
    counts = await store.get(COUNTS, "all")
    assert counts is not None
    return [(one.key, dict(one.body), one.version) for one in (*notes, counts)], await store.pending_events(10)


async def saved(site: Site, directory: Path) -> dict[str, object]:
    """Fill both stores, save them, lose them; return what they held."""
    kept = {}
    for service in ("alpha", "beta"):
        store = await site.open(service)
        await fill(store, word=service)
        kept[service] = await held(store, service)
        await store.close()
    await save(site.stores(), directory, site.clock)
    await site.wipe()
    return kept


async def fails(kind: type[SealpostError], reason: str, attempt: Callable[[], Awaitable[object]]) -> None:
    """Have `attempt` raise exactly this."""
    with pytest.raises(kind) as caught:
        await attempt()
    assert caught.value.reason == reason
