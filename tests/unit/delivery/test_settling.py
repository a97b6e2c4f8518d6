"""The end of a mail and what is told of it are one commit where nothing else follows, and two steps where it does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Collection, Insert, Operation, Value, Written
from libs.envelope import open_secrets
from libs.runtime.errors import ConflictError, UnavailableError
from libs.runtime.secret import Secret
from services.delivery.domain.ports import Beside, Happening
from services.delivery.graph import Base, Customers, Outside, make_local, make_queue
from services.delivery.queue.collections import COLLECTIONS, MAILS, SHREDS
from services.delivery.settings import Settings
from services.delivery.worker.local import MailboxPeers
from tests.unit.delivery.world import LATER, REFUSED, Node, World

TOLD = Collection("told")


class Teller:
    """Writes what happens as documents of its own, unless `more` follows, or it has a fault."""

    def __init__(self) -> None:
        self.results: list[Written | Exception] = []
        self.more = False
        self.faults: list[Exception] = []
        self.size = 10

    async def beside(self, happenings: Sequence[Happening]) -> Beside | None:
        if self.faults:
            raise self.faults.pop()
        if self.more:
            return None
        body: dict[str, Value] = {"data": bytes(self.size)}
        return Beside([Insert(TOLD, one.event_id, body) for one in happenings], self._written)

    def _written(self, results: Sequence[Written | Exception]) -> None:
        self.results += results
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, ConflictError):
                raise result


class Watched(SqliteStore):
    """Notes which collections each call writes."""

    calls: list[list[str]]

    async def write_many(self, operations: Sequence[Operation]) -> list[Written | Exception]:
        self.calls.append([one.collection.name for one in operations])
        return await super().write_many(operations)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Watched]:
    store = await Watched.open(tmp_path / "delivery.db", (*COLLECTIONS, TOLD))
    assert isinstance(store, Watched)
    store.calls = []
    yield store
    await store.close()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def teller() -> Teller:
    return Teller()


@pytest.fixture
def node(world: World, store: Watched, teller: Teller) -> Node:
    given = Settings(kek=Secret(world.kek), lookup_key=Secret(world.lookup))
    boxes, people = world.mailboxes, world.customers
    outside = Outside(world.keys, MailboxPeers(boxes, boxes, boxes, boxes, boxes), world.signer, world.servers)
    customers = Customers(people, people, people, people, people, people, teller)
    base = Base(given, store, world.clock, open_secrets(given.kek, given.lookup_key))
    return Node(world, store, make_queue(base, outside, customers, make_local(base, outside)))


async def test_trail_and_events_are_one_commit(world: World, store: Watched, teller: Teller, node: Node) -> None:
    mail = await node.submit("bob@example.org", "ben@example.net")
    assert await node.until_settled(mail) == ["delivered", "delivered"]
    assert store.calls[-1] == [SHREDS.name, TOLD.name, TOLD.name, MAILS.name]
    assert teller.results == [Written(1), Written(1)]
    assert not world.customers.told


async def test_what_more_follows_from_is_told_before(world: World, store: Watched, teller: Teller, node: Node) -> None:
    teller.more = True
    mail = await node.submit("bob@example.org")
    assert await node.until_settled(mail) == ["delivered"]
    assert world.customers.kinds() == ["delivered"]
    assert store.calls[-1] == [SHREDS.name, MAILS.name]


async def test_failures_and_delays_are_told_before(world: World, teller: Teller, node: Node) -> None:
    world.servers.answers = lambda outgoing, address: REFUSED if address.startswith("no") else LATER
    mail = await node.submit("no@example.org", "late@example.net")
    assert await node.turn() is not None
    await node.idle()
    assert sorted(world.customers.kinds()) == ["bounced", "deferred"]
    world.servers.answers = lambda outgoing, address: REFUSED
    world.clock.advance(hours=1)
    assert await node.until_settled(mail) == ["bounced", "bounced"]
    assert sorted(world.customers.kinds()) == ["bounced", "bounced", "deferred"]
    assert not teller.results


async def test_a_teller_that_cannot_answer_is_asked_again(world: World, teller: Teller, node: Node) -> None:
    teller.faults = [UnavailableError("storage_unavailable"), UnavailableError("storage_unavailable")]
    mail = await node.submit("bob@example.org")
    assert await node.until_settled(mail) == ["delivered"]
    assert teller.results == [Written(1)]
    assert len(world.servers.sent) == 1


async def test_a_teller_with_a_fault_has_it_told_apart(world: World, teller: Teller, node: Node) -> None:
    teller.faults = [ZeroDivisionError()]
    mail = await node.submit("bob@example.org")
    assert await node.until_settled(mail) == ["delivered"]
    assert world.customers.kinds() == ["delivered"]
    assert len(world.servers.sent) == 1


async def test_an_event_that_cannot_be_written_does_not_send_a_mail_twice(
    world: World, teller: Teller, node: Node
) -> None:
    teller.size = 16 * 1024 * 1024
    mail = await node.submit("bob@example.org")
    assert await node.until_settled(mail) == ["delivered"]
    world.clock.advance(hours=1)
    await node.turn()
    assert len(world.servers.sent) == 1
    assert len(teller.results) == 1
