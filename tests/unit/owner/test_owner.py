"""An owner of stored classes: counted, swept in time, exported, erased to the last byte; and its numbers in force."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Body, Collection, Document, Index, Insert, Store
from libs.owner.classes import Due, Owned, StoredClass
from libs.owner.model import Erased, Subject, Wanted
from libs.owner.owner import Owner
from libs.owner.terms import TERMS, StoredTerms
from libs.owner.traces import search
from libs.policy import load_policy
from libs.policy.terms import Terms, Version
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import InvalidError, UnavailableError
from tests.support.clock import ManualClock

NOTES = Collection(
    "note", (Index("account", ("account", "at")), Index("at", ("at",))), fields=("account", "at", "text")
)
ADA, EVE = Subject("a" * 32), Subject("e" * 32)
DAY = 86400


class Notes(StoredClass):
    """Notes that live a day, each account with a key."""

    keys = 0

    async def erase_keys(self, subject: Subject) -> int:
        gone, self.keys = self.keys, 0
        return gone


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with SqliteStore.open(tmp_path / "store.db", [NOTES, TERMS]) as opened:
        yield opened


def notes(store: Store, clock: ManualClock) -> tuple[Owner, Notes]:
    """Return an owner of notes."""

    def shown(collection: Collection, document: Document, wanted: Wanted) -> dict[str, Any] | None:
        return None if wanted.disclosure else dict(document.body)

    held = Notes(
        "note",
        store,
        [NOTES],
        due={"note": Due("at", offset=lambda: DAY)},
        owned={"note": Owned("account", lambda subject: subject.account_id)},
        shown=shown,
    )
    return Owner([held], store, clock), held


async def put(store: Store, account: Subject, at: int, number: int, text: str = "x") -> None:
    """Keep a note."""
    body: Body = {"account": account.account_id, "at": at, "text": text}
    await store.write(Insert(NOTES, f"{account.account_id}/{at}/{number}", body))


async def test_what_is_held_is_counted_with_the_time_of_the_first(store: Store, clock: ManualClock) -> None:
    owner, _ = notes(store, clock)
    assert (await owner.inventory())["note"].first_due == 0
    await put(store, ADA, 1000, 1)
    await put(store, EVE, 2000, 2)
    count = (await owner.inventory())["note"]
    assert (count.count, count.at_least, count.first_due) == (2, False, 1000 + DAY)


async def test_a_sweep_deletes_what_is_over_and_nothing_else(store: Store, clock: ManualClock) -> None:
    owner, _ = notes(store, clock)
    now = unix_seconds(clock)
    for number in range(10):
        await put(store, ADA, now - DAY, number)
    await put(store, ADA, now - DAY + 1, 99)
    swept = await owner.sweep("note", now, 6)
    assert (swept.deleted, swept.more) == (6, True)
    assert (await owner.sweep("note", now, 6)).deleted == 4
    # Whoever asks may be ahead of time: the owner's own clock counts.
    assert (await owner.sweep("note", now + 100 * DAY, 6)).deleted == 0
    clock.advance(1)
    assert (await owner.sweep("note", now + 1, 6)).deleted == 1
    assert (await owner.sweep("note", now - 100 * DAY, 6)).deleted == 0


async def test_an_erasure_leaves_no_byte_and_counts_each_document_once(
    store: Store, clock: ManualClock, tmp_path: Path
) -> None:
    owner, held = notes(store, clock)
    held.keys = 1
    for number in range(25):
        await put(store, ADA, 1000, number, "canary-of-ada")
        await put(store, EVE, 1000, number, "canary-of-eve")
    total, keys, more, calls = 0, 0, True, 0
    while more:
        step = await owner.erase(ADA, 10)
        one = step.classes.get("note", Erased())
        total, keys, more, calls = total + one.deleted, keys + one.keys, step.more, calls + 1
    assert (total, keys) == (25, 1)
    assert calls <= 4
    traces = await owner.traces([b"canary-of-ada", b"canary-of-eve", ADA.account_id.encode()])
    assert traces.found[0] == 0 and traces.found[2] == 0
    assert traces.found[1] >= 25
    assert traces.searched_bytes > 4096
    assert not (await owner.erase(ADA, 10)).classes


async def test_an_export_is_the_subjects_own(store: Store, clock: ManualClock) -> None:
    owner, _ = notes(store, clock)
    for number in range(3):
        await put(store, ADA, 1000 + number, number, f"note {number}")
    await put(store, EVE, 1000, 9)
    names, texts = [], []
    async for name, item in owner.export(ADA, (), Wanted()):
        names.append((name, item.name))
        texts.append(json.loads(b"".join([block async for block in item.content]))["text"])
    assert names == [("note", f"note-{number:06d}.json") for number in (1, 2, 3)]
    assert texts == ["note 0", "note 1", "note 2"]
    assert [one async for one in owner.export(ADA, (), Wanted(disclosure=True))] == []
    with pytest.raises(InvalidError, match="data_class"):
        await anext(owner.export(ADA, {"nothing"}, Wanted()))


async def test_what_cannot_be_asked_is_refused(store: Store, clock: ManualClock) -> None:
    owner, held = notes(store, clock)
    for limit in (0, 10_001):
        with pytest.raises(InvalidError, match="limit"):
            await owner.sweep("note", 0, limit)
        with pytest.raises(InvalidError, match="limit"):
            await owner.erase(ADA, limit)
    with pytest.raises(InvalidError, match="data_class"):
        await owner.sweep("letter", 0, 1)
    for needles in ([], [b"short"], [b"x" * 65], [b"x" * 8] * 65):
        with pytest.raises(InvalidError, match="needles"):
            await owner.traces(needles)
    with pytest.raises(ValueError, match="twice"):
        Owner([held, held], store, clock)


def test_a_needle_is_found_where_blocks_meet(tmp_path: Path) -> None:
    needle, file = b"a-needle-of-mine", tmp_path / "file"
    for before in range((1 << 20) - len(needle) - 1, (1 << 20) + 2, 3):
        file.write_bytes(bytes(before) + needle + bytes(100) + needle)
        assert search([file, tmp_path / "absent"], (needle, b"not-there")).found == (2, 0)


async def test_looking_into_files_leaves_their_locks(store: Store, clock: ManualClock, tmp_path: Path) -> None:
    await put(store, ADA, 1000, 1)
    owner, _ = notes(store, clock)
    for _ in range(3):
        await owner.traces([b"not-there"])
    # Another process that comes and goes would take the log away from one that holds no lock.
    script = (
        "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('PRAGMA user_version').fetchone(); c.close()"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "store.db")], check=True, timeout=30)
    assert (tmp_path / "store.db-wal").exists()
    await put(store, ADA, 1000, 2)


async def test_an_undeclared_field_fails_where_tests_run(store: Store) -> None:
    with pytest.raises(ValueError, match="declares no field"):
        await store.write(Insert(NOTES, "k", {"account": "a", "at": 1, "secret": "x"}))


async def test_numbers_in_force_outlive_the_process(store: Store) -> None:
    policy = load_policy()
    kept = StoredTerms(store, Terms(policy))
    first = Version(1, {"public_mail_seconds": 100}, True)
    await kept.put([first])
    await kept.put([Version(2, {"public_mail_seconds": 200}), first])
    assert kept.terms.rule("public_mail_seconds") == 100
    await kept.put([Version(2, {"public_mail_seconds": 999}, True)])
    again = StoredTerms(store, Terms(policy))
    assert again.terms.active == 0
    await again.load()
    assert (again.terms.active, again.terms.rule("public_mail_seconds")) == (2, 200)
    assert again.terms.rule("public_mail_seconds", 1) == 100
    with pytest.raises(InvalidError, match="terms"):
        await kept.put([Version(0, {})])


async def test_a_store_that_fails_leaves_the_rest_for_the_next_call(
    store: Store, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, _ = notes(store, clock)
    for number in range(5):
        await put(store, ADA, 1000, number)
    compacting = store.compact

    async def failing() -> None:
        raise UnavailableError("storage_unavailable")

    monkeypatch.setattr(store, "compact", failing)
    with pytest.raises(UnavailableError):
        await owner.erase(ADA, 10)
    monkeypatch.setattr(store, "compact", compacting)
    assert not (await owner.erase(ADA, 10)).more
    assert (await owner.traces([ADA.account_id.encode()])).found == (0,)
