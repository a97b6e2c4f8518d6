"""Counters that are wrong are mended, and those that are right are left alone, whatever goes on meanwhile."""

from __future__ import annotations

import pytest

from libs.docstore.store import Delete, Increment, Query
from libs.runtime.errors import UnavailableError
from services.storage.domain import SEEN, Change, Mailbox
from services.storage.recount import PAGE, PAGES, QUIET_SECONDS
from services.storage.repository import MESSAGES, USAGE, message_key
from services.storage.usage import MAX_SUSPECTS, Tally
from tests.unit.storage.support import Fault, FaultyStore, Storage, make_storage, outcome_of

ALICE, BOB = "alice", "bob"


async def leak(storage: Storage, mailbox_id: str = ALICE) -> None:
    """Count a message that is not there, as a crash may leave it."""
    deltas = {"bytes": 777, "messages": 1, "m_inbox": 1, "u_inbox": 1}
    await storage.store.write(Increment(USAGE, mailbox_id, deltas))


def counters(mailbox: Mailbox) -> tuple[int, int, int, int]:
    inbox = mailbox.folders[0]
    return mailbox.used_bytes, mailbox.used_messages, inbox.messages, inbox.unseen


async def step(storage: Storage, times: int = 1) -> None:
    for _ in range(times):
        await storage.graph.recount.step()
        storage.clock.advance(QUIET_SECONDS + 1)


async def test_a_leak_is_mended_within_a_day(storage: Storage) -> None:
    await storage.append(storage.mail(ALICE), storage.mail(ALICE, folder="junk"))
    await leak(storage)
    storage.clock.advance(hours=23)
    await step(storage, 5)
    assert counters(await storage.mailbox(ALICE)) == (2777, 3, 2, 2)
    storage.clock.advance(hours=1)
    await step(storage, 5)
    assert counters(await storage.mailbox(ALICE)) == (2000, 2, 1, 1)


async def test_a_suspect_is_looked_at_soon(storage: Storage) -> None:
    await storage.append(storage.mail(ALICE))
    await leak(storage)
    storage.graph.usage.suspect([ALICE])
    await step(storage, 3)
    assert counters(await storage.mailbox(ALICE)) == (1000, 1, 1, 1)


async def test_a_lost_decrement_is_found_though_the_counters_did_not_change(storage: Storage) -> None:
    mail = storage.mail(ALICE)
    await storage.append(mail, storage.mail(ALICE))
    await storage.recount()
    await storage.store.write(Delete(MESSAGES, message_key(ALICE, mail.messages[0].message_id)))
    storage.clock.advance(days=31)
    await step(storage, 5)
    assert counters(await storage.mailbox(ALICE)) == (1000, 1, 1, 1)


async def test_a_mailbox_that_did_not_change_is_not_counted_again(storage: Storage) -> None:
    await storage.append(storage.mail(ALICE))
    await storage.recount()
    counting = FaultyStore(storage.store, Fault(-1, "nothing", dies=False))
    again = make_storage(counting, storage.clock)
    storage.clock.advance(days=1)
    await again.graph.recount.step()
    assert counting.writes == 1
    assert await storage.store.find(Query(USAGE, "check_at", upper=int(storage.clock.now().timestamp()))) == []


async def test_mail_that_comes_between_counting_and_writing_is_not_lost(storage: Storage) -> None:
    await storage.append(storage.mail(ALICE))
    await leak(storage)
    storage.graph.usage.suspect([ALICE])
    await step(storage, 2)
    await storage.append(storage.mail(ALICE))
    await step(storage, 1)
    assert counters(await storage.mailbox(ALICE))[1] == 3
    await step(storage, 4)
    assert counters(await storage.mailbox(ALICE)) == (2000, 2, 2, 2)


async def test_a_reservation_that_is_under_way_is_respected(storage: Storage) -> None:
    """The message comes after it was counted; its reservation came before. The count must not undo it."""
    await storage.append(storage.mail(ALICE))
    mail = storage.mail(ALICE)
    dying = make_storage(FaultyStore(storage.store, Fault(1, "nothing", dies=True)), storage.clock)
    assert await outcome_of(dying, mail) is None  # reserved, and the insert still to come
    storage.graph.usage.suspect([ALICE])
    storage.clock.advance(QUIET_SECONDS - 2)
    await storage.graph.recount.step()
    await storage.graph.recount.step()
    assert counters(await storage.mailbox(ALICE))[1] == 2


async def test_staged_copies_hold_the_recount_up(storage: Storage) -> None:
    dying = make_storage(FaultyStore(storage.store, Fault(2, "nothing", dies=True)), storage.clock)
    delivery = dying.mail(ALICE, BOB)
    assert await outcome_of(dying, delivery) is None
    storage.graph.usage.suspect([ALICE])
    await step(storage, 5)
    assert counters(await storage.mailbox(ALICE))[1] == 1
    assert await storage.append(delivery) == ["ok"]
    await step(storage, 5)
    assert counters(await storage.mailbox(ALICE)) == (1000, 1, 1, 1)


async def test_a_restless_mailbox_is_put_off(storage: Storage) -> None:
    await storage.append(storage.mail(ALICE))
    storage.graph.usage.suspect([ALICE])
    for _ in range(30):
        await storage.append(storage.mail(ALICE))
        await step(storage)
    await step(storage, 5)
    assert counters(await storage.mailbox(ALICE))[1] == 31


async def test_a_large_mailbox_is_counted_over_several_steps(storage: Storage) -> None:
    count = PAGE * PAGES + 10
    for _ in range(0, count, 201):
        await storage.append(*[storage.mail(ALICE) for _ in range(201)])
    stored = len(await storage.ids(ALICE))
    await leak(storage)
    storage.graph.usage.suspect([ALICE])
    await step(storage, 3)
    assert counters(await storage.mailbox(ALICE))[1] == stored + 1
    await step(storage, 3)
    assert counters(await storage.mailbox(ALICE))[1] == stored


async def test_an_empty_mailbox_leaves_nothing_behind(storage: Storage) -> None:
    mail = storage.mail(ALICE)
    await storage.append(mail)
    await storage.graph.parts.mailboxes.delete(ALICE, [mail.messages[0].message_id])
    await storage.recount()
    assert await storage.store.get(USAGE, ALICE) is None


async def test_flags_and_folders_are_recounted_too(storage: Storage) -> None:
    mail = storage.mail(ALICE)
    await storage.append(mail, storage.mail(ALICE))
    change = Change(add=SEEN, move_to="archive")
    await storage.graph.parts.mailboxes.update(ALICE, [mail.messages[0].message_id], change)
    await leak(storage)
    await storage.recount()
    mailbox = await storage.mailbox(ALICE)
    folders = {folder.folder_id: (folder.messages, folder.unseen) for folder in mailbox.folders if folder.messages}
    assert folders == {"inbox": (1, 1), "archive": (1, 0)}


async def test_a_change_of_counters_that_fails_makes_a_suspect(storage: Storage) -> None:
    failing = make_storage(FaultyStore(storage.store, Fault(0, "nothing", dies=False)), storage.clock)
    tally = Tally()
    tally.add(ALICE, {"bytes": 1})
    await failing.graph.usage.apply(tally)
    assert list(failing.graph.usage.suspects) == [ALICE]
    with pytest.raises(UnavailableError), failing.graph.usage.suspecting([BOB]):
        raise UnavailableError("storage_unavailable")
    assert list(failing.graph.usage.suspects) == [ALICE, BOB]
    failing.graph.usage.suspect(str(number) for number in range(2 * MAX_SUSPECTS))
    assert len(failing.graph.usage.suspects) == MAX_SUSPECTS


async def test_a_deletion_that_is_under_way_is_not_taken_off_twice(storage: Storage) -> None:
    mail = storage.mail(ALICE)
    await storage.append(mail, storage.mail(ALICE))
    storage.graph.usage.suspect([ALICE])
    await step(storage)
    # The message goes, the counters are yet to follow; meanwhile comes the recount.
    await storage.store.write(Delete(MESSAGES, message_key(ALICE, mail.messages[0].message_id)))
    for _ in range(3):
        await storage.graph.recount.step()
    await storage.store.write(Increment(USAGE, ALICE, {"bytes": -1000, "messages": -1, "m_inbox": -1, "u_inbox": -1}))
    assert counters(await storage.mailbox(ALICE)) == (1000, 1, 1, 1)
    await step(storage, 5)
    assert counters(await storage.mailbox(ALICE)) == (1000, 1, 1, 1)
