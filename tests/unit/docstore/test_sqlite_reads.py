"""Looks at small documents are made where they are asked for, unless they would have to wait."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.docstore.sqlite_reads import Readers
from libs.docstore.store import Collection, Insert
from libs.runtime.errors import UnavailableError

SMALL = Collection("small", small=True)
LARGE = Collection("large")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with SqliteStore.open(tmp_path / "store.db", (SMALL, LARGE)) as opened:
        yield opened


@pytest.fixture
async def readers(store: SqliteStore, tmp_path: Path) -> AsyncIterator[Readers]:
    made = Readers(tmp_path / "store.db")
    yield made
    await made.close()


def on_the_loop(_: sqlite3.Connection) -> bool:
    return threading.current_thread() is threading.main_thread()


def slowly(connection: sqlite3.Connection) -> bool:
    time.sleep(0.03)
    return on_the_loop(connection)


async def test_small_documents_are_found_as_soon_as_they_are_written(store: SqliteStore) -> None:
    for collection in (SMALL, LARGE):
        for number in range(100):
            await store.write(Insert(collection, f"k{number}", {"n": number}))
            found = await store.get(collection, f"k{number}")
            assert found is not None
            assert found.body == {"n": number}
        assert len(await store.get_many(collection, [f"k{number}" for number in range(200)])) == 100
        assert await store.get(collection, "absent") is None


async def test_a_quick_look_is_made_on_the_event_loop_and_others_are_not(readers: Readers) -> None:
    assert await readers.run_quickly(on_the_loop)
    assert not await readers.run(on_the_loop)


async def test_after_a_look_that_took_long_the_threads_look(readers: Readers) -> None:
    assert await readers.run_quickly(slowly)
    assert not await readers.run_quickly(on_the_loop)


async def test_what_fails_is_left_to_a_thread(readers: Readers) -> None:
    calls: list[bool] = []

    def once(connection: sqlite3.Connection) -> int:
        calls.append(on_the_loop(connection))
        if len(calls) == 1:
            raise sqlite3.OperationalError("database is locked")
        return 1

    assert await readers.run_quickly(once) == 1
    assert calls == [True, False]
    with pytest.raises(UnavailableError):
        await readers.run_quickly(lambda connection: connection.execute("SELECT * FROM nowhere"))
    assert await readers.run_quickly(on_the_loop)


async def test_nothing_is_read_after_the_end(readers: Readers) -> None:
    await readers.run_quickly(on_the_loop)
    await readers.close()
    with pytest.raises(UnavailableError, match="storage_closed"):
        await readers.run_quickly(on_the_loop)
