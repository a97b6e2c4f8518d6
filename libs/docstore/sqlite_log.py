"""What is in the write-ahead log: how long it is, and which pages were logged since it was looked at.

The file is longer than the log, for its blocks are kept: to cut it and let it grow again makes a commit wait for the
file system. What belongs to the log is told by the salts, which change whenever it begins anew.

Source: the SQLite database file format, section 4 (the write-ahead log).
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

_HEADER = struct.Struct(">8xI4x8s8x")
_FRAME = struct.Struct(">II8s")
_FRAME_BYTES = 24


class Log:
    """Reads the log of one file. Used by one thread at a time; to be closed after the last connection."""

    def __init__(self, path: Path) -> None:
        """Read the log of the file at `path`, once there is one."""
        self._path = path.with_name(path.name + "-wal")
        self._file = -1
        self._generation = b""
        self.bytes = 0
        self.frame_bytes = 0

    def close(self) -> None:
        """Close the descriptor. Idempotent."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def look(self) -> list[int]:
        """Return the pages that were logged since the last call, which is made after each commit.

        `bytes` is how long the log is then. Raises: OSError.
        """
        if self._file < 0:
            self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        head = os.pread(self._file, _HEADER.size, 0)
        if len(head) < _HEADER.size:
            self.bytes = 0
            return []
        page, generation = _HEADER.unpack(head)
        self.frame_bytes = _FRAME_BYTES + page
        if generation != self._generation:
            self._generation, self.bytes = generation, 0
        at = self.bytes or _HEADER.size
        logged: list[int] = []
        while len(frame := os.pread(self._file, _FRAME.size, at)) == _FRAME.size:
            number, commits, written = _FRAME.unpack(frame)
            if written != generation:
                break
            logged.append(number)
            at += self.frame_bytes
            if commits:
                # What comes after the last commit was rolled back, and will be overwritten.
                self.bytes = at
        return logged
