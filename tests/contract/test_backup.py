"""Copies of stores on both engines: taken while others write, checked, and put back as they were."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from libs.docstore import backup
from libs.docstore.backup import BackupError
from libs.docstore.mongo_backup import restore_database, save_database
from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Collection, Index, Insert, Query, Store
from tests.support.docstore import Engine, make_engine

NOTES = Collection("note", (Index("at", ("at",)),))
_NOW = datetime(2026, 11, 23, tzinfo=UTC)


async def fill(store: Store, first: int, last: int) -> None:
    """Keep some notes."""
    inserts = [Insert(NOTES, f"n{n:06d}", {"at": n, "text": b"x" * 500}) for n in range(first, last)]
    for start in range(0, len(inserts), 500):
        await store.write_many(inserts[start : start + 500])


async def test_a_copy_is_one_moment_while_others_write(tmp_path: Path) -> None:
    source, target, back = tmp_path / "a" / "a.db", tmp_path / "copy.db", tmp_path / "b" / "b.db"
    async with SqliteStore.open(source, [NOTES]) as store:
        await fill(store, 0, 3000)
        writing = asyncio.create_task(fill(store, 3000, 9000))
        await asyncio.to_thread(backup.save_file, source, target)
        await writing
    assert os.stat(target).st_mode & 0o777 == 0o600
    backup.restore_file(target, back)
    async with SqliteStore.open(back, [NOTES]) as store:
        number = await store.count(NOTES)
        assert 3000 <= number <= 9000
        # No hole: all that came before the last one is there.
        (last,) = await store.find(Query(NOTES, "at", descending=True, limit=1))
        assert last.body["at"] == number - 1


async def test_what_was_there_does_not_come_through(tmp_path: Path) -> None:
    source, copy = tmp_path / "a.db", tmp_path / "copy.db"
    async with SqliteStore.open(source, [NOTES]) as store:
        await fill(store, 0, 10)
        backup.save_file(source, copy)
        await fill(store, 10, 500)
        # As after a crash: the log is not in the file yet.
        log = source.with_name("a.db-wal").read_bytes()
    source.with_name("a.db-wal").write_bytes(log)
    backup.restore_file(copy, source)
    assert not source.with_name("a.db-wal").exists()
    async with SqliteStore.open(source, [NOTES]) as store:
        assert await store.count(NOTES) == 10


def test_a_damaged_backup_is_found_before_anything_is_changed(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as made:
        made.execute("CREATE TABLE t (x)")
    folder = tmp_path / "backup"
    folder.mkdir()
    with pytest.raises(BackupError, match="manifest"):
        backup.read_manifest(folder)
    backup.save_file(tmp_path / "a.db", folder / "a.db")
    with pytest.raises(BackupError, match="there already"):
        backup.save_file(tmp_path / "a.db", folder / "a.db")
    backup.write_manifest(folder, _NOW)
    assert set(backup.read_manifest(folder).files) == {"a.db"}
    content = (folder / "a.db").read_bytes()
    for damaged in (content[:-1], content[:100] + b"\x00" + content[101:] + b"x", b""):
        (folder / "a.db").write_bytes(damaged)
        with pytest.raises(BackupError, match=r"a\.db"):
            backup.read_manifest(folder)
    with pytest.raises(BackupError, match=r"store|damaged"):
        (folder / "b.db").write_bytes(b"this is no store" * 100)
        backup.check_file(folder / "b.db")
    other, outside = b'{"format": 9, "taken": "", "files": {}}', b'{"format": 1, "taken": "", "files": {"../a": ""}}'
    for manifest in (b"", b"{}", other, outside):
        (folder / "manifest.json").write_bytes(manifest)
        with pytest.raises(BackupError):
            backup.read_manifest(folder)


async def test_a_database_comes_back_as_it_was(mongodb: tuple[str, bool], tmp_path: Path) -> None:
    source, target = make_engine("mongodb", tmp_path, mongodb), make_engine("mongodb", tmp_path, mongodb)
    store = await source.open([NOTES])
    await fill(store, 0, 1200)
    await store.close()
    assert "note" in await save_database(source.url, source.database, tmp_path)
    for path in tmp_path.glob(f"{source.database}.*"):
        path.rename(path.with_name(path.name.replace(source.database, target.database)))
    await restore_database(target.url, target.database, tmp_path)
    store = await target.open([NOTES])
    try:
        assert await store.count(NOTES) == 1200
        found = await store.find(Query(NOTES, "at", lower=1190, limit=100))
        assert [one.body["at"] for one in found] == list(range(1190, 1200))
    finally:
        await store.close()
    with pytest.raises(BackupError, match="not empty"):
        await restore_database(target.url, target.database, tmp_path)


async def test_a_file_that_is_cut_short_is_told(mongodb: tuple[str, bool], tmp_path: Path) -> None:
    target: Engine = make_engine("mongodb", tmp_path, mongodb)
    for content in (b"\x10", b"\x10\x00\x00\x00ab", b"\xff\xff\xff\x7f"):
        (tmp_path / f"{target.database}.note.bson").write_bytes(content)
        with pytest.raises(BackupError, match=r"cut short|damaged"):
            await restore_database(target.url, target.database, tmp_path)
