"""Releases windows that are over, one after the other: close, collect, debit, draw, keep, destroy.

Each step may be the last that a process takes, and any other process goes on from there:

- Nothing is drawn before its debit is written; a debit that was written is found, not written again.
- An outcome is a document that can only be created. Whoever draws a second time, because it does not know that the
  first draw was kept, is refused, and its numbers are thrown away unseen.
- Counts are destroyed when every cut of the window has its outcome, and only then; a window is passed over by the
  progress after that. Counts that are there in a window already passed are destroyed.
- That counts were still there is asked after they were collected, so that nobody takes an emptied window for an empty
  one.

Every window in which the intake was at work is released, empty or not: PendingWindows.over names them all. One that it
does not name, when all partitions have closed it, passed while nobody counted: it has no outcome, and is lost. So are
windows whose counts cannot be read any more, and a cut whose noise OpenDP does not vouch for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, cast

from libs.policy.model import Policy
from libs.runtime.backoff import Backoff
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import InternalError, InvalidError, SealpostError
from libs.telemetry import metrics
from libs.telemetry.logs import get_logger
from services.analytics.domain.ports import DAY_SECONDS, Collected, PendingWindows, Window
from services.analytics.release.budget import Budget
from services.analytics.release.drawing import Subject, draw, subjects_of
from services.analytics.release.leading import KINDS, Leading, Progress
from services.analytics.release.outcomes import Outcome, Place, Reason, Unreleased
from services.analytics.release.repository import OutcomeRepository

_log = get_logger("releases")
_RELEASES = metrics.counter(
    "sealpost_releases_total", "Cuts of windows, by what became of them.", {"outcome": ("released", "budget", "lost")}
)
_SECONDS = metrics.histogram("sealpost_release_seconds", "From the counts of a window to its releases.")
_LATE = metrics.gauge("sealpost_release_lag_seconds", "How long the oldest window that is due has been waiting.")

_UNREADABLE = (InternalError, InvalidError)


_AGAIN = Backoff(first=1.0, ceiling=30.0)
# For all that is due: after a long standstill that is much.
_STEP_SECONDS = 600.0
# Windows of one kind in one step: what is left waits for the next.
_MOST = 1000


class LeaseLostError(Exception):
    """Somebody else coordinates now."""


class Unreadable:
    """Stands for counts that cannot be read, now or ever."""


@dataclass(frozen=True)
class Rules:
    """`hour_seconds`: length of the short window. `grace`: how long after its end a window waits for late facts."""

    policy: Policy
    hour_seconds: int
    grace: timedelta


@dataclass(frozen=True)
class Tools:
    """What a coordinator works with."""

    windows: PendingWindows
    outcomes: OutcomeRepository
    budget: Budget
    leading: Leading
    clock: Clock


class Coordinator:
    """Releases what is due. Any number may run; one at a time has the lease."""

    def __init__(self, tools: Tools, rules: Rules, poll: float = 2.0) -> None:
        """Look every `poll` seconds."""
        self._tools = tools
        self._rules = rules
        self._poll = poll
        self._subjects = subjects_of(rules.policy)

    async def run(self) -> None:
        """Release until cancelled; what fails is tried again."""
        failures = 0
        while True:
            try:
                async with asyncio.timeout(_STEP_SECONDS):
                    await self.step()
                failures = 0
            except (SealpostError, TimeoutError) as error:
                failures += 1
                _log.warning("releases_delayed", error=error)
            await asyncio.sleep(self._poll + (_AGAIN.pause(failures) if failures else 0.0))

    async def step(self) -> int:
        """Release all that is due now; return how many windows. Raises: UnavailableError and what else goes wrong."""
        progress = await self._tools.leading.take()
        if progress is None:
            return 0
        until = self._due()
        # All windows end at such a moment.
        until -= until % self._rules.hour_seconds
        await self._tools.windows.close(until)
        done = 0
        try:
            progress = await self._begin(progress)
            for kind in KINDS:
                for _ in range(_MOST):
                    if (after := await self._next(progress, kind, until)) is None:
                        break
                    progress, done = after, done + 1
        except LeaseLostError:
            _log.info("lease_lost")
        return done

    async def _begin(self, progress: Progress) -> Progress:
        """Put the marks of the first run: the oldest windows there are, else those that are open now."""
        absent = [kind for kind in KINDS if kind not in progress.next]
        if not absent:
            return progress
        now = unix_seconds(self._tools.clock)
        there = await self._tools.windows.over(now)
        marks = dict(progress.next)
        for kind in absent:
            marks[kind] = min([now - now % self._length(kind), *(one.start for one in there if one.kind == kind)])
        return await self._renewed(Progress(marks, progress.version))

    async def _next(self, progress: Progress, kind: str, until: int) -> Progress | None:
        """Deal with the oldest window of a kind; None where none can be dealt with now."""
        there = await self._tools.windows.over(until)
        window = _oldest(there, kind)
        length = self._length(kind)
        if not there:
            _LATE.set(0)
        if window is None:
            return None if there else await self._pass(progress, kind, until)
        _LATE.set(max(0, self._due() - window.start - length))
        collected = await self._collect(window)
        if collected is None:
            return None
        # All have closed it: no older one can come any more. It is there still: so were its counts when they were read.
        if _oldest(await self._tools.windows.over(until), kind) != window:
            return progress
        with _SECONDS.time():
            progress = await self._release(progress, window, collected)
        await self._tools.windows.destroy(window)
        marks = {**progress.next, kind: max(progress.next[kind], window.start + length)}
        return await self._renewed(Progress(marks, progress.version))

    async def _pass(self, progress: Progress, kind: str, until: int) -> Progress | None:
        """Pass over windows in which nobody counted; always None: there is nothing more to do."""
        length = self._length(kind)
        mark = until - until % length
        if mark > progress.next[kind]:
            collected = await self._tools.windows.collect(_window(kind, mark - length))
            if collected is not None and not await self._tools.windows.over(until):
                await self._renewed(Progress({**progress.next, kind: mark}, progress.version))
        return None

    async def _collect(self, window: Window) -> Collected | Unreadable | None:
        try:
            return await self._tools.windows.collect(window)
        except _UNREADABLE as error:
            _log.error("counts_unreadable", error=error, reason=error.reason)
            return Unreadable()

    async def _release(self, progress: Progress, window: Window, collected: Collected | Unreadable) -> Progress:
        """See to it that every cut of the window has its outcome."""
        passed = window.start < progress.next[window.kind]
        places = {
            Place(*subject.id, window.name, window.start, window.start + self._length(window.kind)): subject
            for subject in self._subjects
            if subject.cut.window == window.kind
        }
        settled = await self._tools.outcomes.existing(places)
        for place, subject in places.items():
            if place not in settled:
                if passed or isinstance(collected, Unreadable):
                    outcome: Outcome = Unreleased(place, "lost")
                else:
                    outcome = await self._outcome(place, subject, window, collected)
                progress = await self._renewed(progress)
                await self._keep(outcome)
            if subject.cut.keys == "unknown":
                await self._tools.outcomes.tidy(place)
        return progress

    async def _outcome(self, place: Place, subject: Subject, window: Window, collected: Collected) -> Outcome:
        """Debit, and draw if that was granted. Raises: UnavailableError: then neither is known to have happened."""
        try:
            granted = await self._tools.budget.debit(window.day, subject.price, collected.terms)
        except InternalError as error:
            _log.error("budget_unknown", error=error, reason=error.reason)
            granted = False
        if not granted:
            return Unreleased(place, "budget")
        now = unix_seconds(self._tools.clock)
        counts = collected.cells.get(subject.id)
        try:
            return await asyncio.to_thread(draw, subject, place, counts, collected.terms, now)
        except InternalError as error:
            _log.error("noise_refused", error=error, reason=error.reason)
            return Unreleased(place, "lost")

    async def _keep(self, outcome: Outcome) -> None:
        if await self._tools.outcomes.keep(outcome):
            reason: Reason | None = outcome.reason if isinstance(outcome, Unreleased) else None
            _RELEASES.inc(outcome=reason or "released")

    async def _renewed(self, progress: Progress) -> Progress:
        renewed = await self._tools.leading.renew(progress)
        if renewed is None:
            raise LeaseLostError
        return renewed

    def _due(self) -> int:
        """Return up to when windows must have ended to be due."""
        return unix_seconds(self._tools.clock) - int(self._rules.grace.total_seconds())

    def _length(self, kind: str) -> int:
        return DAY_SECONDS if kind == "day" else self._rules.hour_seconds


def _oldest(windows: Sequence[Window], kind: str) -> Window | None:
    return min((window for window in windows if window.kind == kind), default=None)


def _window(kind: str, start: int) -> Window:
    return Window(cast(Literal["hour", "day"], kind), start)
