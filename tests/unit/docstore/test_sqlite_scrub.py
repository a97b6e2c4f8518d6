"""Gaps of pages: what SQLite leaves in them is there without scrubbing and gone with it, and the file stays sound."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections import defaultdict
from pathlib import Path

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.docstore.sqlite_log import Log
from libs.docstore.sqlite_schema import connect_writer
from libs.docstore.sqlite_scrub import Scrubber, unallocated
from libs.docstore.store import Collection, Delete, Index, Insert, Patch, Query

MAILS = Collection("mails", (Index("by_box", ("box", "at")), Index("by_expiry", ("expires",))))
_BATCH = 100


class History:
    """A random life of many boxes; what of it is gone can be looked for."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.boxes = [self.random.randbytes(8).hex() for _ in range(40)]
        self.keys: dict[str, set[str]] = defaultdict(set)
        self.gone: set[str] = set()

    def inserts(self, count: int) -> list[Insert]:
        """Return so many new mails, small ones among large ones."""
        made = []
        for _ in range(count):
            box, key = self.random.choice(self.boxes), self.random.randbytes(12).hex()
            self.keys[box].add(key)
            # The name stands in the body as well, which shares a page with others where it is short.
            body = key.encode() * self.random.choice((1, 5, 30, 300))
            made.append(
                Insert(MAILS, key, {"box": box, "at": self.random.randrange(1 << 30), "expires": 1, "body": body})
            )
        return made

    def forget(self, box: str) -> None:
        """Note that a box was deleted."""
        self.boxes.remove(box)
        self.gone |= {box, *self.keys.pop(box, ())}

    def traces(self, directory: Path) -> int:
        """Count what is gone and still in a file, and see that what is not gone is there."""
        content = b"".join(file.read_bytes() for file in directory.iterdir())
        assert all(key.encode() in content for keys in self.keys.values() for key in keys)
        return sum(content.count(name.encode()) for name in self.gone)


async def _live(store: SqliteStore, history: History, rounds: int) -> None:
    for _ in range(rounds):
        written = await store.write_many(history.inserts(_BATCH))
        assert not [one for one in written if isinstance(one, Exception)]
        for box in history.random.sample(history.boxes, 2):
            while await store.delete_range(MAILS, "by_box", (box,), 1 << 31, 1000):
                pass
            history.forget(box)
            history.boxes.append(history.random.randbytes(8).hex())
        box = history.random.choice([box for box, keys in history.keys.items() if keys])
        key = history.keys[box].pop()
        history.gone.add(key)
        await store.write(Delete(MAILS, key))


def _sound(path: Path) -> bool:
    with sqlite3.connect(path) as connection:
        found = connection.execute("PRAGMA integrity_check").fetchall()
    connection.close()
    return found == [("ok",)]


@pytest.mark.parametrize("seed", range(3))
async def test_nothing_that_is_gone_stays_in_a_gap(tmp_path: Path, seed: int) -> None:
    history = History(seed)
    async with SqliteStore.open(tmp_path / "mails.db", (MAILS,)) as store:
        await _live(store, history, 10)
        assert history.traces(tmp_path) > 0
        await store.compact()
        assert history.traces(tmp_path) == 0
        # Now it is known which pages are written.
        for _ in range(3):
            await _live(store, history, 5)
            await store.compact()
            assert history.traces(tmp_path) == 0
    assert _sound(tmp_path / "mails.db")
    async with SqliteStore.open(tmp_path / "mails.db", (MAILS,)) as store:
        await _live(store, history, 3)
        await store.compact()
        assert history.traces(tmp_path) == 0
    assert _sound(tmp_path / "mails.db")


async def test_without_it_copies_stay(tmp_path: Path) -> None:
    found = 0
    for seed in range(4):
        history = History(seed)
        async with SqliteStore.open(tmp_path / f"{seed}" / "mails.db", (MAILS,)) as store:
            await _live(store, history, 20)
        # The last to close has emptied the log.
        found += history.traces(tmp_path / f"{seed}")
    assert found > 0


async def test_beside_writes_the_file_stays_sound(tmp_path: Path) -> None:
    history = History(8)
    ends = asyncio.Event()

    async def write(store: SqliteStore) -> None:
        at = 0
        while not ends.is_set():
            at += 1
            await store.write(Insert(MAILS, f"other{at}", {"box": "o" * 16, "at": at, "body": b"o" * (at % 5000)}))
            await store.write(Patch(MAILS, f"other{at}", {"at": -at, "body": b"o"}))

    async with SqliteStore.open(tmp_path / "mails.db", (MAILS,)) as store:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(write(store))
            for _ in range(4):
                await _live(store, history, 4)
                await store.compact()
                assert history.traces(tmp_path) == 0
            ends.set()
        others = await store.find(Query(MAILS, "by_box", ("o" * 16,), limit=1000))
        assert others and all(one.body["body"] == b"o" for one in others)
    assert _sound(tmp_path / "mails.db")


def test_a_log_that_cannot_be_read_costs_knowledge_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "mails.db"
    connection = connect_writer(path)
    connection.execute("CREATE TABLE t (a TEXT)")
    scrubber, log = Scrubber(path), Log(path)
    scrubber.note(log.look())
    for number in range(500):
        connection.execute("INSERT INTO t VALUES (?)", (f"{number}" * 50,))
    scrubber.know_nothing()
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    scrubber.emptied()
    scrubber.know_nothing()
    assert scrubber.left == 0, "what may be in the log is not touched"
    scrubber.emptied()
    pages = path.stat().st_size // 4096
    assert scrubber.left == pages - 1
    left = scrubber.scrub(3)
    assert left == pages - 4
    assert scrubber.scrub(left) == 0
    connection.execute("INSERT INTO t VALUES ('more')")
    scrubber.note(log.look())
    scrubber.emptied()
    assert 0 < scrubber.left < 4, "only what was written"
    connection.close()
    scrubber.close()
    log.close()
    assert _sound(path)


def test_a_file_without_a_pointer_map_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (a)")
    connection.close()
    with pytest.raises(ValueError, match="pointer map"):
        Scrubber(path)


@pytest.mark.parametrize(
    ("page", "gap"),
    [
        (bytes((13, 0, 0, 0, 2, 15, 0, 0)) + bytes(4088), range(12, 3840)),
        (bytes((2, 0, 0, 0, 1, 15, 0, 0)) + bytes(4088), range(14, 3840)),
        (bytes((13, 0, 0, 0, 2, 0, 4, 0)) + bytes(4088), range(0)),
        (bytes((13, 0, 0, 0, 2, 16, 1, 0)) + bytes(4088), range(0)),
        (bytes((7, 0, 0, 0, 2, 15, 0, 0)) + bytes(4088), range(0)),
        (b"", range(0)),
    ],
)
def test_where_nothing_is_in_a_page(page: bytes, gap: range) -> None:
    found = unallocated(page, 4096)
    assert found == gap or (not gap and not found)
