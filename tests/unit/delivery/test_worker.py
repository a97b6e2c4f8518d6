"""What must hold when processes die, sleep, share a store, or meet a destination that is dead."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Patch
from libs.runtime.errors import InternalError, UnavailableError
from services.delivery.domain.model import Outcome, Outgoing, Profile
from services.delivery.domain.ports import Happening
from services.delivery.queue.collections import MAILS
from tests.unit.delivery.world import DELIVERED, LATER, REFUSED, SILENT, Node, World, a_store, order


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with a_store(tmp_path) as opened:
        yield opened


async def begun(world: World) -> None:
    """Wait until a transaction is under way."""
    async with asyncio.timeout(10):
        while not world.servers.under_way:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.002)


async def queued(node: Node, count: int, address: str, **changes: object) -> list[str]:
    """Put mails into the queue that no worker has taken."""
    world = node.world
    orders = [order(address.format(number), send_at=world.now + 1, **changes) for number in range(count)]
    for start in range(0, count, 1000):
        results = await node.graph.submission.submissions.submit(orders[start : start + 1000])
        assert not [result for result in results if isinstance(result, Exception)]
    return [one.submission_id for one in orders]


async def test_nothing_but_the_store_is_needed_after_a_kill(world: World, store: SqliteStore) -> None:
    world.servers.gate = asyncio.Event()
    dead = world.node(store)
    mail = await dead.submit("bob@example.org")
    await begun(world)
    # Killed before it heard the answer: of this process nothing is left but the document.
    world.servers.gate = None
    alive = world.node(store)
    await alive.turn()
    assert world.servers.addresses() == ["bob@example.org"]
    world.clock.advance(301)
    assert await alive.until_settled(mail) == ["delivered"]
    # Whether the first one arrived nobody can know: here, and only here, a mail goes out twice.
    assert world.servers.addresses() == ["bob@example.org"] * 2


async def test_of_two_that_wake_up_only_one_sends(world: World, store: SqliteStore) -> None:
    one, two = world.node(store), world.node(store)
    mails = await queued(one, 50, "bob{}@example.org")
    world.clock.advance(2)
    await asyncio.gather(one.turn(), two.turn())
    await asyncio.gather(one.turn(), two.turn())
    assert [await one.states(mail) for mail in mails] == [["delivered"]] * 50
    assert sorted(world.servers.addresses()) == sorted(f"bob{number}@example.org" for number in range(50))


async def test_whoever_slept_through_his_lease_sends_nothing_and_writes_nothing(
    world: World, store: SqliteStore
) -> None:
    sleeper, other = world.node(store, per_destination=1), world.node(store)
    world.servers.gate = asyncio.Event()
    first = await sleeper.submit("bob@example.org")
    await begun(world)
    second = await sleeper.submit("carol@example.org")
    assert [entry.mail.mail_id for entry in sleeper.waiting()] == [second]
    world.clock.advance(301)
    gate, world.servers.gate = world.servers.gate, None
    world.servers.sent.clear()
    assert await other.until_settled(second) == ["delivered"]
    assert await other.until_settled(first) == ["delivered"]
    world.servers.answers = lambda outgoing, address: REFUSED
    gate.set()
    await sleeper.turn()
    await sleeper.idle()
    assert sorted(world.servers.addresses()) == ["bob@example.org", "carol@example.org"]
    assert [await other.states(mail) for mail in (first, second)] == [["delivered"], ["delivered"]]
    assert not world.mailboxes.stored


async def test_a_lease_is_renewed_while_a_transaction_lasts(world: World, store: SqliteStore) -> None:
    slow, other = world.node(store), world.node(store)
    world.servers.gate = asyncio.Event()
    mail = await slow.submit("bob@example.org")
    await begun(world)
    for _ in range(10):
        world.clock.advance(160)
        await slow.graph.worker.turn()
        await other.graph.worker.turn()
    assert len(world.servers.sent) == 1
    gate, world.servers.gate = world.servers.gate, None
    gate.set()
    await slow.idle()
    assert await slow.states(mail) == ["delivered"]
    assert len(world.servers.sent) == 1


async def test_what_was_sent_is_written_down_although_the_store_was_away(world: World, store: SqliteStore) -> None:
    faults = iter([UnavailableError("storage_fault"), UnavailableError("storage_fault")])
    world.customers.telling = lambda: next(faults, None)
    node = world.node(store)
    mail = await node.submit("bob@example.org")
    await node.idle()
    assert await node.states(mail) == ["delivered"] and len(world.servers.sent) == 1
    assert world.customers.kinds() == ["delivered"]


async def test_happenings_that_cannot_be_told_do_not_send_a_mail_twice(world: World, store: SqliteStore) -> None:
    world.customers.telling = lambda: InternalError("document_damaged")
    node = world.node(store)
    mail = await node.submit("bob@example.org")
    await node.idle()
    assert await node.states(mail) == ["delivered"]


async def test_happenings_are_told_before_the_mail_changes(world: World, store: SqliteStore) -> None:
    node = world.node(store)
    seen: list[str] = []

    def look() -> None:
        seen.append("told")

    world.customers.telling = look
    world.servers.gate = asyncio.Event()
    mail = await node.submit("bob@example.org")
    await begun(world)
    assert await node.states(mail) == ["queued"]
    world.servers.gate.set()
    await node.until_settled(mail)
    assert seen == ["told"]


async def test_a_dead_destination_holds_nobody_up(world: World, store: SqliteStore) -> None:
    node = world.node(store, max_held_mails=500)
    await queued(node, 10_000, "bob{}@dead.test")
    world.clock.advance(2)
    living = await queued(node, 50, "carol{}@example.org")
    world.clock.advance(2)
    world.servers.dead = {"dead.test"}
    turns = 0
    while await node.turn() or turns < 3:
        turns += 1
        assert turns < 100
    assert not [address for address in world.servers.addresses() if address.endswith("dead.test")]
    assert [await node.states(mail) for mail in living] == [["delivered"]] * 50
    # Few of them had to be opened, for the others it was enough to see where they go.
    assert world.keys.calls < 30


async def test_a_destination_that_is_back_gets_what_was_put_off(world: World, store: SqliteStore) -> None:
    node = world.node(store, max_held_mails=500)
    mails = await queued(node, 600, "bob{}@dead.test")
    world.servers.dead = {"dead.test"}
    world.clock.advance(2)
    while await node.turn():
        pass
    assert not world.servers.sent
    world.servers.dead = set()
    # Not an hour later: the line is filled again and again without anything being due.
    for _ in range(20):
        await node.turn()
    assert len(world.servers.sent) == 600
    assert await node.states(mails[-1]) == ["delivered"]


async def test_a_line_for_a_destination_that_dies_is_put_off(world: World, store: SqliteStore) -> None:
    node = world.node(store, per_destination=1, max_held_mails=200)
    world.servers.gate = asyncio.Event()
    mails = [await node.submit(f"bob{number}@example.org") for number in range(20)]
    await begun(world)
    gate, world.servers.gate = world.servers.gate, None
    world.servers.answers = lambda outgoing, address: SILENT
    world.servers.dead = {"example.org"}
    gate.set()
    await node.idle()
    assert len(node.waiting()) == 19
    await node.turn()
    assert not node.graph.worker.desk.entries()
    world.servers.dead = set()
    world.servers.answers = lambda outgoing, address: DELIVERED
    world.clock.advance(minutes=3)
    for mail in mails:
        assert await node.until_settled(mail) == ["delivered"]
    assert len(world.servers.sent) == 21


async def test_no_more_at_once_than_a_destination_takes(world: World, store: SqliteStore) -> None:
    node = world.node(store, per_destination=3, max_concurrency=20)
    await queued(node, 40, "bob{}@example.org")
    await queued(node, 5, "carol@example{}.net")
    mail = await node.submit(*[f"dan{n}@example.org" for n in range(30)], profile=Profile.RELAY)
    world.clock.advance(2)
    await node.turn()
    assert await node.until_settled(mail) == ["delivered"] * 30
    assert world.servers.most["example.org"] == 3


async def test_more_than_there_is_room_for_waits_in_the_store(world: World, store: SqliteStore) -> None:
    node = world.node(store, max_held_mails=10, max_concurrency=10)
    world.servers.gate = asyncio.Event()
    mails = [await node.submit(f"bob@example{number}.org") for number in range(30)]
    assert len(node.graph.worker.desk.entries()) == 10
    gate, world.servers.gate = world.servers.gate, None
    gate.set()
    await node.idle()
    # Those that found no room were put off for none of their destinations: they are due.
    for _ in range(5):
        await node.turn()
    assert [await node.states(mail) for mail in mails] == [["delivered"]] * 30
    assert len(world.servers.sent) == 30


async def test_one_that_cannot_be_opened_leaves_the_others_alone(world: World, store: SqliteStore) -> None:
    node = world.node(store)
    mails = await queued(node, 5, "bob{}@example.org")
    await store.write(Patch(MAILS, mails[1], {"order": b"\x01" + bytes(40)}))
    document = await store.get(MAILS, mails[3])
    assert document is not None
    world.keys.keys.pop(str(document.body["key_id"]))
    world.clock.advance(2)
    await node.turn()
    await node.turn()
    assert sorted(world.servers.addresses()) == ["bob0@example.org", "bob2@example.org", "bob4@example.org"]
    lost = [await store.get(MAILS, mails[number]) for number in (1, 3)]
    assert [one.body["state"] for one in lost if one is not None] == ["lost", "lost"]


async def test_a_mail_that_breaks_its_attempt_comes_back_ever_later(world: World, store: SqliteStore) -> None:
    def broken() -> None:
        raise ZeroDivisionError

    world.customers.looking = broken
    node = world.node(store)
    mail = (await queued(node, 1, "bob@example.org"))[0]
    leases = []
    for _ in range(6):
        world.clock.advance(2)
        await node.turn()
        document = await store.get(MAILS, mail)
        assert document is not None and isinstance(document.body["due"], int)
        leases.append(document.body["due"] - world.now)
        world.clock.advance(leases[-1])
    assert leases == [300, 300, 300, 600, 1200, 2400]
    world.customers.looking = lambda: None
    assert await node.until_settled(mail) == ["delivered"]


async def test_without_keys_mail_waits_and_none_is_lost(world: World, store: SqliteStore) -> None:
    node = world.node(store)
    mails = await queued(node, 3, "bob{}@example.org")
    world.keys.fault = UnavailableError("unreachable")
    world.clock.advance(2)
    await node.turn()
    assert not world.servers.sent
    world.keys.fault = None
    world.clock.advance(60)
    await node.turn()
    assert [await node.states(mail) for mail in mails] == [["delivered"]] * 3


async def test_a_drain_finishes_what_is_under_way_and_gives_back_the_rest(world: World, store: SqliteStore) -> None:
    node = world.node(store, per_destination=1)
    world.servers.gate = asyncio.Event()
    first = await node.submit("bob@example.org")
    await begun(world)
    second = await node.submit("carol@example.org")
    draining = asyncio.create_task(node.graph.worker.drain(10))
    await asyncio.sleep(0.01)
    third = await node.submit("dan@example.org")
    gate, world.servers.gate = world.servers.gate, None
    gate.set()
    await draining
    assert await node.states(first) == ["delivered"]
    assert world.servers.addresses() == ["bob@example.org"]
    other = world.node(store)
    await other.turn()
    assert [await other.states(mail) for mail in (second, third)] == [["delivered"]] * 2


async def test_a_transport_that_breaks_is_a_failure_like_others(world: World, store: SqliteStore) -> None:
    def answer(outgoing: object, address: str) -> Outcome:
        if address == "bob1@example.org":
            raise ZeroDivisionError
        return DELIVERED

    world.servers.answers = answer
    node = world.node(store)
    mail = await node.submit(*[f"bob{n}@example.org" for n in range(3)], profile=Profile.RELAY)
    await node.idle()
    assert await node.states(mail) == ["delivered", "queued", "delivered"]


async def test_a_long_attempt_is_written_down_in_between(world: World, store: SqliteStore) -> None:
    dies = world.node(store, per_destination=5)
    hangs = asyncio.Event()
    send, count = world.servers.send, 0

    async def until_killed(outgoing: Outgoing) -> Sequence[Outcome]:
        nonlocal count
        count += 1
        if count > 250:
            await hangs.wait()
        return await send(outgoing)

    world.servers.send = until_killed  # type: ignore[method-assign]
    mail = await dies.submit(*[f"bob{n}@example.org" for n in range(300)], profile=Profile.RELAY)
    async with asyncio.timeout(10):
        while count < 255:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.002)
    world.servers.send = send  # type: ignore[method-assign]
    assert (await dies.states(mail)).count("delivered") == 200
    world.clock.advance(301)
    alive = world.node(store)
    assert await alive.until_settled(mail) == ["delivered"] * 300
    assert len(world.servers.sent) == 350
    assert len(world.customers.told) == 300
    await dies.graph.worker.drain(0)


async def test_reports_that_were_decided_survive_a_kill(world: World, store: SqliteStore) -> None:
    world.servers.answers = lambda outgoing, address: REFUSED if address[0] == "b" else LATER
    node = world.node(store)
    world.mailboxes.fault = InternalError("storage_fault")
    mail = await node.submit("bob@example.org", "carol@example.org")
    await node.idle()
    assert await node.states(mail) == ["bounced", "queued"] and not world.mailboxes.stored
    world.mailboxes.fault = None
    alive = world.node(store)
    world.clock.advance(minutes=1)
    await alive.turn()
    world.clock.advance(minutes=2)
    await alive.turn()
    assert len(world.mailboxes.stored) == 1


async def test_a_refusal_is_reported_although_telling_it_suppresses_the_address(
    world: World, store: SqliteStore
) -> None:
    world.servers.answers = lambda outgoing, address: REFUSED
    dies, told = world.node(store), asyncio.Event()

    async def last_act(happenings: Sequence[Happening]) -> None:
        world.customers.suppressed = {one.recipient for one in happenings}
        told.set()
        await asyncio.Event().wait()

    note, world.customers.note = world.customers.note, last_act  # type: ignore[method-assign]
    mail = await dies.submit("bob@example.org", profile=Profile.RELAY)
    async with asyncio.timeout(10):
        await told.wait()
    world.customers.note = note  # type: ignore[method-assign]
    world.clock.advance(301)
    alive = world.node(store)
    await alive.turn()
    assert await alive.states(mail) == ["bounced"]
    assert len(world.mailboxes.stored) == 1 and world.customers.kinds() == ["bounced"]
    assert len(world.servers.sent) == 1
    await dies.graph.worker.drain(0)


@pytest.mark.parametrize(("profile", "reports"), [(Profile.SEALED, 1), (Profile.RELAY, 0)])
async def test_a_person_is_told_by_mail_of_whom_he_must_not_write_to(
    world: World, store: SqliteStore, profile: Profile, reports: int
) -> None:
    world.customers.suppressed = {"bob@example.org"}
    node = world.node(store)
    mail = await node.submit("bob@example.org", profile=profile)
    await node.turn()
    assert await node.states(mail) == ["suppressed"]
    assert world.customers.kinds() == ["suppressed"]
    assert (len(world.mailboxes.stored), len(world.servers.sent)) == (reports, 0)
