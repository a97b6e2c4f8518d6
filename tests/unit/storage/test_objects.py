"""What owners keep beside mail."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from libs.runtime.errors import ConflictError, InvalidError, UnavailableError
from services.storage.domain import MAX_OBJECT_BYTES, Object
from tests.unit.storage.support import Fault, FaultyStore, Storage, make_storage, open_storage

ALICE, BOB = "alice", "bob"


async def test_an_object_is_empty_until_it_is_put(storage: Storage) -> None:
    objects = storage.graph.parts.objects
    assert await objects.get(ALICE, "contacts") == Object(b"", 0)
    put = await objects.put(ALICE, "contacts", Object(b"sealed", 0))
    assert await objects.get(ALICE, "contacts") == put == Object(b"sealed", put.version)
    assert put.version > 0
    assert await objects.get(ALICE, "settings") == await objects.get(BOB, "contacts") == Object(b"", 0)


async def test_it_is_replaced_by_whoever_knows_it(storage: Storage) -> None:
    objects = storage.graph.parts.objects
    first = await objects.put(ALICE, "settings", Object(b"one", 0))
    second = await objects.put(ALICE, "settings", Object(b"two", first.version))
    for stale in (0, first.version, second.version + 1):
        with pytest.raises(ConflictError, match=r"^version$"):
            await objects.put(ALICE, "settings", Object(b"three", stale))
    assert await objects.get(ALICE, "settings") == second
    with pytest.raises(ConflictError, match=r"^version$"):
        await objects.put(BOB, "settings", Object(b"one", 1))


async def test_of_two_at_the_same_time_one_wins(storage: Storage) -> None:
    objects = storage.graph.parts.objects
    outcomes = await asyncio.gather(
        *[objects.put(ALICE, "contacts", Object(b"x", 0)) for _ in range(4)], return_exceptions=True
    )
    assert sum(isinstance(one, Object) for one in outcomes) == 1
    assert sum(isinstance(one, ConflictError) for one in outcomes) == 3


@pytest.mark.parametrize(
    ("mailbox_id", "name", "sealed", "reason"),
    [
        ("a/b", "contacts", b"x", "mailbox_id"),
        (ALICE, "", b"x", "object"),
        (ALICE, "notes", b"x", "object"),
        (ALICE, "contacts", b"", "object_size"),
        (ALICE, "contacts", b"x" * (MAX_OBJECT_BYTES + 1), "object_size"),
    ],
)
async def test_what_cannot_be_is_refused(
    storage: Storage, mailbox_id: str, name: str, sealed: bytes, reason: str
) -> None:
    with pytest.raises(InvalidError, match=f"^{reason}$"):
        await storage.graph.parts.objects.put(mailbox_id, name, Object(sealed, 0))


async def test_the_largest_survives_a_restart_and_the_quota_does_not_know_it(tmp_path: Path) -> None:
    async with open_storage(tmp_path) as storage:
        put = await storage.graph.parts.objects.put(ALICE, "contacts", Object(b"x" * MAX_OBJECT_BYTES, 0))
        assert (await storage.mailbox(ALICE)).used_bytes == 0
    async with open_storage(tmp_path) as storage:
        assert await storage.graph.parts.objects.get(ALICE, "contacts") == put


async def test_what_is_replaced_is_gone_from_the_files(tmp_path: Path) -> None:
    async with open_storage(tmp_path) as storage:
        objects = storage.graph.parts.objects
        first = await objects.put(ALICE, "contacts", Object(b"the first contacts" * 100, 0))
        await objects.put(ALICE, "contacts", Object(b"others" * 100, first.version))
        await storage.store.compact()
        files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        assert b"the first contacts" not in files


async def test_a_store_that_fails_changes_nothing(storage: Storage) -> None:
    faulty = make_storage(FaultyStore(storage.store, Fault(0, "nothing", dies=False)), storage.clock)
    failing = faulty.graph.parts.objects
    with pytest.raises(UnavailableError):
        await failing.put(ALICE, "contacts", Object(b"x", 0))
    assert await storage.graph.parts.objects.get(ALICE, "contacts") == Object(b"", 0)
