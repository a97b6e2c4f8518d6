"""The rest of the world of the outward ledger test: servers that write down when each mail came, and their faults.

steady.test      takes every mail, and takes its time to say so: whoever dies meanwhile will not have heard
forgetful.test   takes every mail, and of each third one breaks the connection instead of saying so
sleepy.test      can be away: its port refuses connections until it is back
refusing.test    knows nobody
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support.outside import Outside, outside
from tests.support.outward_mail import FORGETFUL, REFUSING, SLEEPY, STEADY
from tests.support.remote_mta import RemoteMta, serve_mta
from tests.support.remote_steps import CONTENT, DROP, RCPT, Received, Step, slow

_SLEEPY_ADDRESS = "127.0.0.99"
_LOST_EVERY = 3
_REPLY_SECONDS = 0.3


@dataclass(frozen=True)
class Arrival:
    """A mail that a server has taken: when (monotonic seconds), and whether the reply got lost."""

    at: float
    lost: bool
    mail: Received


class Watch:
    """Notes the arrivals at a server."""

    def __init__(
        self,
        mta: RemoteMta,
        says: Callable[[int], Step | None] = lambda _: None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Watch from now on; `says` tells what is done instead of answering mail number so and so, from 0."""
        self._mta = mta
        self._says = says
        self._now = now
        self._notes: list[tuple[float, bool]] = []
        mta.says(CONTENT, self._content)

    def arrivals(self) -> list[Arrival]:
        """Return what has come so far."""
        # A note is made just before its mail is kept; by then the one may be there and not the other.
        return [Arrival(*note, mail) for note, mail in zip(self._notes, self._mta.mails, strict=False)]

    def _content(self, _: str) -> Step | None:
        step = self._says(len(self._notes))
        self._notes.append((self._now(), step is DROP))
        return step


class Sleepy:
    """A server that comes and goes."""

    def __init__(self, port: int) -> None:
        """Stay away until `wake`."""
        self._port = port
        self._watches: list[Watch] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None
        self._thread: threading.Thread | None = None

    def arrivals(self) -> list[Arrival]:
        """Return what has come so far."""
        return [one for watch in self._watches for one in watch.arrivals()]

    def wake(self) -> None:
        """Take mail from now on."""
        ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve(ready)), daemon=True)
        self._thread.start()
        assert ready.wait(10), "the server does not listen"

    def sleep(self) -> None:
        """Break all connections and refuse new ones."""
        if self._thread is not None and self._loop is not None and self._over is not None:
            self._loop.call_soon_threadsafe(self._over.set)
            self._thread.join(20)
        self._thread = self._loop = self._over = None

    async def _serve(self, ready: threading.Event) -> None:
        async with serve_mta(_SLEEPY_ADDRESS, self._port, name=f"mx.{SLEEPY}") as mta:
            self._watches.append(Watch(mta))
            self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
            ready.set()
            await self._over.wait()


@dataclass
class OutwardWorld:
    """All of it; `sleepy` is away until it is woken."""

    outside: Outside
    sleepy: Sleepy
    watches: dict[str, Watch] = field(default_factory=dict)

    def arrivals(self) -> list[Arrival]:
        """Return what has come so far, everywhere, in the order of its coming."""
        found = [one for watch in self.watches.values() for one in watch.arrivals()]
        return sorted([*found, *self.sleepy.arrivals()], key=lambda one: one.at)


@contextmanager
def outward_world() -> Iterator[OutwardWorld]:
    """Run the world for the time of the block."""
    with outside(STEADY, FORGETFUL, REFUSING) as found:
        found.publish(SLEEPY, "MX", f"10 mx.{SLEEPY}.")
        found.publish(f"mx.{SLEEPY}", "A", _SLEEPY_ADDRESS)
        # This also puts the address on the sender's list of whom not to write to.
        found.mtas[REFUSING].says(RCPT, "550 5.1.1 nobody of that name here")
        world = OutwardWorld(found, Sleepy(found.port))
        world.watches = {
            STEADY: Watch(found.mtas[STEADY], lambda _: slow(_REPLY_SECONDS)),
            FORGETFUL: Watch(found.mtas[FORGETFUL], lambda number: DROP if number % _LOST_EVERY == 1 else None),
            REFUSING: Watch(found.mtas[REFUSING]),
        }
        try:
            yield world
        finally:
            world.sleepy.sleep()
