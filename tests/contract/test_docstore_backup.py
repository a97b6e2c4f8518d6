"""Backups of every engine: taken while others write, compared before anything is put back, only where nothing is."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.docstore.backup import restore, save, verify
from libs.docstore.store import Insert, Query
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import ConflictError, InvalidError, NotFoundError
from tests.support.backup_site import COUNTS, NOTES, Site, fails, held, saved
from tests.support.docstore import Engine


@pytest.fixture
async def site(engine: Engine, tmp_path: Path) -> AsyncIterator[Site]:
    made = Site(engine, tmp_path / "stores")
    yield made
    if engine.name != "sqlite":
        await made.wipe()


async def test_what_is_saved_comes_back(site: Site, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    kept = await saved(site, backup)
    manifest = await verify(backup)
    assert [store.name for store in manifest.stores] == list(site.stores())
    assert manifest.saved_at == unix_seconds(site.clock)
    assert (await restore(backup, site.stores(), not_before=manifest.saved_at)) == manifest
    for service in ("alpha", "beta"):
        store = await site.open(service)
        assert await held(store, service) == kept[service]
        # Indexes hold what was put back, also those that forbid.
        with pytest.raises(ConflictError):
            await store.write(Insert(NOTES, "new", {"box": b"", "at": 1, "name": f"{service}-7"}))
        await store.close()


async def test_nobody_else_may_read_it(site: Site, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        await saved(site, tmp_path / "backup")
        await restore(tmp_path / "backup", site.stores())
    finally:
        os.umask(before)
    for place in (tmp_path / "backup", site.directory / "here"):
        for path in (place, *place.rglob("*")) if place.exists() else ():
            assert path.stat().st_mode & 0o077 == 0, path.name


async def test_a_backup_of_a_store_in_use_is_whole(site: Site, tmp_path: Path) -> None:
    store = await site.open("alpha")
    beta = await site.open("beta")
    enough, done = asyncio.Event(), asyncio.Event()
    written = 0

    async def write() -> None:
        nonlocal written
        while not done.is_set():
            # One commit, where the engine has such.
            await store.write_many(
                [
                    Insert(NOTES, f"n/{written:06d}", {"box": b"n", "at": written, "name": f"n-{written}"}),
                    Insert(COUNTS, f"n/{written:06d}", {"raw": bytes(500)}),
                ]
            )
            written += 1
            if written == 20:
                enough.set()

    task = asyncio.create_task(write())
    async with asyncio.timeout(20):
        await enough.wait()
        before = written
        manifest = await save(site.stores(), tmp_path / "backup", site.clock)
        after = written
    done.set()
    await task
    await store.close()
    await beta.close()
    await site.wipe()
    await restore(tmp_path / "backup", site.stores())
    store = await site.open("alpha")
    notes, counts = await store.count(NOTES), await store.count(COUNTS)
    assert before <= notes <= after + 1
    if manifest.stores[0].at_once and site.engine.name == "sqlite":
        assert notes == counts
    found = await store.find(Query(NOTES, "by_box", (b"n",), limit=1000))
    assert [one.body["at"] for one in found] == list(range(min(notes, 1000)))
    await store.close()


async def test_any_changed_byte_is_found(site: Site, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    await saved(site, backup)
    files = [path for path in backup.rglob("*") if path.is_file() and path.name != "manifest.json"]
    assert len(files) >= 2
    for path in files:
        whole = path.read_bytes()
        for broken in (whole[:-1], whole + b"\x00", whole[:100] + bytes([whole[100] ^ 1]) + whole[101:], b"", None):
            if broken is None:
                path.unlink()
            else:
                path.write_bytes(broken)
            await fails(InvalidError, "backup_damaged", lambda: restore(backup, site.stores()))
        path.write_bytes(whole)
    await restore(backup, site.stores())


async def test_it_goes_only_where_nothing_is(site: Site, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    await saved(site, backup)
    store = await site.open("beta")
    await store.write(Insert(COUNTS, "mine", {}))
    await fails(ConflictError, "not_empty", lambda: restore(backup, site.stores()))
    assert await store.get(COUNTS, "all") is None
    await store.close()
    await fails(ConflictError, "not_empty", lambda: restore(backup, site.stores()))
    # Nothing was begun: the other one is as empty as before.
    alpha = await site.open("alpha")
    assert await alpha.count(NOTES) == 0
    await alpha.close()


async def test_what_does_not_fit_is_refused(site: Site, tmp_path: Path) -> None:
    backup, stores = tmp_path / "backup", site.stores()
    await saved(site, backup)
    late = unix_seconds(site.clock) + 1
    await fails(InvalidError, "backup_old", lambda: restore(backup, stores, not_before=late))
    (first, url), *_ = stores.items()
    await fails(InvalidError, "backup_stores", lambda: restore(backup, {first: url}))
    await fails(InvalidError, "backup_stores", lambda: restore(backup, {**stores, "gamma": url}))
    other = f"sqlite:{tmp_path}" if site.engine.name == "mongodb" else "mongodb://127.0.0.1:9/"
    await fails(InvalidError, "backup_engine", lambda: restore(backup, dict.fromkeys(stores, other)))
    await fails(ConflictError, "backup_exists", lambda: save(stores, backup, site.clock))
    await fails(NotFoundError, "backup_absent", lambda: verify(tmp_path))
    await fails(NotFoundError, "backup_absent", lambda: verify(tmp_path / "absent"))
    for names in ({}, {"../alpha": url}, {first: "postgres:secret"}):
        with pytest.raises(ValueError) as caught:
            await save(names, tmp_path / "more", site.clock)
        assert "secret" not in str(caught.value)


async def test_a_restore_that_was_ended_is_repeated(site: Site, tmp_path: Path) -> None:
    backup = tmp_path / "backup"
    kept = await saved(site, backup)
    if site.engine.name == "sqlite":
        # The first store is in its place, of the second there is a part.
        place = site.directory / "here"
        place.mkdir(mode=0o700)
        shutil.copy(backup / "alpha.db", place / "alpha.db")
        (place / "beta.db.restoring").write_bytes(b"part of it")
    else:
        from libs.docstore.mongo import make_client

        client = make_client(site.engine.url)
        database = client.get_database(f"sealpost_{site.named('beta')}")
        await database["restoring"].insert_one({"_id": "restoring"})
        await database["notes"].insert_one({"_id": "beta/00000", "k": "beta/00000", "v": 1, "x": {}, "b": {}})
        client.close()
        await fails(InvalidError, "store_unfinished", lambda: save(site.stores(), tmp_path / "more", site.clock))
        assert list((tmp_path / "more").iterdir()) == []
    await restore(backup, site.stores())
    for service in ("alpha", "beta"):
        store = await site.open(service)
        assert await held(store, service) == kept[service]
        await store.close()
