"""Admission by bytes: mail in memory is bounded for the process, and a part of that for each client.

Counting connections does not bound memory, for one holds four kilobytes and another fifty megabytes. So room is
reserved: at MAIL for the size that the client declares (RFC 1870), and as data arrives where it declared none or too
little. Whoever declares a size and finds no room waits for it for a while, a few kilobytes each, before he is told 452:
large mails come in bursts, and a sender that is turned away comes back in half an hour. Nobody waits for room while
holding some, so no two can wait for each other; what grows beyond its declaration is told 452 at once.

Declaring a size costs a client nothing, and so no client may hold more than its share of the room, except by a single
mail. Shares are kept under the caller's key only while something is held.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Admission:
    """The room of one process, in bytes. For one event loop; not thread-safe."""

    def __init__(self, capacity: int, share: int) -> None:
        """Take the room in all, and how much of it one client may hold in several mails."""
        self._capacity = capacity
        self._share = share
        self._held = 0
        self._clients: dict[str, tuple[int, int]] = {}
        # In order of arrival; the number of connections bounds it.
        self._queue: dict[asyncio.Future[bool], Callable[[], bool]] = {}

    @property
    def held(self) -> int:
        """How many bytes are reserved."""
        return self._held

    def open(self, client: str) -> Reservation:
        """Return a reservation of nothing yet; `client` is the key of its share, "" for one without a limit."""
        return Reservation(self, client)

    def change(self, client: str, before: int, after: int) -> bool:
        """Let a reservation of `client` go from `before` to `after` bytes; False if there is no room for it."""
        held = self._held + after - before
        if client:
            bytes_held, mails = self._clients.get(client, (0, 0))
            bytes_held += after - before
            mails += (after > 0) - (before > 0)
            if after > before and mails > 1 and bytes_held > self._share:
                return False
        if after > before and held > self._capacity:
            return False
        self._held = held
        if client:
            if mails:
                self._clients[client] = (bytes_held, mails)
            else:
                self._clients.pop(client, None)
        if after < before:
            self._serve()
        return True

    async def wait(self, attempt: Callable[[], bool], seconds: float) -> bool:
        """Call `attempt` whenever room is given back, first come first served; return whether it succeeded in time."""
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._queue[turn] = attempt
        try:
            async with asyncio.timeout(seconds):
                return await turn
        except TimeoutError:
            return turn.done() and not turn.cancelled() and turn.result()
        finally:
            self._queue.pop(turn, None)

    def turn_away(self) -> None:
        """Let nobody wait any longer: the process is closing."""
        for turn in self._queue:
            if not turn.done():
                turn.set_result(False)

    def _serve(self) -> None:
        for turn, attempt in list(self._queue.items()):
            if not turn.done() and attempt():
                turn.set_result(True)


class Reservation:
    """What one mail holds; `release` gives it back, and must be called on every way out."""

    __slots__ = ("_admission", "_client", "size")

    def __init__(self, admission: Admission, client: str) -> None:
        """Hold nothing yet."""
        self._admission = admission
        self._client = client
        self.size = 0

    def reserve(self, size: int) -> bool:
        """Hold at least `size` bytes in all; False, and nothing changed, if there is no room."""
        if size <= self.size:
            return True
        if not self._admission.change(self._client, self.size, size):
            return False
        self.size = size
        return True

    async def reserve_within(self, size: int, seconds: float) -> bool:
        """As `reserve`, but wait up to `seconds` for room if nothing is held yet."""
        if self.reserve(size):
            return True
        if self.size or seconds <= 0:
            return False
        return await self._admission.wait(lambda: self.reserve(size), seconds)

    def release(self) -> None:
        """Give everything back. Idempotent."""
        if self.size:
            self._admission.change(self._client, self.size, 0)
            self.size = 0
