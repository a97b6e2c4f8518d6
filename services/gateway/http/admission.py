"""Admission by bytes: how much memory the bodies of mails may take that are being handed out.

Who does not fit waits his turn for some seconds, first come, first served, so that a large one is not passed by small
ones for ever; then he is told to come again. A weight above the whole capacity counts as all of it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libs.runtime.errors import UnavailableError

_WAIT_SECONDS = 10.0


class Held:
    """What one holds; it may become less on the way."""

    def __init__(self, admission: Admission, weight: int) -> None:
        """Made by Admission.hold."""
        self._admission = admission
        self.weight = weight

    def shrink(self, weight: int) -> None:
        """Hold no more than `weight` from now on."""
        given_back = self.weight - min(self.weight, max(0, weight))
        self.weight -= given_back
        self._admission.give_back(given_back)


class Admission:
    """The room of one process, in bytes. For one event loop; not thread-safe."""

    def __init__(self, capacity: int, wait_seconds: float = _WAIT_SECONDS) -> None:
        """Let bodies of `capacity` bytes in at once, and the next one wait for at most `wait_seconds`."""
        self._capacity = capacity
        self._free = capacity
        self._wait_seconds = wait_seconds
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def held(self) -> int:
        """How many bytes are taken."""
        return self._capacity - self._free

    @asynccontextmanager
    async def hold(self, weight: int) -> AsyncIterator[Held]:
        """Hold `weight` bytes for the length of the block. Raises UnavailableError("busy") if there is no room."""
        held = Held(self, min(weight, self._capacity))
        await self._take(held.weight)
        try:
            yield held
        finally:
            held.shrink(0)

    def give_back(self, weight: int) -> None:
        """Make room for those who wait."""
        self._free += weight
        while self._waiting and self._waiting[0][0] <= self._free:
            wanted, granted = self._waiting.popleft()
            self._free -= wanted
            granted.set_result(None)

    async def _take(self, weight: int) -> None:
        if not self._waiting and weight <= self._free:
            self._free -= weight
            return
        entry = (weight, asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        try:
            async with asyncio.timeout(self._wait_seconds):
                # Shielded: the end of waiting must not look like the end of the grant.
                await asyncio.shield(entry[1])
        except BaseException as error:
            if entry in self._waiting:
                self._waiting.remove(entry)
                # The one behind may fit.
                self.give_back(0)
            else:
                self.give_back(weight)
            if isinstance(error, TimeoutError):
                raise UnavailableError("busy") from None
            raise
