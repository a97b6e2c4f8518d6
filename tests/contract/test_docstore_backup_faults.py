"""Backups that fail: damaged stores, manifests that lead elsewhere, a death in the middle."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from libs.docstore import open_store
from libs.docstore.backup import save, verify
from libs.docstore.store import Insert
from libs.runtime.errors import InvalidError, NotFoundError, UnavailableError
from tests.support.backup_site import ALL, COUNTS, Site, fails, fill, saved
from tests.support.clock import ManualClock
from tests.support.docstore import make_engine


async def test_a_store_that_fails_leaves_no_backup(tmp_path: Path) -> None:
    clock = ManualClock()
    for url in (f"sqlite:{tmp_path / 'absent'}", "mongodb://127.0.0.1:9/?serverSelectionTimeoutMS=100"):
        with pytest.raises((NotFoundError, UnavailableError)):
            await save({"alpha": url}, tmp_path / "backup", clock)
        assert list((tmp_path / "backup").iterdir()) == []
    (tmp_path / "alpha.db").write_bytes(b"SQLite format 3\x00" + bytes(5000))
    await fails(
        InvalidError, "store_damaged", lambda: save({"alpha": f"sqlite:{tmp_path}"}, tmp_path / "backup", clock)
    )
    assert list((tmp_path / "backup").iterdir()) == []


async def test_a_damaged_store_is_not_taken_for_a_backup(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:{tmp_path}", "alpha", ALL)
    await fill(store, 300)
    await store.close()
    path = tmp_path / "alpha.db"
    whole = bytearray(path.read_bytes())
    for page in range(3, len(whole) // 4096):
        whole[page * 4096 : page * 4096 + 200] = bytes(200)
    path.write_bytes(whole)
    stores = {"alpha": f"sqlite:{tmp_path}"}
    await fails(InvalidError, "store_damaged", lambda: save(stores, tmp_path / "backup", ManualClock()))


async def test_a_manifest_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    site = Site(make_engine("sqlite", tmp_path, None), tmp_path / "stores")
    backup = tmp_path / "backup"
    await saved(site, backup)
    path = backup / "manifest.json"
    whole = path.read_text()

    def changed(change: Callable[[dict[str, Any]], object]) -> str:
        told = json.loads(whole)
        change(told)
        return json.dumps(told)

    def file_of(told: dict[str, Any]) -> dict[str, Any]:
        first: dict[str, Any] = told["stores"][0]["files"][0]
        return first

    broken = [
        whole[: len(whole) // 2],
        "[]",
        "[" * 100_000,
        changed(lambda told: file_of(told).update(name="../alpha.db")),
        changed(lambda told: file_of(told).update(name="/alpha.db")),
        changed(lambda told: file_of(told).update(size=True)),
        changed(lambda told: file_of(told).update(sha256="x")),
        changed(lambda told: file_of(told).update(more=1)),
        changed(lambda told: told["stores"].append(told["stores"][0])),
        changed(lambda told: told["stores"][0]["files"].clear()),
        changed(lambda told: told.update(saved_at="now")),
        changed(lambda told: told.update(more=1)),
    ]
    for text in broken:
        path.write_text(text)
        await fails(InvalidError, "backup_damaged", lambda: verify(backup))
    path.write_text(changed(lambda told: told.update(format=2)))
    await fails(InvalidError, "backup_format", lambda: verify(backup))


_CHILD = """
import asyncio, sys
from pathlib import Path
from libs.docstore.backup import save
from libs.runtime.clock import SystemClock
import libs.docstore.backup as backup
write = backup.write_manifest
def slow(directory, manifest):
    print("ready", flush=True)
    sys.stdin.read()
    write(directory, manifest)
backup.write_manifest = slow
asyncio.run(save({"alpha": sys.argv[1]}, Path(sys.argv[2]), SystemClock()))
"""


async def test_a_save_that_is_killed_is_no_backup(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:{tmp_path / 'stores'}", "alpha", ALL)
    await fill(store)
    command = [sys.executable, "-c", _CHILD, f"sqlite:{tmp_path / 'stores'}", str(tmp_path / "backup")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None and child.stdin is not None
        assert await asyncio.to_thread(child.stdout.readline) == b"ready\n"
        child.send_signal(signal.SIGKILL)
    assert (tmp_path / "backup" / "alpha.db").exists()
    await fails(NotFoundError, "backup_absent", lambda: verify(tmp_path / "backup"))
    # The store never noticed.
    await store.write(Insert(COUNTS, "more", {}))
    await store.compact()
    await store.close()
