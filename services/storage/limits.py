"""No change to a mailbox takes longer than OPERATION_SECONDS: others rely on it (recount.py, bodies.py).

Whoever changes a mailbox passes the gate before he looks whether it is erased, and is inside until he is done. So an
erasure that has left its tombstone waits for those who were inside then: whoever comes later sees the tombstone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from libs.runtime.errors import UnavailableError
from services.storage.domain import OPERATION_SECONDS


@asynccontextmanager
async def limited(seconds: float = OPERATION_SECONDS) -> AsyncIterator[None]:
    """Cut the block off after `seconds`. Raises: UnavailableError("timeout")."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise UnavailableError("timeout") from None


class Gate:
    """Who is changing mailboxes now. For one event loop."""

    def __init__(self) -> None:
        """Nobody is inside."""
        self._inside: set[asyncio.Future[None]] = set()

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Be inside while the block lasts."""
        mark: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._inside.add(mark)
        try:
            yield
        finally:
            self._inside.discard(mark)
            mark.set_result(None)

    async def passed(self, seconds: float) -> bool:
        """Wait until everybody who is inside now has left; False if somebody has not after `seconds`."""
        if not self._inside:
            return True
        _, staying = await asyncio.wait(list(self._inside), timeout=seconds)
        return not staying
