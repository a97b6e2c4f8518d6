"""Looks for byte strings in files, in bounded memory: what was deleted must not be there, however it is looked at.

The files are those of the engine in this very process, and a process that closes any descriptor of a file drops all of
its locks on it (POSIX, fcntl), those of SQLite too; another process would then take the write-ahead log away under us.
So what was opened once stays open: one descriptor for each file, as long as the process lives.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_BLOCK = 1 << 20
_OPEN: dict[tuple[int, int], int] = {}
_LOCK = threading.Lock()


@dataclass(frozen=True)
class Traces:
    """How often each needle was found, and in how many bytes."""

    found: tuple[int, ...]
    searched_bytes: int


def search(files: Iterable[Path], needles: tuple[bytes, ...]) -> Traces:
    """Count `needles` in `files`; a file that is not there has none. Blocks the calling thread while it reads."""
    found, searched = [0] * len(needles), 0
    overlap = max(map(len, needles), default=1) - 1
    for path in files:
        try:
            descriptor = _opened(path)
        except FileNotFoundError:
            continue
        rest, at = b"", 0
        while block := os.pread(descriptor, _BLOCK, at):
            at += len(block)
            window = rest + block
            for position, needle in enumerate(needles):
                # What lies wholly in the rest was counted with the block before.
                found[position] += window.count(needle) - rest.count(needle)
            rest = window[len(window) - overlap :] if overlap else b""
        searched += at
    return Traces(tuple(found), searched)


def _opened(path: Path) -> int:
    """Return a descriptor of the file that is at `path` now. Raises: FileNotFoundError."""
    there = path.stat()
    file = (there.st_dev, there.st_ino)
    with _LOCK:
        if file not in _OPEN:
            _OPEN[file] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        return _OPEN[file]
