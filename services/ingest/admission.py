"""Admission by bytes: mail in memory is bounded for the process, and a part of that for each client.

Counting connections does not bound memory, for one holds four kilobytes and another fifty megabytes. So room is
reserved: at MAIL for the size that the client declares (RFC 1870), and as data arrives where it declared none or too
little. Whoever finds no room is told 452 and comes again later; nobody waits for room while holding some, so no two
can wait for each other.

Declaring a size costs a client nothing, and so no client may hold more than its share of the room, except by a single
mail. Shares are kept under the caller's key only while something is held.
"""

from __future__ import annotations


class Admission:
    """The room of one process, in bytes. For one event loop; not thread-safe."""

    def __init__(self, capacity: int, share: int) -> None:
        """Take the room in all, and how much of it one client may hold in several mails."""
        self._capacity = capacity
        self._share = share
        self._held = 0
        self._clients: dict[str, tuple[int, int]] = {}

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
        return True


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

    def release(self) -> None:
        """Give everything back. Idempotent."""
        if self.size:
            self._admission.change(self._client, self.size, 0)
            self.size = 0
