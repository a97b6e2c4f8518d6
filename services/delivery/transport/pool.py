"""Connections by destination: how many at once, and which are kept for the next mail.

A destination is a set of mail servers and what is demanded of them, so domains at one provider share both. A mail takes
a slot first; slots are given in the order of asking. A connection that was left in order is kept for some seconds, the
one used last is taken first, and it carries a bounded number of mails, since servers end long conversations rudely.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from services.delivery.transport import meters
from services.delivery.transport.session import Session
from services.delivery.transport.settings import Bounds


class NoSlotError(Exception):
    """All slots stayed taken."""


@dataclass(slots=True)
class _Destination:
    in_use: int = 0
    waiting: deque[asyncio.Future[None]] = field(default_factory=deque)
    idle: list[Session] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not (self.in_use or self.waiting or self.idle)


class Pool:
    """For one event loop."""

    def __init__(self, per_destination: int, bounds: Bounds, close_seconds: float) -> None:
        """Take the slots of each destination, and how long `aclose` waits for connections to end."""
        self._per_destination = per_destination
        self._bounds = bounds
        self._close_seconds = close_seconds
        self._destinations: dict[Hashable, _Destination] = {}
        self._idle: OrderedDict[Session, tuple[Hashable, asyncio.TimerHandle]] = OrderedDict()
        self._ending: set[Session] = set()
        self._closed = False

    def is_full(self, key: Hashable) -> bool:
        """Whether a mail would have to wait for a slot."""
        destination = self._destinations.get(key)
        return destination is not None and destination.in_use >= self._per_destination

    @asynccontextmanager
    async def slot(self, key: Hashable, seconds: float) -> AsyncIterator[None]:
        """Hold one of the slots of `key` for the length of the block.

        Raises:
            NoSlotError: none was free for `seconds`.
        """
        destination = self._destinations.setdefault(key, _Destination())
        if destination.in_use < self._per_destination:
            destination.in_use += 1
        else:
            await self._wait(key, destination, seconds)
        meters.CONNECTIONS.add(1)
        try:
            yield
        finally:
            meters.CONNECTIONS.add(-1)
            self._release(key, destination)

    def take(self, key: Hashable) -> Session | None:
        """Return a kept connection, the one used last, or None."""
        destination = self._destinations.get(key)
        while destination is not None and destination.idle:
            session = destination.idle[-1]
            self._forget(session)
            if session.is_usable:
                return session
            self._end(session, politely=False)
        return None

    def give(self, key: Hashable, session: Session) -> None:
        """Keep `session` for the next mail, or end it if it has carried enough, is out of order, or too many wait."""
        if self._closed or not session.is_usable or session.mails >= self._bounds.mails_per_connection:
            self._end(session, politely=session.is_usable)
            return
        while len(self._idle) >= self._bounds.idle_connections:
            oldest = next(iter(self._idle))
            self._forget(oldest)
            self._end(oldest, politely=True)
        timer = asyncio.get_running_loop().call_later(self._bounds.idle_seconds, self._expire, session)
        self._idle[session] = (key, timer)
        self._destinations.setdefault(key, _Destination()).idle.append(session)
        session.wire.on_lost = lambda: self._expire(session)
        meters.IDLE.set(len(self._idle))

    def drop(self, session: Session) -> None:
        """End a connection that is of no use any more."""
        self._end(session, politely=False)

    async def aclose(self) -> None:
        """End every kept connection, and wait for a moment until they are gone."""
        self._closed = True
        for session in list(self._idle):
            self._expire(session)
        if self._ending:
            await asyncio.wait([session.wire.closed for session in self._ending], timeout=self._close_seconds)
        for session in list(self._ending):
            session.abort()

    async def _wait(self, key: Hashable, destination: _Destination, seconds: float) -> None:
        waiter = asyncio.get_running_loop().create_future()
        destination.waiting.append(waiter)
        try:
            async with asyncio.timeout(seconds):
                await waiter
        except BaseException as error:
            if waiter.done() and not waiter.cancelled():
                # The slot came at the very moment of giving up: it goes to the next one.
                self._release(key, destination)
            else:
                if waiter in destination.waiting:
                    destination.waiting.remove(waiter)
                self._forget_empty(key, destination)
            if isinstance(error, TimeoutError):
                raise NoSlotError from None
            raise

    def _release(self, key: Hashable, destination: _Destination) -> None:
        while destination.waiting:
            waiter = destination.waiting.popleft()
            if not waiter.done():
                # Handed on without being free in between, so that nobody overtakes those that wait.
                waiter.set_result(None)
                return
        destination.in_use -= 1
        self._forget_empty(key, destination)

    def _expire(self, session: Session) -> None:
        if session in self._idle:
            self._forget(session)
            self._end(session, politely=session.is_usable)

    def _forget(self, session: Session) -> None:
        key, timer = self._idle.pop(session)
        timer.cancel()
        session.wire.on_lost = None
        destination = self._destinations[key]
        destination.idle.remove(session)
        self._forget_empty(key, destination)
        meters.IDLE.set(len(self._idle))

    def _forget_empty(self, key: Hashable, destination: _Destination) -> None:
        if destination.is_empty and self._destinations.get(key) is destination:
            del self._destinations[key]

    def _end(self, session: Session, *, politely: bool) -> None:
        if politely:
            session.close()
        else:
            session.abort()
        if not session.wire.closed.done():
            self._ending.add(session)
            session.wire.closed.add_done_callback(lambda _: self._ending.discard(session))
