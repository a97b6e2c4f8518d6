"""A process that inserts documents as fast as it can and prints the number of each that is acknowledged."""

from __future__ import annotations

import asyncio
import sys

from libs.docstore.store import Collection, Event, Insert
from tests.support.docstore import Engine

NOTES = Collection("notes")
_AT_ONCE = 20


async def main() -> None:
    """Write until killed; arguments: engine, URL, database."""
    store = await Engine(sys.argv[1], sys.argv[2], sys.argv[3]).open((NOTES,))

    async def write(first: int) -> None:
        for number in range(first, 1_000_000, _AT_ONCE):
            body = {"raw": number.to_bytes(4, "big") * 500}
            await store.write(Insert(NOTES, f"k{number}", body, (Event(f"e{number}", "mail.stored.v1", b""),)))
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()

    await asyncio.gather(*(write(first) for first in range(_AT_ONCE)))


if __name__ == "__main__":
    asyncio.run(main())
