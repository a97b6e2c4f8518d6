"""Backup and restore of services' stores, whatever their engine: a directory of files, and a manifest of them.

A backup is taken while everything runs. Each store is as it was at one moment, but not all stores at the same one, so
whoever calls names them in this order: who refers before what is referred to (an account before its certificate).
What was made in between is then in the second and not in the first, where nothing leads to it.

The manifest is written last, so a directory without one is no backup; it holds the SHA-256 of every file, and all of
them are compared before the first is put back. A restore goes only where nothing is. It may be repeated after it was
ended in the middle, and is not through before it has returned: nobody may open a store before that.

Secrets are no part of it: without the mounted keys a backup opens nothing. Neither is the register of erasures, which
stays as it is, so that whoever was erased since is erased again.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path

from libs.docstore.backup_files import check_file, new_directory
from libs.docstore.backup_manifest import MONGODB, SQLITE, Manifest, SavedStore, read_manifest, write_manifest
from libs.docstore.places import database_name, sqlite_path
from libs.docstore.sqlite_backup import check_place, copy_database, place_database
from libs.docstore.values import is_name
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import InvalidError, UnavailableError


async def save(stores: Mapping[str, str], directory: Path, clock: Clock) -> Manifest:
    """Save the stores of the services that are named, each with its URL, into `directory`: absent, or empty.

    Raises: ConflictError("backup_exists"), NotFoundError("store_absent"), InvalidError("store_damaged" |
    "collection_unknown" | "store_unfinished"), UnavailableError("storage_unavailable"), and ValueError for a URL or a
    name that cannot be. Nothing is left in `directory` then.
    """
    if not stores or not all(map(is_name, stores)):
        raise ValueError("stores are named as their services are")
    for name, url in stores.items():
        sqlite_path(url, name)
    try:
        await asyncio.to_thread(new_directory, directory)
    except OSError as error:
        raise UnavailableError("storage_unavailable") from error
    try:
        saved_at = unix_seconds(clock)
        saved = [await _save_one(name, url, directory) for name, url in stores.items()]
        manifest = Manifest(saved_at, tuple(saved))
        await asyncio.to_thread(write_manifest, directory, manifest)
    except BaseException as error:
        await asyncio.shield(asyncio.to_thread(_empty, directory))
        if isinstance(error, OSError):
            raise UnavailableError("storage_unavailable") from error
        raise
    return manifest


async def verify(directory: Path) -> Manifest:
    """Return what the backup in `directory` holds, after comparing every file with it.

    Raises: NotFoundError("backup_absent"), InvalidError("backup_damaged" | "backup_format"),
    UnavailableError("storage_unavailable").
    """

    def look() -> Manifest:
        manifest = read_manifest(directory)
        for store in manifest.stores:
            for file in store.files:
                check_file(directory, file)
        return manifest

    try:
        return await asyncio.to_thread(look)
    except OSError as error:
        raise UnavailableError("storage_unavailable") from error


async def restore(directory: Path, stores: Mapping[str, str], *, not_before: int = 0) -> Manifest:
    """Put the backup in `directory` to where `stores` say: the same services as were saved, with the same engines.

    `not_before`: Unix seconds; a backup that is older may hold accounts whose erasure nobody remembers.
    Raises: as `verify`; InvalidError("backup_old" | "backup_stores" | "backup_engine"); ConflictError("not_empty"),
    before anything is changed, if there is something already.
    """
    manifest = await verify(directory)
    if manifest.saved_at < not_before:
        raise InvalidError("backup_old")
    if {store.name for store in manifest.stores} != set(stores):
        raise InvalidError("backup_stores")
    for store in manifest.stores:
        await _check_target(store, stores[store.name])
    for store in manifest.stores:
        await _restore_one(store, stores[store.name], directory)
    return manifest


async def _save_one(name: str, url: str, directory: Path) -> SavedStore:
    path = sqlite_path(url, name)
    if path is not None:
        return SavedStore(name, SQLITE, True, (await asyncio.to_thread(copy_database, path, directory, f"{name}.db"),))
    from libs.docstore.mongo_backup import dump  # the driver costs memory and time that SQLite does not need

    files, at_once = await dump(url, database_name(name), directory, name)
    return SavedStore(name, MONGODB, at_once, tuple(files))


async def _check_target(store: SavedStore, url: str) -> None:
    path = sqlite_path(url, store.name)
    if (path is None) != (store.engine == MONGODB):
        raise InvalidError("backup_engine")
    if path is None:
        from libs.docstore.mongo_backup import check_empty

        await check_empty(url, database_name(store.name))
        return
    try:
        await asyncio.to_thread(check_place, path, store.files[0])
    except OSError as error:
        raise UnavailableError("storage_unavailable") from error


async def _restore_one(store: SavedStore, url: str, directory: Path) -> None:
    path = sqlite_path(url, store.name)
    if path is not None:
        await asyncio.to_thread(place_database, directory, store.files[0], path)
        return
    from libs.docstore.mongo_backup import load

    await load(url, database_name(store.name), directory, store.files)


def _empty(directory: Path) -> None:
    for path in directory.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
