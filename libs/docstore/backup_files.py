"""The files of a backup: for their owner alone, on the disk before anybody is told of them, known by their SHA-256."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from libs.runtime.errors import ConflictError, InvalidError

_BLOCK = 1 << 20
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class SavedFile:
    """One file. `name`: its path below the backup's directory; `documents`: how many it holds, 0 for SQLite files."""

    name: str
    size: int
    sha256: str
    documents: int = 0


class NewFile:
    """A file that did not exist before, written from its beginning to its end."""

    def __init__(self, path: Path) -> None:
        """Make it. Raises OSError, FileExistsError among them."""
        self._path = path
        self._hash = hashlib.sha256()
        self._size = 0
        self._file = os.fdopen(os.open(path, _FLAGS, 0o600), "wb")

    def write(self, block: bytes) -> None:
        """Append `block`. Raises OSError."""
        self._file.write(block)
        self._hash.update(block)
        self._size += len(block)

    def finish(self) -> tuple[int, str]:
        """Have it on the disk; return its size and hash. Raises OSError."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        sync_directory(self._path.parent)
        return self._size, self._hash.hexdigest()

    def close(self) -> None:
        """Let go of it, finished or not."""
        self._file.close()


def new_directory(path: Path) -> None:
    """Make an empty directory (0700), or take one that is. Raises: ConflictError("backup_exists"), OSError."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if any(path.iterdir()):
        raise ConflictError("backup_exists")
    path.chmod(0o700)


def measured(path: Path) -> tuple[int, str]:
    """Return size and hash of a file. Raises OSError."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
            size += len(block)
    return size, digest.hexdigest()


def check_file(directory: Path, saved: SavedFile) -> None:
    """Raise InvalidError("backup_damaged") unless the file is the one that was saved."""
    try:
        found = measured(directory / saved.name)
    except FileNotFoundError as error:
        raise InvalidError("backup_damaged") from error
    if found != (saved.size, saved.sha256):
        raise InvalidError("backup_damaged")


def put_copy(source: Path, target: Path, saved: SavedFile) -> None:
    """Make `target` a copy of `source`, all of it or nothing; one that is there already is left if it is the same.

    Raises: InvalidError("backup_damaged"), ConflictError("not_empty") if something else is at `target`, OSError.
    """
    if target.exists():
        if measured(target) != (saved.size, saved.sha256):
            raise ConflictError("not_empty")
        return
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = target.with_name(target.name + ".restoring")
    # Left there by an attempt that was ended.
    part.unlink(missing_ok=True)
    copy = NewFile(part)
    try:
        with source.open("rb") as file:
            while block := file.read(_BLOCK):
                copy.write(block)
        if copy.finish() != (saved.size, saved.sha256):
            raise InvalidError("backup_damaged")
        # Unlike renaming, this never puts itself in the place of what has come meanwhile.
        os.link(part, target)
    finally:
        copy.close()
        part.unlink(missing_ok=True)
    sync_directory(target.parent)


def sync_directory(path: Path) -> None:
    """Have the names in a directory on the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
