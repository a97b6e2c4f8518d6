"""Append: durable, once, each delivery by itself, within the quota."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from libs.docstore.store import Query
from libs.runtime.ids import new_id
from protos.events.v1.events_pb2 import MailStored, SizeClass
from services.storage.bodies import CHUNK_BYTES, INLINE_BYTES
from services.storage.domain import SEEN, Delivery
from services.storage.repository import BODIES
from tests.unit.storage.support import BODY, Storage, some_bytes

ALICE, BOB, CAROL = "alice", "bob", "carol"


async def test_a_mail_is_there_with_everything_it_came_with(storage: Storage) -> None:
    mail = storage.mail(ALICE, size=4321, expires_at=2_000_000_000)
    assert await storage.append(mail) == ["ok"]
    (message,) = await storage.listed(ALICE)
    sent = mail.messages[0]
    assert (message.message_id, message.received_minute, message.size) == (sent.message_id, sent.received_minute, 4321)
    assert (message.folder, message.flags, message.expires_at) == ("inbox", (), 2_000_000_000)
    assert (message.scheme, message.key_id, message.envelope) == ("openpgp", "f" * 40, b"sealed envelope")
    assert message.body_size == len(BODY)
    assert await storage.body(ALICE, message.message_id) == BODY


async def test_a_mail_may_be_seen_and_filed_from_the_beginning(storage: Storage) -> None:
    assert await storage.append(storage.mail(ALICE, folder="sent", flags=SEEN), storage.mail(ALICE)) == ["ok", "ok"]
    (message,) = await storage.listed(ALICE, "sent")
    assert message.flags == ("seen",)
    counts = {one.folder_id: (one.messages, one.unseen) for one in (await storage.mailbox(ALICE)).folders}
    assert (counts["sent"], counts["inbox"], counts["drafts"]) == ((1, 0), (1, 1), (0, 0))
    told = [MailStored.FromString(pending.event.payload).folder for pending in await storage.events()]
    assert sorted(told) == ["inbox", "sent"]


@pytest.mark.parametrize("flags", [-1, 8])
async def test_flags_that_do_not_exist_are_refused(storage: Storage, flags: int) -> None:
    assert await storage.append(storage.mail(ALICE, flags=flags), storage.mail(BOB)) == ["flag", "ok"]


async def test_each_copy_is_announced_in_the_same_commit(storage: Storage) -> None:
    mail = storage.mail(ALICE, BOB, size=123_456)
    await storage.append(mail)
    events = await storage.events()
    assert {pending.event.subject for pending in events} == {"mail.stored.v1"}
    told = [MailStored.FromString(pending.event.payload) for pending in events]
    assert {(one.mailbox_id, one.message_id, one.folder, one.size_class) for one in told} == {
        (copy.mailbox_id, copy.message_id, "inbox", SizeClass.SIZE_CLASS_UP_TO_1_MB) for copy in mail.messages
    }
    assert len({pending.event.event_id for pending in events}) == 2


@pytest.mark.parametrize(("keep_newest", "owned"), [(0, True), (6, False)])
async def test_an_event_tells_whether_the_mailbox_is_somebody_s(
    storage: Storage, keep_newest: int, owned: bool
) -> None:
    await storage.append(storage.mail(ALICE, keep_newest=keep_newest))
    (pending,) = await storage.events()
    assert MailStored.FromString(pending.event.payload).owned is owned


@pytest.mark.parametrize(
    ("size", "size_class"),
    [
        (0, SizeClass.SIZE_CLASS_UP_TO_10_KB),
        (10_000, SizeClass.SIZE_CLASS_UP_TO_10_KB),
        (10_001, SizeClass.SIZE_CLASS_UP_TO_100_KB),
        (1_000_000, SizeClass.SIZE_CLASS_UP_TO_1_MB),
        (10_000_000, SizeClass.SIZE_CLASS_UP_TO_10_MB),
        (10_000_001, SizeClass.SIZE_CLASS_OVER_10_MB),
    ],
)
async def test_an_event_tells_a_class_not_a_size(storage: Storage, size: int, size_class: SizeClass.ValueType) -> None:
    await storage.append(storage.mail(ALICE, size=size))
    (pending,) = await storage.events()
    assert MailStored.FromString(pending.event.payload).size_class == size_class


async def test_the_same_mail_again_changes_nothing(storage: Storage) -> None:
    single, several = storage.mail(ALICE), storage.mail(BOB, CAROL)
    for _ in range(3):
        assert await storage.append(single, several) == ["ok", "ok"]
    for mailbox_id in (ALICE, BOB, CAROL):
        assert len(await storage.ids(mailbox_id)) == 1
        assert (await storage.mailbox(mailbox_id)).used_messages == 1
        assert (await storage.mailbox(mailbox_id)).used_bytes == 1000
    assert len(await storage.events()) == 3


async def test_the_same_mail_at_the_same_moment_is_stored_once(storage: Storage) -> None:
    single, several = storage.mail(ALICE), storage.mail(BOB, CAROL)
    attempts = [storage.append(single, several, single) for _ in range(10)]
    assert await asyncio.gather(*attempts) == [["ok", "ok", "ok"]] * 10
    for mailbox_id in (ALICE, BOB, CAROL):
        assert len(await storage.ids(mailbox_id)) == 1
        mailbox = await storage.mailbox(mailbox_id)
        assert (mailbox.used_bytes, mailbox.used_messages) == (1000, 1)
        assert [(folder.messages, folder.unseen) for folder in mailbox.folders[:1]] == [(1, 1)]
    assert len(await storage.events()) == 3


async def test_a_mail_that_filled_the_mailbox_may_be_repeated(storage: Storage) -> None:
    single = storage.mail(ALICE, quota_messages=1)
    several = storage.mail(BOB, CAROL, quota_bytes=1000)
    for _ in range(2):
        assert await storage.append(single, several) == ["ok", "ok"]
    assert await storage.append(storage.mail(ALICE, quota_messages=1)) == ["quota_messages"]


async def test_what_was_just_deleted_does_not_come_back(storage: Storage) -> None:
    single, several = storage.mail(ALICE), storage.mail(BOB, CAROL)
    await storage.append(single, several)
    for copy in (*single.messages, *several.messages):
        assert await storage.graph.parts.mailboxes.delete(copy.mailbox_id, [copy.message_id]) == []
    assert await storage.append(single, several) == ["ok", "ok"]
    for mailbox_id in (ALICE, BOB, CAROL):
        assert await storage.ids(mailbox_id) == []
        assert (await storage.mailbox(mailbox_id)).used_messages == 0


async def test_one_bad_delivery_fails_alone(storage: Storage) -> None:
    bad = storage.mail(ALICE, envelope=b"")
    unstaged = storage.mail(ALICE, body=b"", body_staged=True)
    full = storage.mail(BOB, CAROL, quota_bytes=999)
    good = [storage.mail(ALICE), storage.mail(ALICE, BOB)]
    outcome = await storage.append(good[0], bad, unstaged, full, good[1])
    assert outcome == ["ok", "envelope", "body_not_staged", "quota_bytes", "ok"]
    assert len(await storage.ids(ALICE)) == 2
    assert len(await storage.ids(BOB)) == 1
    assert await storage.ids(CAROL) == []
    assert (await storage.mailbox(CAROL)).used_bytes == 0
    assert (await storage.mailbox(ALICE)).used_messages == 2


async def test_quotas_hold_to_the_byte_and_the_mail(storage: Storage) -> None:
    batch = [storage.mail(ALICE, quota_bytes=3000) for _ in range(5)]
    assert sorted(await storage.append(*batch)) == ["ok", "ok", "ok", "quota_bytes", "quota_bytes"]
    batch = [storage.mail(BOB, quota_messages=2) for _ in range(3)]
    assert await storage.append(*batch) == ["ok", "ok", "quota_messages"]
    assert (await storage.mailbox(ALICE)).used_bytes == 3000


async def test_quotas_hold_under_concurrency(storage: Storage) -> None:
    mails = [storage.mail(ALICE, BOB, quota_messages=7) for _ in range(20)]
    outcomes = [outcome for (outcome,) in await asyncio.gather(*[storage.append(mail) for mail in mails])]
    assert outcomes.count("ok") <= 7
    assert len(await storage.ids(ALICE)) == len(await storage.ids(BOB)) == outcomes.count("ok")
    assert (await storage.mailbox(ALICE)).used_messages == outcomes.count("ok")
    assert await storage.append(*[storage.mail(ALICE, BOB, quota_messages=7) for _ in range(7)]) == (
        ["ok"] * (7 - outcomes.count("ok")) + ["quota_messages"] * outcomes.count("ok")
    )


async def test_one_full_mailbox_fails_the_delivery_for_all(storage: Storage) -> None:
    await storage.append(storage.mail(BOB))
    mail = storage.mail(ALICE, BOB, quota_messages=1)
    assert await storage.append(mail) == ["quota_messages"]
    assert await storage.ids(ALICE) == []
    assert (await storage.mailbox(ALICE)).used_messages == 0
    assert (await storage.mailbox(BOB)).used_messages == 1


async def test_an_id_of_another_delivery_is_a_conflict(storage: Storage) -> None:
    mail = storage.mail(ALICE, BOB)
    assert await storage.append(mail) == ["ok"]
    other = Delivery(mail.delivery_id, (storage.message(ALICE), storage.message(CAROL)))
    assert await storage.append(other) == ["delivery_id"]
    assert await storage.ids(CAROL) == []
    assert len(await storage.ids(ALICE)) == 1


async def test_mail_for_a_folder_that_is_gone_goes_to_the_inbox(storage: Storage) -> None:
    folder_id = await storage.graph.parts.folders.put(ALICE, "", b"name")
    await storage.append(storage.mail(ALICE, folder=folder_id), storage.mail(ALICE, folder="junk"))
    await storage.append(storage.mail(ALICE, folder=new_id()))
    assert len(await storage.ids(ALICE, folder_id)) == 1
    assert len(await storage.ids(ALICE, "junk")) == 1
    assert len(await storage.ids(ALICE, "inbox")) == 1


@pytest.mark.parametrize("size", [INLINE_BYTES, INLINE_BYTES + 1, CHUNK_BYTES, 2 * CHUNK_BYTES + 1, 1024 * 1024])
async def test_bodies_of_every_size_come_back(storage: Storage, size: int) -> None:
    body = some_bytes(size)
    mail = storage.mail(ALICE, BOB, body=body)
    assert await storage.append(mail) == ["ok"]
    for copy in mail.messages:
        assert await storage.body(copy.mailbox_id, copy.message_id) == body
    _, blocks = await storage.graph.parts.mailboxes.read(ALICE, mail.messages[0].message_id)
    assert max([len(block) async for block in blocks]) <= CHUNK_BYTES


async def test_attempts_to_store_a_large_mail_do_not_mix_their_bodies(storage: Storage) -> None:
    mail = storage.mail(ALICE, body=b"1" * 600_000)
    other = Delivery(mail.delivery_id, (replace(mail.messages[0], body=b"2" * 600_000),))
    await asyncio.gather(storage.append(mail), storage.append(other), storage.append(mail))
    body = await storage.body(ALICE, mail.messages[0].message_id)
    assert body in {b"1" * 600_000, b"2" * 600_000}
    # The losers' chunks go; the winner's stay.
    storage.clock.advance(1)
    await storage.graph.parts.bodies.sweep()
    storage.clock.advance(hours=2)
    await storage.graph.parts.bodies.sweep()
    assert await storage.body(ALICE, mail.messages[0].message_id) == body
    assert len(await storage.events()) == 1
    assert await storage.store.find(Query(BODIES, "due")) == []


async def test_a_refused_large_mail_leaves_no_body(storage: Storage) -> None:
    mail = storage.mail(ALICE, body=b"x" * 300_000, quota_bytes=10)
    assert await storage.append(mail) == ["quota_bytes"]
    assert await storage.store.find(Query(BODIES, "due")) == []
