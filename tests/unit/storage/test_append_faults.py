"""Deliveries under faults: whatever fails and whenever, all copies or none, never two, and no quota lost for good.

Every write of an append is struck in turn, before it happens, in the middle (as a server may that goes away) and after
it has happened (the answer is lost), both as an error and as the death of the process.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Query, Store
from protos.events.v1.events_pb2 import MailStored
from services.storage.domain import Delivery
from services.storage.repository import COLLECTIONS, DELIVERIES, MESSAGES
from tests.support.clock import ManualClock
from tests.unit.storage.support import Fault, FaultyStore, Storage, make_storage, open_storage, outcome_of

ALICE, BOB, CAROL = "alice", "bob", "carol"
MAILBOXES = (ALICE, BOB, CAROL)
STEPS = range(7)


@dataclass
class Case:
    """Three mails in one batch: to one, to three with large bodies, to two."""

    single: Delivery
    large: Delivery
    pair: Delivery

    @property
    def all(self) -> tuple[Delivery, ...]:
        return (self.single, self.large, self.pair)


def make_case(storage: Storage, quota: int = 3) -> Case:
    return Case(
        storage.mail(ALICE, quota_messages=quota),
        storage.mail(*MAILBOXES, body=b"x" * 300_000, quota_messages=quota),
        storage.mail(ALICE, CAROL, quota_messages=quota),
    )


async def present(storage: Storage, delivery: Delivery) -> int:
    """Return how many copies of a delivery are listed."""
    found = [copy.message_id in await storage.ids(copy.mailbox_id) for copy in delivery.messages]
    return sum(found)


async def check(storage: Storage, case: Case, told: list[str] | None) -> None:
    """Check what must hold once recovery has done its work."""
    for position, delivery in enumerate(case.all):
        copies = await present(storage, delivery)
        assert copies in (0, len(delivery.messages))
        if told is not None and told[position] == "ok":
            assert copies == len(delivery.messages)
        for copy in delivery.messages:
            if copies:
                assert await storage.body(copy.mailbox_id, copy.message_id) == copy.body
    announced = [MailStored.FromString(pending.event.payload).message_id for pending in await storage.events()]
    listed = [one for mailbox_id in MAILBOXES for one in await storage.ids(mailbox_id)]
    assert sorted(announced) == sorted(listed)
    for mailbox_id in MAILBOXES:
        mailbox = await storage.mailbox(mailbox_id)
        stored = len(await storage.ids(mailbox_id))
        assert (mailbox.used_messages, mailbox.used_bytes) == (stored, stored * 1000)
        assert (mailbox.folders[0].messages, mailbox.folders[0].unseen) == (stored, stored)
    assert await storage.store.find(Query(MESSAGES, "settling")) == []


@pytest.mark.parametrize("applied", ["nothing", "half", "all"])
@pytest.mark.parametrize("step", STEPS)
async def test_the_process_dies_at_any_write(tmp_path: Path, step: int, applied: str) -> None:
    clock = ManualClock()
    async with SqliteStore.open(tmp_path, COLLECTIONS) as store:
        dying = make_storage(FaultyStore(store, Fault(step, applied, dies=True)), clock)
        case = make_case(dying)
        told = await outcome_of(dying, *case.all)
    async with open_storage(tmp_path, clock) as storage:
        await storage.recover()
        await check(storage, case, told)


@pytest.mark.parametrize("applied", ["nothing", "half", "all"])
@pytest.mark.parametrize("step", STEPS)
async def test_the_process_dies_and_the_mail_is_sent_again(tmp_path: Path, step: int, applied: str) -> None:
    clock = ManualClock()
    async with SqliteStore.open(tmp_path, COLLECTIONS) as store:
        dying = make_storage(FaultyStore(store, Fault(step, applied, dies=True)), clock)
        case = make_case(dying, quota=6)
        await outcome_of(dying, *case.all)
    async with open_storage(tmp_path, clock) as storage:
        # What the dead process had reserved is counted until the next recount.
        again = [await storage.append(delivery) for delivery in case.all]
        assert again == [["ok"]] * 3
        await storage.recover()
        await check(storage, case, ["ok"] * 3)


@pytest.mark.parametrize("applied", ["nothing", "half", "all"])
@pytest.mark.parametrize("step", STEPS)
async def test_the_store_is_unavailable_at_any_write(tmp_path: Path, step: int, applied: str) -> None:
    async with SqliteStore.open(tmp_path, COLLECTIONS) as store:
        failing = make_storage(FaultyStore(store, Fault(step, applied, dies=False)), ManualClock())
        case = make_case(failing)
        told = await outcome_of(failing, *case.all)
        assert told is not None
        assert set(told) <= {"ok", "storage_unavailable"}
        await failing.recover()
        await check(failing, case, told)


@pytest.mark.parametrize("step", [0, 1])
async def test_a_clean_failure_gives_back_at_once_what_was_reserved(tmp_path: Path, step: int) -> None:
    async with SqliteStore.open(tmp_path, COLLECTIONS) as store:
        failing = make_storage(FaultyStore(store, Fault(step, "nothing", dies=False)), ManualClock())
        mail = failing.mail(ALICE, quota_messages=1)
        assert await outcome_of(failing, mail) == ["storage_unavailable"]
        assert (await failing.mailbox(ALICE)).used_messages == 0
        assert await outcome_of(failing, mail) == ["ok"]


@pytest.mark.parametrize("step", STEPS)
async def test_after_a_failure_the_same_delivery_may_be_sent_again_at_once(tmp_path: Path, step: int) -> None:
    async with SqliteStore.open(tmp_path, COLLECTIONS) as store:
        failing = make_storage(FaultyStore(store, Fault(step, "nothing", dies=False)), ManualClock())
        case = make_case(failing, quota=6)
        for _ in range(2):
            await outcome_of(failing, *case.all)
        assert await outcome_of(failing, *case.all) == ["ok"] * 3
        await failing.recover()
        await check(failing, case, ["ok"] * 3)


async def staged_only(store: Store, clock: ManualClock) -> tuple[Storage, Delivery]:
    """Bring a delivery to two to the point where its copies are staged and nothing is decided."""
    dying = make_storage(FaultyStore(store, Fault(2, "nothing", dies=True)), clock)
    delivery = dying.mail(ALICE, BOB)
    assert await outcome_of(dying, delivery) is None
    storage = make_storage(store, clock)
    assert len(await store.find(Query(MESSAGES, "settling"))) == 2
    return storage, delivery


async def test_staged_copies_are_in_no_list_and_announce_nothing(storage: Storage) -> None:
    storage, delivery = await staged_only(storage.store, storage.clock)
    for copy in delivery.messages:
        assert await storage.listed(copy.mailbox_id) == []
        assert await storage.listed(copy.mailbox_id, "inbox") == []
        assert await storage.graph.parts.mailboxes.delete(copy.mailbox_id, [copy.message_id]) == [copy.message_id]
    assert await storage.events() == []


async def test_staged_copies_wait_fifteen_minutes_and_go(storage: Storage) -> None:
    storage, delivery = await staged_only(storage.store, storage.clock)
    storage.clock.advance(minutes=14)
    await storage.graph.recovery.step()
    assert len(await storage.store.find(Query(MESSAGES, "settling"))) == 2
    storage.clock.advance(minutes=2)
    await storage.graph.recovery.step()
    assert await storage.store.find(Query(MESSAGES, "settling")) == []
    assert (await storage.mailbox(ALICE)).used_messages == 0
    # Whoever comes now, comes too late, and is told so.
    assert await storage.append(delivery) == ["delivery_aborted"]
    await storage.recover()
    assert await storage.ids(ALICE) == await storage.ids(BOB) == []


async def test_a_sweep_and_the_delivery_itself_cannot_both_win(storage: Storage) -> None:
    storage, delivery = await staged_only(storage.store, storage.clock)
    storage.clock.advance(minutes=16)
    (told,), _ = await asyncio.gather(storage.append(delivery), storage.graph.recovery.step())
    await storage.recover()
    expected = 1 if told == "ok" else 0
    assert [len(await storage.ids(mailbox_id)) for mailbox_id in (ALICE, BOB)] == [expected, expected]


async def test_the_decision_is_forgotten_after_a_day(storage: Storage) -> None:
    mail = storage.mail(ALICE, BOB)
    await storage.append(mail)
    assert await storage.store.get(DELIVERIES, mail.delivery_id) is not None
    storage.clock.advance(hours=25)
    await storage.graph.recovery.step()
    assert await storage.store.get(DELIVERIES, mail.delivery_id) is None
    assert await storage.append(mail) == ["ok"]
    assert len(await storage.ids(ALICE)) == 1


@pytest.mark.parametrize("turns", [1, 2, 3, 5, 8, 13])
async def test_a_cancelled_append_is_counted_right_in_the_end(storage: Storage, turns: int) -> None:
    task = asyncio.create_task(storage.graph.parts.appender.append([storage.mail(ALICE), storage.mail(ALICE, BOB)]))
    for _ in range(turns):
        await asyncio.sleep(0.0005)
    task.cancel()
    await asyncio.wait([task])
    # Writes are made in order: once this one is, nothing of the cancelled append is under way any more.
    assert await outcome_of(storage, storage.mail(CAROL)) is not None
    await storage.recover()
    for mailbox_id in (ALICE, BOB):
        assert (await storage.mailbox(mailbox_id)).used_messages == len(await storage.ids(mailbox_id))


async def test_a_reveal_that_is_repeated_neither_announces_nor_revives(storage: Storage) -> None:
    """Everything is done but the note that it is; then come mail programs, and then the repetition."""
    failing = make_storage(FaultyStore(storage.store, Fault(4, "nothing", dies=False)), storage.clock)
    mail = failing.mail(ALICE, BOB)
    assert await failing.append(mail) == ["ok"]
    await storage.store.clear_events(await storage.events())
    await storage.graph.parts.mailboxes.delete(ALICE, [mail.messages[0].message_id])
    assert await storage.append(mail) == ["ok"]
    await storage.recover(minutes=1)
    assert await storage.events() == []
    assert await storage.ids(ALICE) == []
    assert await storage.ids(BOB) == [mail.messages[1].message_id]


@pytest.mark.parametrize("step", [3, 4])
async def test_what_is_decided_is_seen_right_after_a_restart(storage: Storage, step: int) -> None:
    dying = make_storage(FaultyStore(storage.store, Fault(step, "nothing", dies=True)), storage.clock)
    mail = dying.mail(ALICE, BOB)
    await outcome_of(dying, mail)
    await storage.graph.recovery.start()
    for copy in mail.messages:
        assert await storage.ids(copy.mailbox_id) == [copy.message_id]
    assert len(await storage.events()) == 2
