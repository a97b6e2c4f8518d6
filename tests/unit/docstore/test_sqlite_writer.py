"""The writer begins small batches where it is called, and leaves to its thread what may have to wait."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from libs.docstore.changes import prepare
from libs.docstore.sqlite import SqliteStore
from libs.docstore.sqlite_jobs import ClearJob, WriteJob
from libs.docstore.sqlite_schema import create_file, migrate
from libs.docstore.sqlite_writer import Writer
from libs.docstore.store import Collection, Index, Insert, Operation, Written
from libs.runtime.errors import ConflictError, UnavailableError

NOTES = Collection("note", (Index("by_name", ("name",), unique=True),))


class Watch:
    """A clock that goes on by `step` at each look."""

    def __init__(self) -> None:
        self.now, self.step = 1000.0, 0.0

    def monotonic(self) -> float:
        self.now += self.step
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def writer(tmp_path: Path, watch: Watch) -> Iterator[Writer]:
    path = tmp_path / "store.db"
    create_file(path)
    made = Writer(path, watch.monotonic)
    assert made.connection is not None
    migrate(made.connection, (NOTES,))
    yield made
    made.close()


def job(*operations: Operation) -> WriteJob:
    return WriteJob([prepare(operation) for operation in operations])


def note(key: str, name: str = "", size: int = 10) -> Insert:
    return Insert(NOTES, key, {"name": name or key, "raw": bytes(size)})


def count(tmp_path: Path) -> int:
    with sqlite3.connect(tmp_path / "store.db") as other:
        (found,) = other.execute("SELECT count(*) FROM c_note").fetchone()
    other.close()
    return int(found)


def test_what_is_begun_counts_once_it_is_committed(writer: Writer, tmp_path: Path) -> None:
    commit = writer.begin([job(note("a"), note("b")), job(note("a"))])
    assert commit is not None
    assert count(tmp_path) == 0
    (first, second) = commit()
    assert isinstance(first, list)
    assert isinstance(second, list)
    assert first == [Written(1), Written(1)]
    assert isinstance(second[0], ConflictError)
    assert count(tmp_path) == 2


def test_large_batches_and_other_jobs_are_left_to_the_thread(writer: Writer, tmp_path: Path) -> None:
    assert writer.begin([job(note("a", size=600 * 1024))]) is None
    assert writer.begin([job(*(note(f"k{number}") for number in range(300)))]) is None
    assert writer.begin([job(note("a")), ClearJob(())]) is None
    assert count(tmp_path) == 0


def test_a_duplicate_is_left_to_the_thread_which_fails_it_alone(writer: Writer, tmp_path: Path) -> None:
    jobs = [job(note("a", "same")), job(note("b", "same"), note("c"))]
    assert writer.begin(jobs) is None
    (first, second) = writer.run(jobs)
    assert isinstance(second, list)
    assert first == [Written(1)]
    assert [type(result) for result in second] == [ConflictError, Written]
    assert count(tmp_path) == 2


def test_a_slow_disk_is_waited_for_in_the_thread_for_a_while(writer: Writer, watch: Watch) -> None:
    watch.step = 0.05
    commit = writer.begin([job(note("a"))])
    assert commit is not None
    assert commit() == [[Written(1)]]
    assert writer.begin([job(note("b"))]) is None
    watch.now += 11
    assert writer.begin([job(note("b"))]) is not None


def test_a_broken_engine_fails_the_batch_and_another_connection_goes_on(writer: Writer, watch: Watch) -> None:
    assert writer.connection is not None
    writer.connection.close()
    commit = writer.begin([job(note("a"))])
    assert commit is not None
    (answer,) = commit()
    assert isinstance(answer, UnavailableError)
    assert writer.begin([job(note("a"))]) is None
    watch.now += 1
    assert writer.run([job(note("a"))]) == [[Written(1)]]
    assert writer.begin([job(note("b"))]) is not None


async def test_a_lock_held_elsewhere_does_not_hold_the_event_loop(tmp_path: Path) -> None:
    async with SqliteStore.open(tmp_path / "store.db", (NOTES,)) as store:
        other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        loop = asyncio.get_running_loop()
        began = loop.time()
        writing = asyncio.create_task(store.write(note("a")))
        for _ in range(20):
            await asyncio.sleep(0.005)
        assert loop.time() - began < 2
        assert not writing.done()
        other.execute("ROLLBACK")
        other.close()
        assert await writing == Written(1)
