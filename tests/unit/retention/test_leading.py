"""One leads, and who has lost the lease writes nothing any more, however late it finds out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.docstore.store import Document, Insert, Patch, Store
from libs.runtime.clock import SystemClock
from libs.runtime.errors import ConflictError, UnavailableError
from services.retention.leading.duties import Duty
from services.retention.leading.guard import Guard
from services.retention.leading.leader import Leader
from services.retention.leading.lease import LEASES, Fenced, Lead, Lease, LeaseLostError
from services.retention.ledger.ledger import Ledger
from services.retention.repository.books import BOOKS
from tests.unit.retention.fakes import DAY, TwoHands, opened

SECONDS = 15


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with opened(tmp_path / "store") as store:
        yield store


async def test_one_of_two_leads_and_the_other_follows(store: Store) -> None:
    clock = TwoHands()
    first, second = Lease(store, clock, SECONDS), Lease(store, clock, SECONDS)
    lead = await first.take(None)
    assert lead is not None and lead.term == 1
    for _ in range(10):
        clock.advance(5)
        assert await second.take(None) is None
        lead = await first.take(lead)
        assert lead is not None and lead.term == 1
    assert await second.led()
    clock.advance(SECONDS + 1)
    # Seen for the first time now: it may have been renewed just before.
    assert await second.take(None) is None
    clock.advance(SECONDS + 1)
    taken = await second.take(None)
    assert taken is not None and taken.term == 2
    assert await first.take(lead) is None


async def test_a_lease_given_back_is_free_at_once(store: Store) -> None:
    clock = TwoHands()
    first, second = Lease(store, clock, SECONDS), Lease(store, clock, SECONDS)
    lead = await first.take(None)
    assert lead is not None
    await first.leave(lead)
    assert not await first.led()
    taken = await second.take(None)
    assert taken is not None and taken.term == 2


async def test_wall_clocks_that_differ_make_nobody_lead_early(store: Store) -> None:
    ahead = TwoHands()
    ahead.step(400 * DAY)
    first, second = Lease(store, TwoHands(), SECONDS), Lease(store, ahead, SECONDS)
    assert await first.take(None) is not None
    assert await second.take(None) is None
    ahead.advance(SECONDS - 1)
    assert await second.take(None) is None


async def test_two_that_take_it_at_once(store: Store) -> None:
    leases = [Lease(store, TwoHands(), SECONDS) for _ in range(5)]
    taken = await asyncio.gather(*(lease.take(None) for lease in leases))
    assert len([lead for lead in taken if lead is not None]) == 1


class Unfenced(Fenced):
    """The red control: writes whatever it was about to write."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.raw = store

    async def put(self, lead: Lead, collection: object, key: str, body: object, before: object) -> Document:
        try:
            await self.raw.write(Insert(BOOKS, key, {"round": 0, "term": lead.term}))
        except ConflictError:
            pass
        await self.raw.write(Patch(BOOKS, key, dict(body)))  # type: ignore[call-overload]
        return Document(key, {}, 0)


async def _stopped_leader(store: Store, fenced: Fenced) -> int:
    """Have a leader be stopped before its write and go on after another has written; return what stands then."""
    first, second = Lead(1, 0, 1), Lead(2, 0, 2)
    opened_by_first = await fenced.get(first, BOOKS, "storage")
    opened_by_second = await fenced.get(second, BOOKS, "storage")
    await fenced.put(second, BOOKS, "storage", {"round": 2}, opened_by_second)
    try:
        await fenced.put(first, BOOKS, "storage", {"round": 1}, opened_by_first)
    except LeaseLostError:
        pass
    found = await store.get(BOOKS, "storage")
    assert found is not None
    stood = found.body["round"]
    assert isinstance(stood, int)
    return stood


async def test_who_was_stopped_writes_nothing_over_its_successor(store: Store) -> None:
    assert await _stopped_leader(store, Fenced(store)) == 2
    with pytest.raises(LeaseLostError):
        await Fenced(store).get(Lead(1, 0, 1), BOOKS, "storage")


async def test_without_the_fence_it_would(store: Store) -> None:
    assert await _stopped_leader(store, Unfenced(store)) == 1


class Scene:
    """A leader in real time, and what its duties did."""

    def __init__(self, store: Store) -> None:
        self.clock = SystemClock()
        self.guard = Guard(store, self.clock, Ledger(store, self.clock), lambda: DAY)
        self.lease = Lease(store, self.clock, 1)
        self.leader = Leader(self.lease, self.guard, self.clock, 0.02)
        self.did: list[str] = []
        self.fails = 0

    async def work(self, lead: Lead) -> None:
        self.did.append("work")

    async def fail(self, lead: Lead) -> None:
        self.fails += 1
        raise UnavailableError("away")

    async def lose(self, lead: Lead) -> None:
        self.did.append("lost")
        raise LeaseLostError

    def duties(self) -> list[Duty]:
        return [Duty("work", 0.02, self.work), Duty("fail", 0.02, self.fail), Duty("lose", 0.02, self.lose)]


async def _until(condition: object, seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # type: ignore[operator]  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.01)


async def test_duties_are_done_while_it_leads_and_handed_over(store: Store) -> None:
    first, second = Scene(store), Scene(store)
    running = asyncio.create_task(first.leader.run(first.duties()))
    await _until(lambda: first.did.count("work") > 3)
    waiting = asyncio.create_task(second.leader.run(second.duties()))
    await asyncio.sleep(0.2)
    assert first.leader.leads and not second.leader.leads and second.did == []
    assert first.fails >= 1 and first.did.count("lost") > 1
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await _until(lambda: "work" in second.did)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_it_stops_when_the_lease_is_taken_from_it(store: Store) -> None:
    scene = Scene(store)
    running = asyncio.create_task(scene.leader.run(scene.duties()))
    await _until(lambda: scene.did)
    thief = Lease(store, scene.clock, 60)
    document = await store.get(LEASES, "retention")
    assert document is not None
    await store.write(Patch(LEASES, "retention", {"owner": "thief", "term": 9}))
    await _until(lambda: not scene.leader.leads)
    did = len(scene.did)
    await asyncio.sleep(0.2)
    assert len(scene.did) == did
    assert await thief.take(None) is None
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_timed_duties_rest_while_the_clock_is_held(store: Store) -> None:
    scene = Scene(store)
    did: list[str] = []

    async def always(lead: Lead) -> None:
        did.append("always")

    async def timed(lead: Lead) -> None:
        did.append("timed")

    clock = TwoHands()
    guard = Guard(store, clock, Ledger(store, clock), lambda: DAY)
    await guard.observe(True)
    clock.step(2 * DAY)
    leader = Leader(scene.lease, guard, scene.clock, 0.02)
    duties = [Duty("always", 0.01, always, timed=False), Duty("timed", 0.01, timed)]
    running = asyncio.create_task(leader.run(duties))
    await _until(lambda: len(did) > 5)
    assert set(did) == {"always"}
    await guard.confirm()
    await _until(lambda: "timed" in did)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_fault_of_ours_ends_the_process(store: Store) -> None:
    scene = Scene(store)

    async def broken(lead: Lead) -> None:
        raise KeyError("x")

    with pytest.raises(BaseExceptionGroup):
        async with asyncio.timeout(10):
            await scene.leader.run([Duty("broken", 0.01, broken)])
