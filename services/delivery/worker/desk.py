"""The mails that are in memory: who is let in, who goes next, who is under way.

A mail that has just been submitted comes in at once if there is room, and so does not have to be read again; a mail
from the store comes in when it is due and there is room. Both are held under a lease, which is renewed while they wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from libs.runtime.clock import Clock
from services.delivery.domain.addresses import domain_key
from services.delivery.domain.queue import pending
from services.delivery.queue.entry import Entry
from services.delivery.worker import meters
from services.delivery.worker.lanes import Lane, Lanes


@dataclass(frozen=True, slots=True)
class Room:
    """How many mails may be under way, and how many and how large they may be that are in memory."""

    active: int
    mails: int
    total_bytes: int


@dataclass(slots=True)
class Held:
    """A mail in memory, its lane if all of it goes to one destination, and since when it is here."""

    entry: Entry
    lane: Lane | None
    since: float
    size: int


Run = Callable[[Held], Coroutine[Any, Any, None]]


class Desk:
    """Holds mails until they have been looked at."""

    def __init__(self, lanes: Lanes, room: Room, clock: Clock, run: Run, hungry: Callable[[], None]) -> None:
        """Take what looks at a mail: `run`, which never raises; and what is told when there is room for more."""
        self._hungry = hungry
        self._lanes = lanes
        self._room = room
        self._clock = clock
        self._run = run
        self._held: dict[str, Held] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        # Those of no lane.
        self._mixed: list[Held] = []
        self._expected = 0
        self._bytes = 0
        self._closed = False

    def admit(self, domain: str, size: int) -> bool:
        """Keep room for a mail of `size` bytes, all of it to `domain` ("" if to several); tell whether there is any."""
        full = len(self._held) + self._expected >= self._room.mails
        if self._closed or full or (self._bytes and self._bytes + size > self._room.total_bytes):
            return False
        if domain and not self._lanes.accepts(domain):
            return False
        self._expected += 1
        self._bytes += size
        if domain:
            self._lanes.lane(domain).expected += 1
        return True

    def dismiss(self, domain: str, size: int) -> None:
        """Give that room back."""
        self._expected -= 1
        self._bytes -= size
        if domain:
            self._lanes.lane(domain).expected -= 1

    def take(self, entry: Entry, domain: str, size: int) -> None:
        """Hold a mail that was admitted and is ours."""
        self._expected -= 1
        lane = None
        held = Held(entry, None, self._clock.monotonic(), size)
        self._held[entry.mail.mail_id] = held
        if domain:
            lane = held.lane = self._lanes.lane(domain)
            lane.expected -= 1
            self._lanes.enter(lane, entry)
        else:
            self._mixed.append(held)
        meters.HELD.set(len(self._held))
        self.pump()

    def has(self, mail_id: str) -> bool:
        """Tell whether a mail is in memory."""
        return mail_id in self._held

    def hasten(self, mail_id: str) -> None:
        """Have a mail that was cancelled looked at next, wherever it waits."""
        held = self._held.get(mail_id)
        if held is None:
            return
        held.entry.cancelled = True
        if held.lane is not None and held.entry in held.lane.waiting:
            held.lane.waiting.remove(held.entry)
            held.lane = None
            self._mixed.append(held)
        self.pump()

    def lose(self, account_id: str) -> None:
        """Have the mails of an account be nobody's: what is under way begins nothing more, what waits goes nowhere."""
        for held in self._held.values():
            if held.entry.mail.order.account_id == account_id:
                held.entry.lost = True

    def entries(self) -> list[Entry]:
        """Return all mails in memory."""
        return [held.entry for held in self._held.values()]

    @property
    def free(self) -> int:
        """For how many more mails there is room."""
        return 0 if self._closed else self._room.mails - len(self._held) - self._expected

    def pump(self) -> None:
        """Start what can be started."""
        while not self._closed and len(self._tasks) < self._room.active:
            held = self._next()
            if held is None:
                return
            task = asyncio.get_running_loop().create_task(self._look(held))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            meters.ACTIVE.set(len(self._tasks))

    def vacate(self, held: Held) -> None:
        """Give back a mail's slot at its destination, to which nothing more of it goes now, and start the next."""
        lane, held.lane = held.lane, None
        if lane is None:
            return
        self._lanes.leave(lane)
        if self._lanes.wants_more(lane):
            self._hungry()
        asyncio.get_running_loop().call_soon(self.pump)

    def drop(self, entry: Entry) -> None:
        """Forget a mail that waited in line and does no more."""
        held = self._held.pop(entry.mail.mail_id, None)
        if held is not None:
            self._bytes -= held.size

    async def drain(self, seconds: float) -> list[Entry]:
        """Start nothing more, wait for what is under way, and return what was not begun."""
        self._closed = True
        tasks = set(self._tasks)
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=seconds)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        left = [held.entry for held in self._held.values()]
        self._held.clear()
        return left

    def _next(self) -> Held | None:
        if self._mixed:
            return self._mixed.pop(0)
        found = self._lanes.next()
        if found is None:
            return None
        return self._held[found[1].mail.mail_id]

    async def _look(self, held: Held) -> None:
        try:
            await self._run(held)
        finally:
            self.drop(held.entry)
            self.vacate(held)
            asyncio.get_running_loop().call_soon(self._after)

    def _after(self) -> None:
        meters.HELD.set(len(self._held))
        meters.ACTIVE.set(len(self._tasks))
        self.pump()


def only_domain(entries: Sequence[str]) -> str:
    """Return the domain of these addresses, "" if they have several."""
    domains = {domain_key(address) for address in entries}
    return domains.pop() if len(domains) == 1 else ""


def destination(entry: Entry) -> str:
    """Return the domain that all of a mail's pending recipients are at, "" if they are at several, or none."""
    return only_domain([entry.mail.recipients[index].address for index in pending(entry.mail)])
