"""A mailbox that is erased: closed at once and for good, emptied in bounded steps, without a trace in the files."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.docstore.store import Query
from libs.owner.model import Erased, Subject, Wanted
from libs.runtime.errors import NotFoundError, SealpostError
from libs.runtime.ids import new_id
from services.storage.bodies import CHUNK_BYTES
from services.storage.domain import Change, Object
from services.storage.erased import ABANDONED_SECONDS, ERASED
from services.storage.repository import BODIES, CHUNKS, FOLDERS, MESSAGES, USAGE, message_key
from tests.unit.storage.support import (
    Died,
    Fault,
    FaultyStore,
    Storage,
    make_storage,
    open_storage,
    outcome_of,
    some_bytes,
)

ACCOUNT = new_id()


async def erase(storage: Storage, mailbox_id: str, limit: int = 10_000, calls: int = 200) -> dict[str, int]:
    """Erase a mailbox as retention does; return how many items went, by class."""
    deleted: dict[str, int] = {}
    for _ in range(calls):
        done = await storage.graph.owner.erase(Subject(ACCOUNT, mailbox_id), limit)
        for name, one in done.classes.items():
            assert one.keys == 0
            deleted[name] = deleted.get(name, 0) + one.deleted
        if not done.more:
            return deleted
    raise AssertionError("it does not end")


async def blocks(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), CHUNK_BYTES):
        yield data[start : start + CHUNK_BYTES]


def files(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())


async def furnish(storage: Storage, mailbox_id: str, other: str) -> None:
    """Put something of everything into a mailbox."""
    await storage.append(*[storage.mail(mailbox_id, envelope=b"envelope " * 9) for _ in range(30)])
    await storage.append(storage.mail(mailbox_id, other), storage.mail(mailbox_id, body=b"body of large " * 40_000))
    staged = storage.message(mailbox_id, body=b"", body_staged=True)
    await storage.graph.parts.bodies.stage(message_key(mailbox_id, staged.message_id), blocks(some_bytes(600_000)))
    deleted = storage.mail(mailbox_id)
    await storage.append(deleted)
    await storage.graph.parts.mailboxes.delete(mailbox_id, [deleted.messages[0].message_id])
    await storage.graph.parts.folders.put(mailbox_id, "", b"sealed name")
    for name in ("contacts", "settings"):
        await storage.graph.parts.objects.put(mailbox_id, name, Object(b"sealed " * 50, 0))


async def test_nothing_is_left_and_nobody_else_loses_anything(tmp_path: Path) -> None:
    async with open_storage(tmp_path) as storage:
        alice, bob = new_id(), new_id()
        await furnish(storage, alice, bob)
        await furnish(storage, bob, alice)
        before = await storage.ids(bob)
        deleted = await erase(storage, alice)
        assert deleted == {"mailbox": 1, "preferences": 1, "contacts": 1, "staged_mail": 1, "member_mail": 33}
        await storage.store.clear_events(await storage.events())
        await storage.store.compact()
        assert alice.encode() not in files(tmp_path)
        assert await storage.ids(bob) == before
        assert await erase(storage, bob) == {**deleted, "member_mail": 33}
        storage.clock.advance(hours=1)
        while await storage.graph.parts.bodies.sweep():
            pass
        await storage.store.clear_events(await storage.events())
        await storage.store.compact()
        assert bob.encode() not in files(tmp_path)
        for collection in (MESSAGES, BODIES, CHUNKS, USAGE, FOLDERS):
            assert await storage.store.count(collection) == 0
        assert await storage.store.count(ERASED) == 2


async def test_it_is_closed_by_the_first_call_however_little_that_deletes(storage: Storage) -> None:
    alice, bob = new_id(), new_id()
    await furnish(storage, alice, bob)
    message_id = (await storage.ids(alice))[0]
    done = await storage.graph.owner.erase(Subject(ACCOUNT, alice), 1)
    assert done.more
    assert (await storage.graph.owner.inventory())["mailbox"].erasing == 1
    parts = storage.graph.parts
    assert await storage.append(storage.mail(alice), storage.mail(bob), storage.mail(alice, bob)) == [
        "mailbox",
        "ok",
        "mailbox",
    ]
    for attempt in (
        storage.ids(alice),
        parts.mailboxes.get(alice, message_id),
        parts.mailboxes.read(alice, message_id),
        parts.mailboxes.describe(alice),
        parts.mailboxes.update(alice, [message_id], Change(add=1)),
        parts.mailboxes.delete(alice, [message_id]),
        parts.folders.put(alice, "", b"name"),
        parts.folders.delete(alice, "abc"),
        parts.objects.get(alice, "contacts"),
        parts.objects.put(alice, "settings", Object(b"x", 0)),
    ):
        with pytest.raises(NotFoundError, match=r"^mailbox$"):
            await attempt
    assert [one async for one in storage.graph.owner.export(Subject(ACCOUNT, alice), [], Wanted())] == []
    assert len(await storage.ids(bob)) == 2
    await erase(storage, alice, limit=7)
    assert (await storage.graph.owner.inventory())["mailbox"].erasing == 0
    assert await storage.append(storage.mail(alice)) == ["mailbox"]


async def test_erasing_again_or_nobody_does_nothing(storage: Storage) -> None:
    assert await erase(storage, new_id()) == {}
    alice = new_id()
    await storage.append(storage.mail(alice))
    assert await erase(storage, alice) == {"mailbox": 1, "member_mail": 1}
    assert await erase(storage, alice) == {}


async def test_what_is_coming_while_it_is_erased_goes_too(tmp_path: Path) -> None:
    async with open_storage(tmp_path) as storage:
        alice, bob = new_id(), new_id()
        going = True

        async def bring() -> None:
            while going:
                mails = [storage.mail(alice), storage.mail(alice, bob), storage.mail(bob, body=some_bytes(40_000))]
                outcome = await storage.append(*mails, storage.mail(alice, body=some_bytes(40_000)))
                assert outcome[2] == "ok"
                assert {outcome[0], outcome[1], outcome[3]} <= {"ok", "mailbox"}
                await asyncio.sleep(0.02)

        bringing = [asyncio.create_task(bring()) for _ in range(4)]
        await asyncio.sleep(0.1)
        await erase(storage, alice)
        assert await storage.store.find(Query(MESSAGES, "listed", (alice,), limit=1)) == []
        assert await storage.store.get(USAGE, alice) is None
        going = False
        await asyncio.gather(*bringing)
        assert await storage.store.get(USAGE, alice) is None
        assert len(await storage.ids(bob)) == (await storage.mailbox(bob)).used_messages
        # Records of bodies that might still have been coming wait for a quarter of an hour, without their message.
        storage.clock.advance(hours=1)
        while await storage.graph.parts.bodies.sweep():
            pass
        for mail in await storage.store.find(Query(BODIES, "message", limit=1000)):
            assert mail.body["mailbox"] == bob
        await storage.store.clear_events(await storage.events())
        await storage.store.compact()
        assert alice.encode() not in files(tmp_path)


async def test_a_body_that_is_coming_while_it_is_erased_is_deleted_when_it_has_come(storage: Storage) -> None:
    alice = new_id()
    half, rest = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield os.urandom(CHUNK_BYTES)
        half.set()
        await rest.wait()
        yield os.urandom(CHUNK_BYTES)

    message = storage.message(alice, body=b"", body_staged=True)
    staging = asyncio.create_task(storage.graph.parts.bodies.stage(message_key(alice, message.message_id), slowly()))
    await half.wait()
    await erase(storage, alice)
    rest.set()
    await staging
    assert await storage.store.find(Query(BODIES, "message", limit=1)) == []
    storage.clock.advance(hours=2)
    while await storage.graph.parts.bodies.sweep():
        pass
    assert await storage.store.count(BODIES) == await storage.store.count(CHUNKS) == 0


async def test_an_erasure_that_nobody_goes_on_with_ends_by_itself(storage: Storage) -> None:
    alice, bob = new_id(), new_id()
    await furnish(storage, alice, bob)
    assert (await storage.graph.owner.erase(Subject(ACCOUNT, alice), 1)).more
    assert await storage.graph.buried.step() == 0
    storage.clock.advance(ABANDONED_SECONDS + 1)
    while await storage.graph.buried.step():
        pass
    assert await storage.store.find(Query(MESSAGES, "listed", (alice,), limit=1)) == []
    assert await storage.graph.parts.erased.open() == 0


async def test_where_others_share_the_store_it_is_looked_at_once_more(storage: Storage) -> None:
    """A store that does not say that it is this process's alone."""
    shared = make_storage(FaultyStore(storage.store, Fault(10**9, "nothing", dies=False)), storage.clock)
    alice = new_id()
    await shared.append(shared.mail(alice))
    await erase(shared, alice)
    assert await shared.graph.parts.erased.open() == 1
    late = shared.message(alice)
    other = make_storage(storage.store, storage.clock)
    # Another process had looked for a tombstone before there was one.
    await write_late(other, late.message_id, alice)
    shared.clock.advance(61)
    while await shared.graph.buried.step():
        pass
    assert await storage.store.find(Query(MESSAGES, "listed", (alice,), limit=1)) == []
    assert await shared.graph.parts.erased.open() == 0


async def write_late(storage: Storage, message_id: str, mailbox_id: str) -> None:
    from services.storage.repository import insert_shown, new_fields

    fields = new_fields(storage.message(mailbox_id, message_id=message_id), "inbox", "", 5)
    await storage.store.write(insert_shown(message_key(mailbox_id, message_id), fields))


@pytest.mark.parametrize("applied", ["nothing", "half", "all"])
@pytest.mark.parametrize("step", range(6))
async def test_killed_at_any_write_it_stays_closed_and_ends_the_next_time(
    tmp_path: Path, step: int, applied: str
) -> None:
    async with open_storage(tmp_path) as storage:
        alice, bob = new_id(), new_id()
        await furnish(storage, alice, bob)
        dying = make_storage(FaultyStore(storage.store, Fault(step, applied, dies=True)), storage.clock)
        try:
            await erase(dying, alice, limit=10)
            began = True
        except Died:
            began = step > 0 or applied != "nothing"
        assert await outcome_of(storage, storage.mail(alice)) == (["mailbox"] if began else ["ok"])
        await erase(storage, alice, limit=random.randrange(1, 50))
        assert await storage.store.find(Query(MESSAGES, "listed", (alice,), limit=1)) == []
        assert len(await storage.ids(bob)) == 1


async def test_a_store_that_fails_is_no_erasure(storage: Storage) -> None:
    alice = new_id()
    await storage.append(storage.mail(alice))
    failing = make_storage(FaultyStore(storage.store, Fault(0, "nothing", dies=False)), storage.clock)
    with pytest.raises(SealpostError, match=r"^storage_unavailable$"):
        await failing.graph.owner.erase(Subject(ACCOUNT, alice), 100)
    assert len(await storage.ids(alice)) == 1
    assert (await storage.graph.owner.erase(Subject(ACCOUNT, alice), 100)).classes["member_mail"] == Erased(1)
