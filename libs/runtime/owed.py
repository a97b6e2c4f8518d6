"""Work that is owed by many and done once for all of them.

Each who owes counts the debt up; each who wants it paid waits until a payment is through that began after his own
debt. Payments do not overlap: while one is under way the next gathers, and whoever is first in turn pays for all that
came meanwhile. A payment that fails has paid nothing, and the next in turn tries himself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


class Owed:
    """A debt of one process."""

    def __init__(self, work: Callable[[], Awaitable[object]]) -> None:
        """Pay by `work`. It is owed from the beginning, for a process before this one may have died owing it."""
        self._work = work
        self._debts = 1
        self._paid = 0
        self._paying = asyncio.Lock()

    def owe(self) -> None:
        """Owe it, for what has just been done or is about to be."""
        self._debts += 1

    async def pay(self) -> None:
        """Return when all that was owed before is paid. Raises: what `work` raises; it is owed on then."""
        wanted = self._debts
        if self._paid >= wanted:
            return
        async with self._paying:
            if self._paid >= wanted:
                return
            covered = self._debts
            await self._work()
            self._paid = covered
