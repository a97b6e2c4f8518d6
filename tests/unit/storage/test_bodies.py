"""Large bodies: staged in blocks, read in blocks, and never left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import cast

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.docstore.sqlite_schema import connect_reader
from libs.docstore.store import Collection, Document, Query
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import InvalidError, NotFoundError, UnavailableError
from libs.runtime.ids import new_id
from services.storage.bodies import CHUNK_BYTES, ORPHAN_SECONDS
from services.storage.domain import Delivery, NewMessage
from services.storage.repository import BODIES, CHUNKS, COLLECTIONS, message_key
from tests.support.clock import ManualClock
from tests.unit.storage.support import MAX_BODY, Fault, FaultyStore, Storage, make_storage, some_bytes

ALICE, BOB = "alice", "bob"


async def blocks_of(blocks: Iterable[bytes]) -> AsyncIterator[bytes]:
    for block in blocks:
        yield block


async def stage(storage: Storage, message: NewMessage, *blocks: bytes) -> int:
    key = message_key(message.mailbox_id, message.message_id)
    return await storage.graph.parts.bodies.stage(key, blocks_of(blocks))


def staged_mail(storage: Storage, *mailbox_ids: str, **fields: object) -> Delivery:
    return storage.mail(*mailbox_ids, body=b"", body_staged=True, **fields)


async def records(storage: Storage, message: NewMessage) -> list[Document]:
    key = message_key(message.mailbox_id, message.message_id)
    return await storage.store.find(Query(BODIES, "message", (key,)))


async def due_of(storage: Storage, message: NewMessage) -> int:
    """In how many seconds the sweep looks at what was staged for a message."""
    (record,) = await records(storage, message)
    return cast("int", record.body["due"]) - unix_seconds(storage.clock)


async def chunks(storage: Storage, body_id: str) -> int:
    return len(await storage.store.find(Query(CHUNKS, "body", (body_id,))))


def all_chunks(directory: Path) -> int:
    with closing(connect_reader(directory / "store")) as connection:
        (count,) = connection.execute("SELECT count(*) FROM c_chunk").fetchone()
    return int(count)


async def sweep(storage: Storage, **after: float) -> None:
    storage.clock.advance(**after)
    while await storage.graph.parts.bodies.sweep():
        pass


async def test_a_staged_body_comes_back_in_blocks(storage: Storage) -> None:
    mail = staged_mail(storage, ALICE)
    body = some_bytes(2 * CHUNK_BYTES + 10)
    cuts = (0, 1, 1, 7, CHUNK_BYTES, CHUNK_BYTES + 7, 2 * CHUNK_BYTES, len(body))
    size = await stage(storage, mail.messages[0], *[body[a:b] for a, b in pairwise(cuts)])
    assert size == len(body)
    assert await storage.append(mail) == ["ok"]
    (message,) = await storage.listed(ALICE)
    assert message.body_size == len(body)
    assert await storage.body(ALICE, message.message_id) == body
    (record,) = await records(storage, mail.messages[0])
    assert await chunks(storage, record.key) == 3


async def test_many_tiny_blocks_make_few_chunks(storage: Storage) -> None:
    mail = staged_mail(storage, ALICE)
    await stage(storage, mail.messages[0], *[b"x"] * 5000)
    (record,) = await records(storage, mail.messages[0])
    assert await chunks(storage, record.key) == 1


async def test_without_a_staged_body_there_is_no_mail(storage: Storage) -> None:
    mail = staged_mail(storage, ALICE)
    await stage(storage, staged_mail(storage, ALICE).messages[0], b"another message's")
    assert await storage.append(mail) == ["body_not_staged"]


async def test_a_repeated_append_finds_its_body_again(storage: Storage) -> None:
    mail = staged_mail(storage, ALICE, BOB)
    for copy in mail.messages:
        await stage(storage, copy, some_bytes(CHUNK_BYTES))
    assert await storage.append(mail) == ["ok"]
    await sweep(storage, hours=2)
    assert await storage.append(mail) == ["ok"]
    await sweep(storage, hours=2)
    assert len(await storage.body(BOB, mail.messages[1].message_id)) == CHUNK_BYTES


@pytest.mark.parametrize(
    ("blocks", "reason"),
    [
        ([], "body"),
        ([b""], "body"),
        ([b"x" * (CHUNK_BYTES + 1)], "body_too_large"),
        ([b"x" * CHUNK_BYTES] * (MAX_BODY // CHUNK_BYTES) + [b"x"], "body_too_large"),
    ],
)
async def test_a_body_out_of_bounds_is_refused_and_leaves_nothing(
    storage: Storage, tmp_path: Path, blocks: list[bytes], reason: str
) -> None:
    mail = staged_mail(storage, ALICE)
    with pytest.raises(InvalidError, match=f"^{reason}$"):
        await stage(storage, mail.messages[0], *blocks)
    assert await storage.append(mail) == ["body_not_staged"]
    assert await records(storage, mail.messages[0]) == []
    assert all_chunks(tmp_path) == 0


async def test_a_stream_that_breaks_off_leaves_nothing(storage: Storage, tmp_path: Path) -> None:
    mail = staged_mail(storage, ALICE)

    async def broken() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * CHUNK_BYTES
        raise ConnectionResetError

    key = message_key(ALICE, mail.messages[0].message_id)
    with pytest.raises((ConnectionResetError, InvalidError)):
        await storage.graph.parts.bodies.stage(key, broken())
    assert await records(storage, mail.messages[0]) == []
    assert all_chunks(tmp_path) == 0


async def test_a_call_that_is_cut_off_is_swept_when_its_last_write_has_ended(storage: Storage, tmp_path: Path) -> None:
    mail = staged_mail(storage, ALICE)
    hanging = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"x" * CHUNK_BYTES
        yield b"x" * CHUNK_BYTES
        hanging.set()
        await asyncio.Event().wait()

    key = message_key(ALICE, mail.messages[0].message_id)
    call = asyncio.ensure_future(storage.graph.parts.bodies.stage(key, endless()))
    await hanging.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await storage.append(mail) == ["body_not_staged"]
    async with asyncio.timeout(5):
        while await due_of(storage, mail.messages[0]) > 60:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.01)
    await sweep(storage, seconds=61)
    assert await records(storage, mail.messages[0]) == []
    assert all_chunks(tmp_path) == 0


async def test_a_body_that_comes_again_for_a_mail_that_is_there_is_swept(storage: Storage, tmp_path: Path) -> None:
    mail = staged_mail(storage, ALICE)
    body = some_bytes(CHUNK_BYTES + 1)
    for _ in range(3):
        await stage(storage, mail.messages[0], body[:CHUNK_BYTES], body[CHUNK_BYTES:])
        assert await storage.append(mail) == ["ok"]
    await sweep(storage, seconds=61)
    (record,) = await records(storage, mail.messages[0])
    assert all_chunks(tmp_path) == await chunks(storage, record.key) == 2
    assert await storage.body(ALICE, mail.messages[0].message_id) == body


async def test_the_body_of_a_mail_that_is_refused_for_good_is_swept(storage: Storage) -> None:
    mail = staged_mail(storage, ALICE, quota_messages=1)
    assert await storage.append(storage.mail(ALICE)) == ["ok"]
    await stage(storage, mail.messages[0], b"body")
    assert await storage.append(mail) == ["quota_messages"]
    await sweep(storage, seconds=61)
    assert await records(storage, mail.messages[0]) == []


async def test_a_body_that_nobody_refers_to_is_swept_after_an_hour(storage: Storage) -> None:
    mail = staged_mail(storage, ALICE)
    await stage(storage, mail.messages[0], b"body")
    await sweep(storage, minutes=59)
    assert len(await records(storage, mail.messages[0])) == 1
    # So near to its end it is not handed out any more: the message might come after the sweep.
    assert await storage.append(mail) == ["body_not_staged"]
    await sweep(storage, minutes=2)
    assert await records(storage, mail.messages[0]) == []


async def test_a_body_in_use_stays(storage: Storage) -> None:
    mail = storage.mail(ALICE, body=some_bytes(100_000))
    await storage.append(mail)
    for _ in range(3):
        await sweep(storage, hours=2)
    (record,) = await records(storage, mail.messages[0])
    assert record.body["due"] is None
    assert await storage.body(ALICE, mail.messages[0].message_id) == mail.messages[0].body


async def test_a_deleted_body_goes_at_once(storage: Storage) -> None:
    mail = storage.mail(ALICE, body=some_bytes(1024 * 1024))
    await storage.append(mail)
    await sweep(storage, hours=2)
    (record,) = await records(storage, mail.messages[0])
    await storage.graph.parts.mailboxes.delete(ALICE, [mail.messages[0].message_id])
    await sweep(storage, seconds=0)
    assert await records(storage, mail.messages[0]) == []
    assert await chunks(storage, record.key) == 0


async def test_a_reader_of_a_body_that_is_deleted_meanwhile_is_told(storage: Storage) -> None:
    mail = storage.mail(ALICE, body=some_bytes(2 * CHUNK_BYTES))
    await storage.append(mail)
    _, blocks = await storage.graph.parts.mailboxes.read(ALICE, mail.messages[0].message_id)
    assert len(await anext(blocks)) == CHUNK_BYTES
    await storage.graph.parts.mailboxes.delete(ALICE, [mail.messages[0].message_id])
    await sweep(storage, seconds=0)
    with pytest.raises(NotFoundError, match=r"^message$"):
        await anext(blocks)


async def test_an_expired_mail_takes_its_body_along(storage: Storage) -> None:
    mail = storage.mail(ALICE, body=some_bytes(300_000), expires_at=int(storage.clock.now().timestamp()) + 10_000)
    public = storage.mail(
        BOB, body=some_bytes(300_000), keep_newest=6, expires_at=int(storage.clock.now().timestamp()) + 10_000
    )
    await storage.append(mail, public)
    await sweep(storage, hours=2)
    assert len(await records(storage, mail.messages[0])) == len(await records(storage, public.messages[0])) == 1
    storage.clock.advance(10_000)
    await storage.expire()
    await sweep(storage, minutes=2)
    assert await records(storage, mail.messages[0]) == await records(storage, public.messages[0]) == []


@pytest.mark.parametrize("step", range(5))
@pytest.mark.parametrize("applied", ["nothing", "all"])
async def test_a_crash_in_a_deletion_leaves_no_body(tmp_path: Path, step: int, applied: str) -> None:
    async with SqliteStore.open(tmp_path, COLLECTIONS) as store:
        storage = make_storage(store, ManualClock())
        mail = storage.mail(ALICE, body=some_bytes(300_000))
        await storage.append(mail)
        await sweep(storage, hours=2)
        dying = make_storage(FaultyStore(store, Fault(step, applied, dies=False)), storage.clock)
        try:
            await dying.graph.parts.mailboxes.delete(ALICE, [mail.messages[0].message_id])
        except UnavailableError:
            assert step < 2
        await sweep(storage, minutes=2)
        assert len(await records(storage, mail.messages[0])) == len(await storage.ids(ALICE))
        if await storage.ids(ALICE):
            assert await storage.body(ALICE, mail.messages[0].message_id) == mail.messages[0].body


async def test_a_store_that_fails_while_staging_is_told(tmp_path: Path) -> None:
    async with SqliteStore.open(tmp_path, COLLECTIONS) as store:
        failing = make_storage(FaultyStore(store, Fault(2, "nothing", dies=False)), ManualClock())
        mail = staged_mail(failing, ALICE)
        with pytest.raises(UnavailableError):
            await stage(failing, mail.messages[0], some_bytes(CHUNK_BYTES), some_bytes(CHUNK_BYTES))
        assert await failing.append(mail) == ["body_not_staged"]
        await sweep(failing, seconds=ORPHAN_SECONDS)
        assert await records(failing, mail.messages[0]) == []


async def test_bodies_of_other_messages_are_not_found(storage: Storage) -> None:
    message = storage.message(ALICE, message_id=new_id())
    with pytest.raises(InvalidError, match=r"^body_not_staged$"):
        await storage.graph.parts.bodies.find_staged(message_key(ALICE, message.message_id))


class Interrupted(FaultyStore):
    """A store on which somebody else is at work between a read and the write that follows from it."""

    meanwhile: Callable[[], Awaitable[None]] | None = None

    async def get_many(self, collection: Collection, keys: Sequence[str]) -> dict[str, Document]:
        found = await super().get_many(collection, keys)
        if self.meanwhile is not None:
            await self.meanwhile()
        return found


async def test_a_deletion_during_the_sweep_is_not_forgotten(storage: Storage) -> None:
    mail = storage.mail(ALICE, body=some_bytes(300_000))
    await storage.append(mail)
    store = Interrupted(storage.store, Fault(-1, "nothing", dies=False))
    sweeping = make_storage(store, storage.clock)

    async def delete() -> None:
        await storage.graph.parts.mailboxes.delete(ALICE, [mail.messages[0].message_id])

    store.meanwhile = delete
    storage.clock.advance(hours=2)
    await sweeping.graph.parts.bodies.sweep()
    store.meanwhile = None
    await sweep(sweeping, seconds=0)
    assert await records(storage, mail.messages[0]) == []
