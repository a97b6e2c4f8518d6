"""What a backup holds, as the file `manifest.json` in its directory: read strictly, for it comes back from outside."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from libs.docstore.backup_files import NewFile, SavedFile, sync_directory
from libs.docstore.values import is_name
from libs.runtime.errors import InvalidError, NotFoundError

MANIFEST = "manifest.json"
SQLITE, MONGODB = "sqlite", "mongodb"
_FORMAT = 1
_MOST_BYTES = 4 * 1024 * 1024
_NAME = r"[a-z][a-z0-9_]{0,49}"
_HASH = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True)
class SavedStore:
    """The store of one service. `at_once`: all of it is of one moment (see mongo_backup)."""

    name: str
    engine: str
    at_once: bool
    files: tuple[SavedFile, ...]


@dataclass(frozen=True)
class Manifest:
    """One backup; `saved_at`: when it was begun, in Unix seconds."""

    saved_at: int
    stores: tuple[SavedStore, ...]


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Write it, durably and all at once; whoever finds it finds a backup. Raises OSError."""
    part = directory / f"{MANIFEST}.part"
    file = NewFile(part)
    try:
        file.write(json.dumps({"format": _FORMAT, **asdict(manifest)}, indent=1).encode() + b"\n")
        file.finish()
    finally:
        file.close()
    os.link(part, directory / MANIFEST)
    part.unlink()
    sync_directory(directory)


def read_manifest(directory: Path) -> Manifest:
    """Return it. Raises: NotFoundError("backup_absent"), InvalidError("backup_format" | "backup_damaged"), OSError."""
    try:
        with (directory / MANIFEST).open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError("backup_absent") from error
    try:
        told = json.loads(raw)
        if isinstance(told, dict) and told.get("format") not in {None, _FORMAT}:
            raise InvalidError("backup_format")
        return _manifest(told)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InvalidError("backup_damaged") from error


def _manifest(told: dict[str, Any]) -> Manifest:
    if set(told) != {"format", "saved_at", "stores"}:
        raise ValueError("fields")
    stores = tuple(_store(one) for one in told["stores"])
    if len({store.name for store in stores}) != len(stores):
        raise ValueError("stores")
    return Manifest(_number(told["saved_at"]), stores)


def _store(told: dict[str, Any]) -> SavedStore:
    store = SavedStore(told["name"], told["engine"], told["at_once"] is True, tuple(map(_file, told["files"])))
    if not is_name(store.name) or store.engine not in {SQLITE, MONGODB}:
        raise ValueError("store")
    # Names lead nowhere but into the directory.
    form = rf"{store.name}\.db\Z" if store.engine == SQLITE else rf"{store.name}/{_NAME}\.bson\Z"
    names = [file.name for file in store.files]
    if len(set(names)) != len(names) or not all(re.match(form, name) for name in names):
        raise ValueError("file names")
    if store.engine == SQLITE and len(names) != 1:
        raise ValueError("a SQLite store is one file")
    return store


def _file(told: dict[str, Any]) -> SavedFile:
    file = SavedFile(**told)
    if not _HASH.match(file.sha256):
        raise ValueError("hash")
    return SavedFile(file.name, _number(file.size), file.sha256, _number(file.documents))


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("number")
    return value
