"""Backups on one machine: what is refused changes nothing, the ledger stays, wrong usage is told."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Collection, Insert, Replace
from libs.local.backup import MARKER, REGISTER, BackupError, is_running, main, restore, save
from libs.runtime.clock import SystemClock
from tests.support.clock import ManualClock

NOTES = Collection("notes", fields=("text",))
SERVICES = ("retention", "accounts", "storage")
CLOCK = SystemClock()


async def _write(home: Path, text: str) -> None:
    for name in SERVICES:
        place = home / "data" / name
        place.mkdir(parents=True, exist_ok=True)
        async with await SqliteStore.open(place / f"{name}.db", (NOTES,)) as store:
            found = await store.get(NOTES, "note")
            body = {"text": text}
            await store.write(Replace(NOTES, "note", body, found.version) if found else Insert(NOTES, "note", body))


async def _read(home: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in SERVICES:
        async with await SqliteStore.open(home / "data" / name / f"{name}.db", (NOTES,)) as store:
            note = await store.get(NOTES, "note")
            found[name] = str(note.body["text"]) if note else ""
    return found


def state(home: Path) -> dict[str, str]:
    """Return what each store says."""
    return asyncio.run(_read(home))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A stopped platform with a register, whose stores say "then" in the backup beside it and "now" here."""
    place = tmp_path / "home"
    asyncio.run(_write(place, "then"))
    (place / REGISTER).parent.mkdir()
    (place / REGISTER).write_text("")
    assert save(place, tmp_path / "backup", CLOCK) == list(SERVICES)
    asyncio.run(_write(place, "now"))
    return place


@pytest.fixture
def kept(home: Path, tmp_path: Path) -> Path:
    """Where the backup is."""
    assert home.exists()
    return tmp_path / "backup"


def test_stores_come_back_but_the_ledger_stays_and_erasures_are_replayed(home: Path, kept: Path) -> None:
    assert restore(home, kept) == ["accounts", "storage"]
    assert state(home) == {"retention": "now", "accounts": "then", "storage": "then"}
    assert (home / MARKER).read_bytes() == b""
    assert not (home / "replaced").exists()
    assert restore(home, kept) == ["accounts", "storage"], "it may be repeated"


def test_where_there_is_no_ledger_it_comes_back_too(home: Path, kept: Path) -> None:
    shutil.rmtree(home / "data" / "retention")
    assert restore(home, kept) == list(SERVICES)
    assert state(home)["retention"] == "then"


def test_nothing_is_put_under_a_running_platform(home: Path, kept: Path) -> None:
    (home / "pids.json").write_text(json.dumps({"accounts": os.getpid()}))
    with pytest.raises(BackupError, match="is running"):
        restore(home, kept)
    assert state(home)["storage"] == "now"
    assert not (home / MARKER).exists()


def test_process_ids_of_the_dead_or_none_are_no_platform(home: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    for text in ("{", "{}", json.dumps({"accounts": ended.pid})):
        assert not is_running(home)
        (home / "pids.json").write_text(text)
    assert not is_running(home)


@pytest.mark.parametrize("harm", ["manifest", "store", "unfinished"])
def test_a_damaged_backup_changes_nothing(home: Path, kept: Path, harm: str) -> None:
    if harm == "manifest":
        text = (kept / "manifest.json").read_text()
        (kept / "manifest.json").write_text(text.replace('"saved_at"', '"saved"'))
    elif harm == "store":
        with sqlite3.connect(kept / "storage.db") as database:
            database.execute("CREATE TABLE another (one)")
        database.close()
    else:
        (kept / "manifest.json").unlink()
    with pytest.raises(BackupError, match="not finished" if harm == "unfinished" else "not what was saved"):
        restore(home, kept)
    assert state(home) == dict.fromkeys(SERVICES, "now")
    assert not (home / MARKER).exists()


def test_without_register_and_ledger_it_has_to_be_said_that_they_are_lost(home: Path, kept: Path) -> None:
    (home / REGISTER).unlink()
    shutil.rmtree(home / "data" / "retention")
    with pytest.raises(BackupError, match="no register"):
        restore(home, kept)
    assert not (home / MARKER).exists()
    assert restore(home, kept, register_lost=True) == list(SERVICES)
    assert set(state(home).values()) == {"then"}
    assert (home / MARKER).exists()


def test_the_ledger_has_a_copy_of_a_register_that_is_missing(home: Path, kept: Path) -> None:
    (home / REGISTER).unlink()
    assert restore(home, kept) == ["accounts", "storage"]


def test_a_backup_older_than_the_memory_of_erasures_is_refused(home: Path, tmp_path: Path) -> None:
    save(home, tmp_path / "old", ManualClock(datetime(2001, 1, 1, tzinfo=UTC)))
    with pytest.raises(BackupError, match="older"):
        restore(home, tmp_path / "old")
    assert state(home) == dict.fromkeys(SERVICES, "now")


def test_nothing_to_save_and_a_place_that_is_taken(home: Path, kept: Path) -> None:
    with pytest.raises(BackupError, match="new directory"):
        save(home, kept, CLOCK)


def test_the_command_line(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SEALPOST_HOME", str(home))
    monkeypatch.delenv("SEALPOST_BACKUP_URI", raising=False)
    target = str(tmp_path / "again")
    assert main(["save", target]) == 0
    assert capsys.readouterr().out == "saved: retention, accounts, storage\n"
    assert main(["save", target]) == 1
    assert "new directory" in capsys.readouterr().err
    assert main(["restore", target]) == 0
    assert capsys.readouterr().out.startswith("restored: accounts, storage.")
    assert main(["restore", str(tmp_path / "none")]) == 1
    assert main(["mongodb-save", str(tmp_path / "m"), "accounts"]) == 1
    assert "SEALPOST_BACKUP_URI" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [[], ["save"], ["forget", "there"], ["mongodb-save", "there"], ["save", "there", "--fast"]]
)
def test_wrong_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
