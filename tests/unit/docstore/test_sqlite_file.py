"""The SQLite file itself: who may read it, what is left in it, what it is refused for, and that no query scans."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from libs.docstore import open_store
from libs.docstore.sqlite import SqliteStore
from libs.docstore.sqlite_query import delete_statements, find_statement
from libs.docstore.sqlite_schema import connect_writer
from libs.docstore.store import Body, Collection, Delete, Event, Index, Insert, Patch, Query, Replace
from libs.runtime.errors import InternalError, UnavailableError

MAILS = Collection(
    "mails", (Index("by_time", ("box", "at")), Index("by_expiry", ("expires",)), Index("u", ("n",), True))
)


async def test_only_the_owner_may_read(tmp_path: Path) -> None:
    os.umask(0)
    path = tmp_path / "data" / "mails.db"
    async with SqliteStore.open(path, (MAILS,)) as store:
        await store.write(Insert(MAILS, "k", {}))
        assert path.parent.stat().st_mode & 0o777 == 0o700
        modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}
        assert modes == {"mails.db": 0o600, "mails.db-wal": 0o600, "mails.db-shm": 0o600}


async def test_nothing_deleted_is_left_after_compact(tmp_path: Path) -> None:
    canary = "canary-7f3a"
    async with SqliteStore.open(tmp_path / "mails.db", (MAILS,)) as store:
        for number in range(50):
            body: Body = {"box": f"{canary}-{number}", "at": number, "raw": canary.encode() * 2000}
            await store.write(Insert(MAILS, f"k{number}", body, (Event(f"{canary}{number}", canary, canary.encode()),)))
        await store.write(Replace(MAILS, "k0", {"box": "x"}, version=1))
        await store.write(Patch(MAILS, "k1", {"box": None, "raw": b""}))
        size = (tmp_path / "mails.db-wal").stat().st_size
        assert size > 100_000
        assert canary.encode() in contents(tmp_path)
        for number in range(2, 50):
            await store.write(Delete(MAILS, f"k{number}"))
        await store.clear_events(await store.pending_events(1000))
        await store.compact()
        assert canary.encode() not in contents(tmp_path)
        assert (tmp_path / "mails.db-wal").stat().st_size == 0
        assert (tmp_path / "mails.db").stat().st_size < 100_000


def contents(directory: Path) -> bytes:
    return b"".join(file.read_bytes() for file in directory.iterdir())


async def test_the_log_does_not_grow_without_end(tmp_path: Path) -> None:
    async with SqliteStore.open(tmp_path / "mails.db", (MAILS,)) as store:
        # It is emptied beside the commits when there is time; when it is very long, they wait for that.
        for number in range(400):
            await store.write(Insert(MAILS, f"k{number}", {"raw": bytes(500_000)}))
        assert (tmp_path / "mails.db-wal").stat().st_size < 150 * 1024 * 1024


async def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mails.db"
    async with SqliteStore.open(path, (MAILS,)):
        pass
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    with pytest.raises(InternalError, match="storage_format_unknown"):
        await SqliteStore.open(path, (MAILS,))
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("PRAGMA application_id = 7")
    connection.close()
    with pytest.raises(InternalError, match="storage_format_unknown"):
        await SqliteStore.open(other, (MAILS,))
    (tmp_path / "text.db").write_bytes(b"this is not a database" * 1000)
    with pytest.raises(UnavailableError, match="storage_unavailable"):
        await SqliteStore.open(tmp_path / "text.db", (MAILS,))


async def test_every_query_runs_on_its_index_in_its_order(tmp_path: Path) -> None:
    async with SqliteStore.open(tmp_path / "mails.db", (MAILS,)):
        pass
    connection = sqlite3.connect(tmp_path / "mails.db")
    queries = [
        Query(MAILS, "by_time", ("b",), lower, upper, after, descending)
        for lower in (None, 1, "t", b"r")
        for upper in (None, 9, "t", b"r")
        for after in (None, (5, "k"), ("u", "k"), (b"v", "k"))
        for descending in (False, True)
    ]
    queries += [Query(MAILS, "by_time", ("b", 5), after=(5, "k")), Query(MAILS, "by_time", ("b", 5), descending=True)]
    queries += [Query(MAILS, "by_expiry", upper=7), Query(MAILS, "by_expiry"), Query(MAILS, "u", (b"n",))]
    queries += [Query(MAILS, "u", lower=1, after=(5, "k"), descending=descending) for descending in (False, True)]
    for query in queries:
        for statement in (find_statement(query), *delete_statements(MAILS, query)):
            plan = connection.execute(f"EXPLAIN QUERY PLAN {statement.sql}", statement.values).fetchall()
            steps = [row[3] for row in plan if "SUBQUERY" not in row[3] and "SCALAR" not in row[3]]
            assert not [step for step in steps if "TEMP B-TREE" in step or step.startswith("SCAN pending")], steps
            chosen = [step for step in steps if f"i_mails_{query.index}" in step]
            assert len(chosen) == 1, steps
            assert "by_expiry" in chosen[0] or chosen[0].startswith("SEARCH"), steps
    connection.close()


def test_commits_are_durable_and_deletions_thorough(tmp_path: Path) -> None:
    connection = connect_writer(tmp_path / "mails.db")
    for pragma, value in {"journal_mode": "wal", "synchronous": 2, "secure_delete": 1, "auto_vacuum": 2}.items():
        assert connection.execute(f"PRAGMA {pragma}").fetchone() == (value,)
    connection.close()


async def test_the_url_says_which_engine(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:{tmp_path}/data", "mails", (MAILS,))
    await store.write(Insert(MAILS, "k", {}))
    await store.close()
    assert (tmp_path / "data" / "mails.db").exists()
    with pytest.raises(ValueError, match="sqlite:") as caught:
        await open_store("redis://user:hidden@host", "mails", (MAILS,))
    assert "hidden" not in str(caught.value)
