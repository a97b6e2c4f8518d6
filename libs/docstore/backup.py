"""Copies of SQLite stores, taken while they are written to, and put back.

The engine's own backup reads pages of one snapshot and begins anew where somebody else writes in between, so a copy is
the state of one moment. It is checked by the engine before it counts. A folder of copies has a manifest with the
SHA-256 of each, which is written last: without it, or with another content than it says, nothing is put back.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
_FORMAT = 1
_PAGES = 2000
_PAUSE = 0.02
_BLOCK = 1 << 20


class BackupError(Exception):
    """A backup cannot be taken or put back; the text says why and names no content."""


@dataclass(frozen=True)
class Manifest:
    """What a backup holds: the time that it was taken, and the SHA-256 of each file by name."""

    taken: str
    files: Mapping[str, str]


def save_file(source: Path, target: Path) -> None:
    """Copy the store at `source` to `target`, which must not exist. Raises: BackupError."""
    if target.exists():
        raise BackupError(f"{target.name} is there already")
    _create(target)
    try:
        with (
            closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=30)) as reading,
            closing(sqlite3.connect(target)) as writing,
        ):
            reading.backup(writing, pages=_PAGES, sleep=_PAUSE)
            # A copy is one file: its log goes into it.
            writing.execute("PRAGMA journal_mode = DELETE").fetchone()
        check_file(target)
    except sqlite3.Error as error:
        target.unlink(missing_ok=True)
        raise BackupError(f"{source.name} cannot be copied") from error
    _sync(target)


def check_file(path: Path) -> None:
    """Have the engine check a store. Raises: BackupError."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as reading:
            answer = reading.execute("PRAGMA integrity_check").fetchone()
    except sqlite3.Error as error:
        raise BackupError(f"{path.name} is no store") from error
    if answer != ("ok",):
        raise BackupError(f"{path.name} is damaged")


def write_manifest(folder: Path, taken: datetime) -> Manifest:
    """Write down what is in `folder`. Raises: OSError."""
    files = {path.name: digest(path) for path in sorted(folder.iterdir()) if path.name != MANIFEST}
    manifest = Manifest(taken.isoformat(), files)
    path = folder / MANIFEST
    new = folder / f"{MANIFEST}.new"
    _create(new)
    new.write_text(json.dumps({"format": _FORMAT, "taken": manifest.taken, "files": files}, indent=1), encoding="utf-8")
    _sync(new)
    new.replace(path)
    _sync(folder)
    return manifest


def read_manifest(folder: Path) -> Manifest:
    """Return what `folder` holds, having compared every file. Raises: BackupError."""
    try:
        told: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        files = {str(name): str(sum_) for name, sum_ in told["files"].items()}
        if told["format"] != _FORMAT:
            raise BackupError("the backup is of another format")
        manifest = Manifest(str(told["taken"]), files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackupError("there is no backup, or it was not finished: its manifest cannot be read") from error
    for name, expected in files.items():
        path = folder / name
        if Path(name).name != name or not path.is_file() or digest(path) != expected:
            raise BackupError(f"{name} is missing or not what was saved")
    return manifest


def restore_file(source: Path, target: Path) -> None:
    """Put a copy in the place of the store at `target`; what was there is gone. Raises: BackupError, OSError."""
    check_file(source)
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = target.with_name(f"{target.name}.new")
    new.unlink(missing_ok=True)
    _create(new)
    with source.open("rb") as reading, new.open("wb") as writing:
        while block := reading.read(_BLOCK):
            writing.write(block)
    _sync(new)
    for rest in ("-wal", "-shm"):
        # Of the store that was there: it would be played into the one that comes.
        target.with_name(target.name + rest).unlink(missing_ok=True)
    new.replace(target)
    _sync(target.parent)


def digest(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _create(path: Path) -> None:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
