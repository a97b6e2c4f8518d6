"""One look at one mail: what is due is tried, and how it went is written down.

    1. who is not to be tried    cancelled, campaign stopped, suppressed, time over
    2. who is due                ours: copies into mailboxes; elsewhere: transactions, several at once
    3. what happened is told     durable before the mail changes, under ids that make telling it twice harmless; where
                                 nothing but events follows from the last of it, in one commit with 4
    4. the mail changes          one document, named by the version of our claim
    5. reports                   decided in that change, delivered, and only then the mail is settled

A failure is written down before it is told, with what is to be told: to tell it may put the address on a list of those
that are not written to, and whoever came back after a crash would find it there and not know that it had failed.

A crash between 2 and 4 is the only moment that repeats a transaction, and nothing can be done about it: SMTP has no way
to ask whether a mail was taken. What takes long - a thousand recipients - is written down in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from libs.policy import OTHER
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import ExhaustedError, SealpostError, UnavailableError
from libs.telemetry.logs import get_logger
from services.delivery.domain.addresses import domain_key
from services.delivery.domain.model import Outcome, Result, State
from services.delivery.domain.ports import Beside, Happening, Kind
from services.delivery.domain.queue import next_due, pending, settle
from services.delivery.queue.entry import Entry
from services.delivery.worker import meters
from services.delivery.worker.holding import LostError, insist, is_ours
from services.delivery.worker.lanes import Lane
from services.delivery.worker.parts import Parts
from services.delivery.worker.remote import Content, Transaction, transactions

_NOTE_AFTER = 100
_DOMAINS_AT_ONCE = 20
_SUPPRESSIONS_AT_ONCE = 1000
_REPORTS_AGAIN = 60
_BUSY_AGAIN = 30
_FAILURES = frozenset((Kind.BOUNCED, Kind.EXPIRED))
_TEMPORARY = Outcome(Result.TEMPORARY, 451, "4.3.0", elsewhere=True)

_log = get_logger("attempt")


class Attempt:
    """One look at one mail that is ours. `lane` has a slot for it where all of it goes to one destination.

    `vacate` gives that slot back once everything is sent: other mails go on while this one is written down.
    """

    def __init__(self, parts: Parts, entry: Entry, lane: Lane | None, vacate: Callable[[], None]) -> None:
        """Prepare."""
        self._vacate = vacate
        self._parts = parts
        self._entry = entry
        self._mail = entry.mail
        self._lane = lane
        self._told: list[Happening] = []
        self._sent = False
        self._stopping = False
        self._content = b""
        self._letter: Content | None = None
        self._noting = asyncio.Lock()

    @property
    def sent(self) -> bool:
        """Whether something has been tried: what came of it is to be written down."""
        return self._sent

    def stop(self) -> None:
        """Begin no more transactions; what is done is written down, and the rest goes back to the queue."""
        self._stopping = True

    async def run(self) -> None:
        """Do it.

        Raises: LostError where the mail is not ours any more; SealpostError where what happened could not be written
        down in time, or the mail could not be read: somebody looks at it again when the lease has run out.
        """
        if self._entry.untold:
            self._told, self._entry.untold = self._entry.untold, []
            await self._tell()
        await self._exclude()
        due = [index for index in pending(self._mail) if self._mail.recipients[index].due <= self._now()]
        if due:
            self._content = await self._parts.queue.load(self._entry)
            await self._send(due)
        self._vacate()
        await self._finish()

    async def _exclude(self) -> None:
        order, parts = self._mail.order, self._parts
        if not self._entry.cancelled and order.campaign and pending(self._mail):
            self._entry.cancelled = await parts.campaigns.stopped(order.account_id, order.campaign)
        self._cancel()
        waiting = pending(self._mail)
        for start in range(0, len(waiting), _SUPPRESSIONS_AT_ONCE):
            part = waiting[start : start + _SUPPRESSIONS_AT_ONCE]
            addresses = [self._mail.recipients[index].address for index in part]
            suppressed = await parts.suppressions.of(order.account_id, addresses)
            for index in part:
                if self._mail.recipients[index].address in suppressed:
                    # RFC 3463: delivery not authorised, message refused.
                    self._mail.recipients[index].status = "5.7.1"
                    settle(self._mail, index, State.SUPPRESSED, self._told, self._now())
                    self._record(index)

    def _cancel(self) -> None:
        if self._entry.cancelled:
            for index in pending(self._mail):
                settle(self._mail, index, State.CANCELLED, self._told, self._now())
                self._record(index)

    async def _send(self, due: Sequence[int]) -> None:
        groups: dict[str, list[int]] = {}
        for index in due:
            groups.setdefault(domain_key(self._mail.recipients[index].address), []).append(index)
        limit = asyncio.Semaphore(_DOMAINS_AT_ONCE)

        async def one(domain: str, indices: list[int]) -> None:
            async with limit:
                await self._to_domain(domain, indices)

        await _all([one(*group) for group in groups.items()])

    async def _to_domain(self, domain: str, indices: Sequence[int]) -> None:
        try:
            own = await self._parts.local.is_own(domain)
        except SealpostError as error:
            _log.warning("domains_unknown", error=error)
            await self._apply(indices, [_TEMPORARY] * len(indices), "own")
            return
        if not own:
            await self._elsewhere(domain, transactions(self._mail.order.profile, domain, indices))
        elif self._may_go_on():
            self._parts.lanes.note_own(domain)
            addresses = [self._mail.recipients[index].address for index in indices]
            outcomes = await self._parts.local.deliver(self._mail, self._content, addresses)
            await self._apply(indices, outcomes, "own")

    async def _elsewhere(self, domain: str, todo: list[Transaction]) -> None:
        lanes, lane = self._parts.lanes, self._lane
        has_slot = lane is not None and lane.domain == domain
        if lane is None or not has_slot:
            lane = lanes.lane(domain)
        extra = lanes.more_slots(lane, len(todo) - (1 if has_slot else 0))
        try:
            if not has_slot and not extra:
                await self._put_off([index for one in todo for index in one.indices])
                return
            if self._letter is None:
                self._letter = self._parts.remote.letter(self._entry, self._content)
            letter = self._letter
            todo.reverse()
            senders = [self._drain(todo, letter) for _ in range(extra + (1 if has_slot else 0))]
            await _all(senders)
        finally:
            lanes.leave(lane, extra)

    async def _drain(self, todo: list[Transaction], letter: Content) -> None:
        while todo and self._may_go_on():
            one = todo.pop()
            outcomes = await self._parts.remote.send(self._entry, letter, one)
            await self._apply(one.indices, outcomes, "elsewhere")

    async def _put_off(self, indices: Sequence[int]) -> None:
        """Have recipients wait whose destination is busy; who has waited to the end is given up untried."""
        async with self._noting:
            for index in indices:
                if self._parts.judge.is_over(self._mail, self._now()):
                    self._parts.judge.expire(self._mail, index, self._told, self._now())
                    self._record(index)
                else:
                    self._mail.recipients[index].due = self._now() + _BUSY_AGAIN + index % _BUSY_AGAIN
        meters.PUT_OFF.inc()

    async def _apply(self, indices: Sequence[int], outcomes: Sequence[Outcome], place: str) -> None:
        # While something is written down nothing changes: what stands there has been told.
        async with self._noting:
            now = self._now()
            self._sent = True
            for index, outcome in zip(indices, outcomes, strict=True):
                meters.OUTCOMES.inc(place=place, result=outcome.result.value)
                self._parts.judge.apply(self._mail, index, outcome, self._told, now)
                self._record(index, "inside" if place == "own" else outcome.tls)
            if len(self._told) >= _NOTE_AFTER:
                until = round(now + self._parts.lease)
                await self._write_failures(until)
                await self._tell()
                await self._keep(until, hold=True)

    def _record(self, index: int, tls: str = "") -> None:
        """Tell the statistics of a recipient, whose state has changed or not; without a connection `tls` is other."""
        order, state = self._mail.order, self._mail.recipients[index].state
        outcome = "deferred" if state is State.QUEUED else state.value
        self._parts.facts.record(
            "deliveries", order.account_id.encode(), profile=order.profile.value, outcome=outcome, tls=tls or OTHER
        )

    async def _finish(self) -> None:
        entry, parts = self._entry, self._parts
        self._cancel()
        new = parts.judge.reports(self._mail, entry.facts, self._now())
        entry.reports += new
        await self._write_failures(entry.leased_until, whatever=bool(new))
        beside = None if pending(self._mail) or entry.reports else await self._beside()
        if beside is None:
            await self._tell()
        if entry.reports:
            await self._report()
        if pending(self._mail) or entry.reports:
            await self._keep(self._next_look(), hold=False)
        else:
            await self._settle(beside)

    async def _settle(self, beside: Beside | None) -> None:
        entry, queue = self._entry, self._parts.queue
        kept, writes = self._parts.trail(self._mail.order.terms), beside.writes if beside else ()
        results = await insist(self._parts, entry, lambda: queue.settle(entry, self._now() + kept, writes))
        meters.SETTLED.inc()
        if beside is not None:
            try:
                beside.written(results)
            except Exception as error:
                _log.error("happenings_lost", count=len(writes), error=error)

    async def _beside(self) -> Beside | None:
        """Return what is to be written with the end of the mail, if all that is to be told can be."""
        teller, told = self._parts.teller, self._told
        if teller is None or not told:
            return None
        try:
            return await insist(self._parts, self._entry, lambda: teller.beside(told))
        except (LostError, UnavailableError, ExhaustedError):
            raise
        except Exception as error:
            # Told by itself it fails alone.
            _log.warning("happenings_apart", count=len(told), error=error)
            return None

    async def _write_failures(self, until: int, *, whatever: bool = False) -> None:
        """Write the mail down if something failed, or `whatever` there is, with what is not told yet."""
        if whatever or any(one.kind in _FAILURES for one in self._told):
            self._entry.untold = list(self._told)
            await self._keep(until, hold=True)
            self._entry.untold = []

    async def _keep(self, due: int, *, hold: bool) -> None:
        await insist(self._parts, self._entry, lambda: self._parts.queue.keep(self._entry, due, hold=hold))

    async def _tell(self) -> None:
        told, self._told = self._told, []
        if not told:
            return
        try:
            await insist(self._parts, self._entry, lambda: self._parts.happenings.note(told))
        except (LostError, UnavailableError, ExhaustedError):
            raise
        except Exception as error:
            # It will not be told the next time either, and the mail would be sent again and again.
            _log.error("happenings_lost", count=len(told), error=error)

    async def _report(self) -> None:
        """Deliver reports; those that cannot be delivered now stay."""
        entry, parts = self._entry, self._parts
        left = []
        for report in entry.reports:
            try:
                content = await parts.queue.load(entry)
                made = parts.reporter.make(entry, content, report, parts.clock.now())
                await parts.local.put(self._mail.order.account_id, report.message_id, made)
            except SealpostError as error:
                _log.warning("report_waits", error=error)
                if self._now() < report.at + parts.judge.schedule.max_age(self._mail.order.terms):
                    left.append(report)
        entry.reports = left

    def _next_look(self) -> int:
        due = next_due(self._mail)
        again = self._now() + _REPORTS_AGAIN
        return min(due or again, again) if self._entry.reports else due

    def _may_go_on(self) -> bool:
        """Tell whether another transaction may begin; if not, what is done is written down all the same."""
        return is_ours(self._parts, self._entry) and not self._entry.cancelled and not self._stopping

    def _now(self) -> int:
        return unix_seconds(self._parts.clock)


async def _all(steps: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Do all of them, at once; raise what one raised only when all have ended."""
    if len(steps) == 1:
        # Nearly always, and a task costs more than a transaction takes of our time.
        await steps[0]
        return
    for result in await asyncio.gather(*steps, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
