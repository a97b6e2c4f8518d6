"""The transport: brings a mail to the servers of a domain, and tells for each recipient what came of it.

One mail: find the destination (destinations), take a slot of it (pool), use a connection that another mail has left
there, else open one: to the first server that speaks to us and meets what TLS must prove (opening), and hand over the
mail (session). A connection that breaks before anything can have been delivered is replaced by the next one, kept or
new. A destination none of whose servers can be talked to is left alone for a while (breaker), and mail to it comes back
at once meanwhile: that is what keeps one dead destination from holding up the others.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass

from libs.runtime.clock import Clock
from services.delivery.domain.model import Outcome, Outgoing
from services.delivery.transport import meters
from services.delivery.transport.breaker import Breaker
from services.delivery.transport.destinations import Destination, Destinations, worse
from services.delivery.transport.opening import Opener, OpenError, Target
from services.delivery.transport.parcels import Progress
from services.delivery.transport.pool import NoSlotError, Pool
from services.delivery.transport.replies import temporary
from services.delivery.transport.routes import Route, UnroutableError
from services.delivery.transport.session import Session, SessionLostError
from services.delivery.transport.settings import Tuning

_RESTING = temporary("4.4.1", "destination has not answered lately")
_CROWDED = temporary("4.4.5", "too many mails for this destination at once")
_NO_SERVER = temporary("4.4.1", "no mail server of the domain can be reached")


@dataclass(frozen=True, slots=True)
class Parts:
    """What a transport is made of; `owned` closes the lot, connections first."""

    destinations: Destinations
    opener: Opener
    pool: Pool
    owned: AsyncExitStack


class MxTransport:
    """A services.delivery.domain.model.Transport; for one event loop. `aclose` when nothing is being sent any more."""

    def __init__(self, parts: Parts, clock: Clock, smarthost: Route | None, tuning: Tuning) -> None:
        """Take the parts; with a `smarthost` everything goes there."""
        self._destinations, self._opener, self._pool, self._owned = (
            parts.destinations,
            parts.opener,
            parts.pool,
            parts.owned,
        )
        self._smarthost = Destination(smarthost) if smarthost is not None else None
        self._patience, self._bounds = tuning.patience, tuning.bounds
        first, most, capacity = self._bounds.pause_first, self._bounds.pause_most, self._bounds.remembered
        self._resting: Breaker[Destination] = Breaker(clock, first=first, most=most, capacity=capacity)
        self._failing: Breaker[tuple[str, int]] = Breaker(clock, first=first, most=most, capacity=capacity)
        self._last: OrderedDict[str, Destination] = OrderedDict()

    async def aclose(self) -> None:
        """End kept connections and everything else that this holds."""
        await self._owned.aclose()

    async def send(self, outgoing: Outgoing) -> Sequence[Outcome]:
        """See Transport. Takes Patience.attempt seconds at most."""
        progress = Progress(outgoing)
        with meters.SECONDS.time():
            try:
                async with asyncio.timeout(self._patience.attempt):
                    if not progress.is_done:
                        await self._send(outgoing.domain, progress)
            except TimeoutError:
                # Who was not reached by now has no outcome, and gets that of a mail given up for this time.
                pass
        outcomes = progress.outcomes()
        for outcome in outcomes:
            meters.OUTCOMES.inc(outcome=outcome.result.value)
        return outcomes

    def busy(self, domain: str) -> bool:
        """See Transport. False for a domain that was not sent to yet."""
        destination = self._smarthost or self._last.get(domain.lower())
        return destination is not None and (self._resting.is_open(destination) or self._pool.is_full(destination))

    async def _send(self, domain: str, progress: Progress) -> None:
        try:
            destination = self._smarthost or await self._destinations.find(domain)
        except UnroutableError as error:
            return progress.settle_rest(error.outcome)
        self._remember(domain.lower(), destination)
        if self._resting.is_open(destination):
            return progress.settle_rest(_RESTING)
        try:
            async with self._pool.slot(destination, self._patience.slot):
                await self._deliver(destination, progress)
        except NoSlotError:
            progress.settle_rest(_CROWDED)

    async def _deliver(self, destination: Destination, progress: Progress) -> None:
        while (kept := self._pool.take(destination)) is not None:
            meters.REUSED.inc()
            if await self._use(destination, kept, progress) is None:
                return
        # Asked again, for it may have stopped answering while this mail waited for its slot.
        if self._resting.enter(destination):
            async with aclosing(self._destinations.targets(destination, self._failing)) as targets:
                await self._try(destination, targets, progress)
        progress.settle_rest(_RESTING)

    async def _try(
        self, destination: Destination, targets: AsyncIterator[Target | Outcome], progress: Progress
    ) -> None:
        """Go through `targets` until one has taken the mail; settle everybody unless nothing could be tried."""
        failure: Outcome | None = None
        connects, answered = 0, False
        async for target in targets:
            if isinstance(target, Outcome):
                failure = worse(failure, target)
                continue
            if connects == self._bounds.connects_per_attempt:
                break
            connects += 1
            session = await self._open(target)
            if isinstance(session, Outcome):
                failure = worse(failure, session)
                continue
            answered = True
            self._resting.succeed(destination)
            lost = await self._use(destination, session, progress)
            if lost is None:
                return
            failure = worse(failure, lost)
        if connects and not answered:
            self._resting.fail(destination)
        progress.settle_rest(failure or _NO_SERVER)

    async def _open(self, target: Target) -> Session | Outcome:
        try:
            session = await self._opener.open(target)
        except OpenError as error:
            meters.CONNECTS.inc(outcome="refused" if error.reached else "failed")
            if not error.reached:
                self._failing.fail((target.address, target.port))
            return error.outcome
        meters.CONNECTS.inc(outcome="opened")
        self._failing.succeed((target.address, target.port))
        return session

    async def _use(self, destination: Destination, session: Session, progress: Progress) -> Outcome | None:
        """Hand over what is left; return what to say if the connection broke before the end, None if it did not."""
        try:
            for places, parcel in progress.parcels(self._bounds.recipients_per_transaction):
                progress.settle(places, await session.deliver(parcel), session.protection)
        except SessionLostError as error:
            self._pool.drop(session)
            return error.outcome
        except BaseException:
            self._pool.drop(session)
            raise
        self._pool.give(destination, session)
        return None

    def _remember(self, domain: str, destination: Destination) -> None:
        self._last[domain] = destination
        self._last.move_to_end(domain)
        if len(self._last) > self._bounds.remembered:
            self._last.popitem(last=False)
