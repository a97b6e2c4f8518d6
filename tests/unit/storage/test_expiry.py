"""Expiry and trimming: what has to go is gone, and nothing else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from libs.docstore.store import Query
from libs.owner.model import Swept
from libs.runtime.clock import unix_seconds
from services.storage.expiry import COUNTED_BATCH, FREE_BATCH, MAX_NOTES
from services.storage.repository import MESSAGES, USAGE
from tests.unit.storage.support import Fault, FaultyStore, Storage, make_storage, open_storage, outcome_of

ALICE, BOB = "alice", "bob"


async def sweep(storage: Storage, limit: int = 10_000) -> Swept:
    return await storage.graph.owner.sweep("public_mail", unix_seconds(storage.clock), limit)


async def put(storage: Storage, *deliveries: object) -> list[str]:
    """Append and note what is to be trimmed, as the service does."""
    outcome = await storage.append(*deliveries)  # type: ignore[arg-type]
    storage.graph.trimmer.note([message for one in deliveries for message in one.messages])  # type: ignore[attr-defined]
    return outcome


async def test_what_has_expired_goes_and_nothing_else(storage: Storage) -> None:
    soon, later, never = (
        storage.public_mail(ALICE, seconds=100),
        storage.public_mail(ALICE, seconds=10_000),
        storage.mail(ALICE),
    )
    await storage.append(soon, later, never)
    storage.clock.advance(200)
    await storage.expire()
    assert await storage.ids(ALICE) == [never.messages[0].message_id, later.messages[0].message_id]
    storage.clock.advance(days=400)
    await storage.expire()
    assert await storage.ids(ALICE) == [never.messages[0].message_id]


async def test_expiry_is_exact_to_the_second(storage: Storage) -> None:
    await storage.append(storage.public_mail(ALICE, seconds=100))
    storage.clock.advance(99)
    await storage.expire()
    assert len(await storage.ids(ALICE)) == 1
    storage.clock.advance(1)
    await storage.expire()
    assert await storage.store.find(Query(MESSAGES, "listed", (ALICE,))) == []


async def test_counted_mail_that_expires_gives_its_room_back(storage: Storage) -> None:
    expires_at = unix_seconds(storage.clock) + 1000
    await storage.append(*[storage.mail(ALICE, expires_at=expires_at, quota_messages=9) for _ in range(3)])
    await storage.append(storage.mail(ALICE))
    storage.clock.advance(1000)
    await storage.expire()
    mailbox = await storage.mailbox(ALICE)
    assert (mailbox.used_messages, mailbox.used_bytes, mailbox.folders[0].unseen) == (1, 1000, 1)


async def test_one_step_is_bounded(storage: Storage) -> None:
    count = max(FREE_BATCH, COUNTED_BATCH) + 50
    for mailbox_id in range(0, count, 50):
        await storage.append(*[storage.public_mail(f"m{mailbox_id}", seconds=10) for _ in range(50)])
    storage.clock.advance(days=1)
    swept = await sweep(storage, FREE_BATCH)
    # By number and by time: on a slow machine the time is over first.
    assert 0 < swept.deleted <= FREE_BATCH
    assert swept.more
    await storage.expire()
    assert await storage.store.find(Query(MESSAGES, "free_expiry")) == []


async def test_a_disposable_inbox_leaves_nothing_behind(storage: Storage) -> None:
    await put(storage, *[storage.public_mail(ALICE) for _ in range(9)])
    await storage.graph.trimmer.step()
    storage.clock.advance(days=4)
    await storage.expire()
    assert await storage.store.get(USAGE, ALICE) is None
    assert await storage.listed(ALICE) == []


async def test_copies_of_several_expire_too(storage: Storage) -> None:
    expires_at = unix_seconds(storage.clock) + 1000
    mail = storage.mail(ALICE, BOB, expires_at=expires_at)
    await storage.append(mail)
    storage.clock.advance(1000)
    await storage.expire()
    assert await storage.listed(ALICE) == await storage.listed(BOB) == []
    assert (await storage.mailbox(ALICE)).used_messages == 0


@pytest.mark.parametrize("count", [5, 6, 7, 40, 300])
async def test_an_inbox_keeps_its_newest(storage: Storage, count: int) -> None:
    mails = [storage.public_mail(ALICE) for _ in range(count)]
    await put(storage, *mails)
    while await storage.graph.trimmer.step():
        pass
    assert await storage.ids(ALICE) == [mail.messages[0].message_id for mail in reversed(mails)][:6]


async def test_an_inbox_may_keep_more_than_one_look_shows(storage: Storage) -> None:
    mails = [storage.public_mail(ALICE, keep=1050) for _ in range(1200)]
    await put(storage, *mails)
    while await storage.graph.trimmer.step():
        pass
    assert await storage.ids(ALICE) == [mail.messages[0].message_id for mail in reversed(mails)][:1050]


async def test_trimming_a_counted_inbox_gives_room_back(storage: Storage) -> None:
    await put(storage, *[storage.mail(ALICE, keep_newest=2, quota_bytes=5000) for _ in range(5)])
    await storage.graph.trimmer.step()
    assert (await storage.mailbox(ALICE)).used_bytes == 2000
    assert await put(storage, storage.mail(ALICE, keep_newest=2, quota_bytes=3000)) == ["ok"]


async def test_a_mail_that_comes_during_the_trimming_is_trimmed_too(storage: Storage) -> None:
    for _ in range(5):
        await asyncio.gather(
            put(storage, *[storage.public_mail(ALICE) for _ in range(10)]), storage.graph.trimmer.step()
        )
    while await storage.graph.trimmer.step():
        pass
    assert len(await storage.ids(ALICE)) == 6


async def test_a_failed_trimming_is_done_again(tmp_path: Path) -> None:
    async with open_storage(tmp_path) as storage:
        failing = make_storage(FaultyStore(storage.store, Fault(1, "nothing", dies=False)), storage.clock)
        await put(failing, *[failing.public_mail(ALICE) for _ in range(9)])
        with pytest.raises(Exception, match=r"^storage_unavailable$"):
            await failing.graph.trimmer.step()
        assert await failing.graph.trimmer.step() == 1
        assert len(await failing.ids(ALICE)) == 6
        assert await outcome_of(failing, failing.mail(ALICE)) == ["ok"]


async def test_notes_are_bounded(storage: Storage) -> None:
    message = storage.message(ALICE, keep_newest=6)
    assert not storage.graph.trimmer.note([storage.message(ALICE)])
    for _ in range(MAX_NOTES + 10):
        assert storage.graph.trimmer.note([message])
    assert await storage.graph.trimmer.step() == 1
