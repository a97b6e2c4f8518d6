"""Nothing deleted stays in the gaps of SQLite's pages.

`secure_delete` overwrites cells and pages that are deleted. It does not overwrite what SQLite leaves behind where it
distributes living cells anew among neighbouring pages: a copy of each cell that moved stays in the gap between the
cells' pointers and their contents, and outlives the cell. So, when something was deleted, the gaps of all pages that
were written since the last time are filled with zeros, in the file itself.

SQLite reads no gap, so a file in which some are filled and others are not is as good as before, whenever the power
fails. What must not happen is that a page changes between being looked at and being filled: only pages are touched that
are not in the write-ahead log, hence written by nobody, for every commit says which pages it logged (`note`). The
connection that writes may still have the old page in its cache and write it again; then it is in the log, and is looked
at once more. Which pages are those of B-trees is told by the pointer map, which every file with `auto_vacuum` has.

Source: the SQLite database file format, sections 1.5 (pages of B-trees), 1.8 (pointer map).
"""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path

_HEADER = struct.Struct(">16xHxxB31xI")
_BTREE = struct.Struct(">BxxHH")
_INTERIOR, _LEAVES = (2, 5), (10, 13)
_MAP_ENTRY_BYTES = 5
_ROOT, _BELOW_ROOT = 1, 5
_LOCK_BYTE = 1 << 30

_CLEAN, _IN_FILE, _IN_LOG = 0, 1, 2


class Scrubber:
    """Knows which pages were written since their gaps were filled. Used by one thread at a time.

    Its descriptor is to be closed after the last connection: that drops the locks of the whole process.
    """

    def __init__(self, path: Path) -> None:
        """Open the file, of which nothing is known yet. Raises: OSError; ValueError for a file without pointer map."""
        self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        size, reserved, root = _HEADER.unpack(os.pread(self._file, _HEADER.size, 0))
        self._size = 65536 if size == 1 else size
        self._usable = self._size - reserved
        if not root:
            self.close()
            raise ValueError("the file has no pointer map")
        self._pages = bytearray()
        self._wrote = False
        self.know_nothing()

    def know_nothing(self) -> None:
        """Take every page for written, as it is after a failure and in a file that another process has written."""
        count = os.fstat(self._file).st_size // self._size
        # Numbers begin with 1, and the first page tells what tables there are; where they may be in the log they are.
        self._pages = bytearray(2) + bytearray((_IN_LOG,)) * max(0, count - 1)

    def close(self) -> None:
        """Close the descriptor. Idempotent."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def note(self, pages: Sequence[int]) -> None:
        """Note that `pages` were logged; said after each commit, before anything else is written."""
        if pages:
            self._pages += bytes(max(0, max(pages) + 1 - len(self._pages)))
            for number in pages:
                self._pages[number] = _IN_LOG
            self._pages[1] = _CLEAN

    def emptied(self) -> None:
        """Note that the log was moved into the file as a whole, so that the file has the last state of every page."""
        self._pages = self._pages.replace(bytes((_IN_LOG,)), bytes((_IN_FILE,)))

    @property
    def left(self) -> int:
        """How many pages could be looked at now."""
        return self._pages.count(_IN_FILE)

    def scrub(self, most: int) -> int:
        """Fill the gaps of at most `most` pages; return how many are left that could be looked at now.

        Raises: OSError.
        """
        wanted: list[int] = []
        while len(wanted) < most and (number := self._pages.find(_IN_FILE, wanted[-1] + 1 if wanted else 0)) > 0:
            wanted.append(number)
        maps: dict[int, bytes] = {}
        for number in wanted:
            if self._is_btree(number, maps):
                self._fill(number)
            self._pages[number] = _CLEAN
        return self.left

    def sync(self) -> None:
        """Make what was filled durable. Raises: OSError."""
        if self._wrote:
            os.fdatasync(self._file)
            self._wrote = False

    def _is_btree(self, number: int, maps: dict[int, bytes]) -> bool:
        among = self._usable // _MAP_ENTRY_BYTES + 1
        page = (number - 2) // among * among + 2
        if page == _LOCK_BYTE // self._size + 1:
            page += 1
        if number <= page:
            return False
        if page not in maps:
            maps.clear()
            maps[page] = os.pread(self._file, self._size, (page - 1) * self._size)
        at = _MAP_ENTRY_BYTES * (number - page - 1)
        return maps[page][at : at + 1] in (bytes((_ROOT,)), bytes((_BELOW_ROOT,)))

    def _fill(self, number: int) -> None:
        at = (number - 1) * self._size
        page = os.pread(self._file, self._size, at)
        gap = unallocated(page, self._usable)
        if page.count(0, gap.start, gap.stop) < len(gap):
            os.pwrite(self._file, bytes(len(gap)), at + gap.start)
            self._wrote = True


def unallocated(page: bytes, usable: int) -> range:
    """Return where in a page of a B-tree nothing is: nowhere, if it is none. In: its bytes; how many SQLite uses."""
    if len(page) < _BTREE.size:
        return range(0)
    kind, cells, content = _BTREE.unpack_from(page)
    if kind not in _INTERIOR + _LEAVES:
        return range(0)
    pointers = (8 if kind in _LEAVES else 12) + 2 * cells
    content = content or 65536
    return range(pointers, content) if pointers <= content <= usable else range(0)
