"""Brings mails from the queue to their recipients; see the modules beside this one for each part of it.

Nothing in memory matters: whatever is held is also in the store under a lease. A turn, every second or when something
wakes it, renews leases, puts off what waits in line for a destination that has gone, fetches what was put off for one
that is free, and takes in what is due. While there is more of that, the next turn comes at once.
"""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

from libs.runtime.clock import unix_seconds
from libs.runtime.errors import SealpostError
from libs.telemetry.logs import get_logger
from services.delivery.queue.entry import Entry
from services.delivery.worker.attempt import Attempt
from services.delivery.worker.desk import Desk, Held, Room
from services.delivery.worker.holding import LostError
from services.delivery.worker.intake import Intake
from services.delivery.worker.lanes import Lane, Lanes
from services.delivery.worker.names import Names
from services.delivery.worker.parts import Parts

_STALE_SECONDS = 5.0
_AGAIN_SECONDS = 60
_AT_ONCE = 0.01

_log = get_logger("worker")


class Worker:
    """The worker of one process."""

    def __init__(self, parts: Parts, room: Room, poll_seconds: float) -> None:
        """Take what attempts work with, and the bounds."""
        self._parts = parts
        self._poll_seconds = poll_seconds
        self._wake = asyncio.Event()
        self._stopped = False
        self._attempts: set[Attempt] = set()
        self.desk = Desk(parts.lanes, room, parts.clock, self._look, self.wake)
        self._intake = Intake(parts, self.desk, Names(parts.queue.codec.hashes))

    @property
    def lease(self) -> int:
        """For how many seconds a mail is held."""
        return round(self._parts.lease)

    @property
    def lanes(self) -> Lanes:
        """The destinations that there is something to do for."""
        return self._parts.lanes

    def wake(self) -> None:
        """Tell that something may be due."""
        self._wake.set()

    def put_off_for(self, domain: str) -> int:
        """Return for how many seconds a mail for a destination that takes no more now is put off, else 0."""
        lanes = self._parts.lanes
        return 0 if not domain or lanes.accepts(domain) else lanes.put_off_for(lanes.lane(domain))

    async def run(self) -> None:
        """Work until cancelled."""
        while not self._stopped:
            try:
                more = await self.turn()
            except SealpostError as error:
                _log.warning("turn_failed", error=error)
                more = False
            if more:
                await asyncio.sleep(_AT_ONCE)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(self._poll_seconds * random.uniform(0.75, 1.0)):
                    await self._wake.wait()
            self._wake.clear()

    async def turn(self) -> bool:
        """Do what is to be done now; tell whether there is more. Raises: UnavailableError."""
        await self._renew()
        dead, open_ = self._parts.lanes.tick()
        for lane in dead:
            await self._spill(lane)
        self.desk.pump()
        for lane in open_:
            await self._intake.fetch(lane)
        return await self._intake.take_due()

    async def drain(self, seconds: float) -> None:
        """Finish what is under way, give back what is not begun."""
        self._stopped = True
        self._wake.set()
        for attempt in self._attempts:
            attempt.stop()
        left = [entry for entry in await self.desk.drain(seconds) if not entry.lost]
        try:
            if left:
                await self._parts.queue.release(left, [unix_seconds(self._parts.clock)] * len(left), None)
        except SealpostError as error:
            _log.warning("mails_not_released", count=len(left), error=error)

    async def _look(self, held: Held) -> None:
        entry, parts = held.entry, self._parts
        attempt = Attempt(parts, entry, held.lane, lambda: self.desk.vacate(held))
        self._attempts.add(attempt)
        try:
            waited = parts.clock.monotonic() - held.since
            if entry.lost or (waited > _STALE_SECONDS and not await parts.queue.check(entry)):
                return
            await attempt.run()
        except LostError:
            _log.info("mail_lost")
        except SealpostError as error:
            _log.warning("attempt_failed", error=error)
            await self._retreat(entry, attempt)
        except Exception as error:
            # The lease runs out, longer each time, and it is tried again: the fault may be in this one mail only.
            _log.error("attempt_broken", error=error)
        finally:
            self._attempts.discard(attempt)

    async def _retreat(self, entry: Entry, attempt: Attempt) -> None:
        """Give back a mail that could not be begun. What has been sent is left to the lease: somebody may come back."""
        if attempt.sent or entry.lost:
            return
        try:
            await self._parts.queue.release([entry], [unix_seconds(self._parts.clock) + _AGAIN_SECONDS], None)
        except SealpostError as error:
            _log.warning("mail_not_released", error=error)

    async def _renew(self) -> None:
        """Renew leases of which half is over."""
        now = unix_seconds(self._parts.clock)
        old = [one for one in self.desk.entries() if not one.lost and one.leased_until - now < self._parts.lease / 2]
        for start in range(0, len(old), 200):
            await self._parts.queue.renew(old[start : start + 200], now + self.lease)

    async def _spill(self, lane: Lane) -> None:
        """Put off what waits in line for a destination that does not answer."""
        lanes, now = self._parts.lanes, unix_seconds(self._parts.clock)
        entries = [one for one in lane.waiting if not one.lost]
        lane.waiting.clear()
        due = [now + lanes.put_off_for(lane) for _ in entries]
        for entry in entries:
            self.desk.drop(entry)
        await self._parts.queue.release(entries, due, self._parts.queue.codec.hashes.destination(lane.domain))
