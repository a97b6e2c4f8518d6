"""A process that writes to a SQLite store while its disk fails, and prints what became of each write.

First "open PID", then one line for each: "ok N" or "no N REASON". After the first refusal, and 200 successes after the
last one, it ends.
With a limit in bytes as second argument no file may grow beyond it until writes have been refused for half a second.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
from pathlib import Path

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Body, Collection, Increment, Index, Insert
from libs.runtime.errors import SealpostError

NOTES = Collection("notes", (Index("by_number", ("number",)),))
COUNTS = Collection("counts")
COUNTERS = 4


class Child:
    """Writes, and knows when enough is seen."""

    def __init__(self, store: SqliteStore, limited: bool) -> None:
        """Begin."""
        self._store = store
        self._limited = limited
        self._number = 0
        self._refused = 0
        self._good = 0

    async def run(self) -> None:
        """Write documents and counters in turn until the disk has failed and is well again."""
        while not (self._refused and self._good >= 200):
            self._number += 1
            number = self._number
            body: Body = {"number": number, "raw": number.to_bytes(4, "big") * 1000}
            try:
                if number % 4:
                    await self._store.write(Insert(NOTES, f"k{number}", body))
                else:
                    await self._store.write(Increment(COUNTS, f"c{number // 4 % COUNTERS}", {"n": 1}))
            except SealpostError as error:
                say(f"no {number} {error.reason}")
                self._good, self._refused = 0, self._refused + 1
                await asyncio.sleep(0.02)
                if self._limited and self._refused > 100:
                    limit_files(-1)
            else:
                say(f"ok {number}")
                self._good += 1


def limit_files(size: int) -> None:
    """Limit the size of every file that this process writes; -1 for none."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def say(line: str) -> None:
    """Print a line at once, so that it is there when the process is not."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def main() -> None:
    """Arguments: the file, and perhaps the limit."""
    limit = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    async with SqliteStore.open(Path(sys.argv[1]), (NOTES, COUNTS)) as store:
        say(f"open {os.getpid()}")
        if limit:
            limit_files(limit)
        child = Child(store, bool(limit))
        await asyncio.gather(*(child.run() for _ in range(8)))


if __name__ == "__main__":
    asyncio.run(main())
