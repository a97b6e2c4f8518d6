"""What readers get: the outcomes of a cut over a range, and which windows of it are missing and why.

A window that was due and has no outcome is "open" as long as the coordinator has not passed it, and "lost" after that.
Windows before a cut's first outcome are not missing: the cut, or the installation, was not there yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from libs.policy.model import Policy
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import InvalidError
from services.analytics.domain.ports import DAY_SECONDS
from services.analytics.release.drawing import Subject, subjects_of
from services.analytics.release.leading import Leading
from services.analytics.release.outcomes import Outcome, Released, Unreleased, series_of
from services.analytics.release.repository import OutcomeRepository, Span

MOST_DAYS = 400
MOST_WINDOWS = 20_000
MOST_CELLS = 1_500_000
"""Of one answer: some 40 MB, below what an RPC carries."""

# Outcomes of known cells are 80 KB at most, others up to 6 MB.
_PAGE = {"known": 200, "unknown": 8}


@dataclass
class Gap:
    """Windows in a row without a release: [start, end) in Unix seconds; "budget", "open" or "lost"."""

    start: int
    end: int
    reason: str


@dataclass
class Report:
    """Releases, oldest first, and what is missing between them."""

    releases: list[Released] = field(default_factory=list)
    missing: list[Gap] = field(default_factory=list)

    def miss(self, start: int, end: int, reason: str) -> None:
        """Add a stretch; one that follows on the last with the same reason makes it longer."""
        if self.missing and (last := self.missing[-1]).end == start and last.reason == reason:
            last.end = end
        else:
            self.missing.append(Gap(start, end, reason))


class Reading:
    """Reads outcomes."""

    def __init__(self, outcomes: OutcomeRepository, leading: Leading, policy: Policy, clock: Clock, hour: int) -> None:
        """`hour`: length of the short window in seconds."""
        self._outcomes = outcomes
        self._leading = leading
        self._clock = clock
        self._hour = hour
        self._subjects = {subject.id: subject for subject in subjects_of(policy)}

    def subject(self, metric: str, cut: str) -> Subject:
        """Return a declared cut. Raises: InvalidError("cut_unknown")."""
        try:
            return self._subjects[metric, cut]
        except KeyError:
            raise InvalidError("cut_unknown") from None

    def check(self, since: int, until: int) -> None:
        """Raises: InvalidError("range_invalid") unless 0 <= since < until and it is no more than 400 days."""
        if not 0 <= since < until or until - since > MOST_DAYS * DAY_SECONDS:
            raise InvalidError("range_invalid")

    async def read(
        self, subject: Subject, since: int, until: int, only: Callable[[Released], Released] = lambda one: one
    ) -> Report:
        """Return the report of windows that begin in [since, until), each release as `only` leaves it.

        Raises: InvalidError("range_invalid") where an answer would hold more than 20,000 windows or 1,500,000 cells.
        """
        self.check(since, until)
        report, cells = Report(), 0
        span = Span(series_of(*subject.id), since, until)
        # Read before the outcomes: what is released meanwhile is shown, and nothing is taken for lost.
        passed = (await self._leading.read()).next.get(subject.cut.window)
        place = await self._first(span)
        async for outcome in self._outcomes.read(span, _PAGE[subject.cut.keys]):
            if place is not None:
                self._missing(report, subject, place, outcome.place.start, passed)
            place = outcome.place.end
            cells += _take(report, outcome, only)
            if cells > MOST_CELLS or len(report.releases) > MOST_WINDOWS:
                raise InvalidError("range_invalid")
            await asyncio.sleep(0)
        if place is None:
            place = max(since, passed) if passed is not None else None
        if place is not None:
            self._missing(report, subject, place, min(until, unix_seconds(self._clock)), passed)
        return report

    async def _first(self, span: Span) -> int | None:
        """Return from where on windows of the span can be missing."""
        oldest = await self._outcomes.oldest(span.series)
        return None if oldest is None else max(oldest, span.since)

    def _missing(self, report: Report, subject: Subject, start: int, until: int, passed: int | None) -> None:
        """Add the windows that begin at `start` or later and have ended at `until`."""
        length = DAY_SECONDS if subject.cut.window == "day" else self._hour
        start += -start % length
        until -= until % length
        if start >= until:
            return
        known = min(max(passed or 0, start), until)
        if start < known:
            report.miss(start, known, "lost")
        if known < until:
            report.miss(known, until, "open")


def _take(report: Report, outcome: Outcome, only: Callable[[Released], Released]) -> int:
    if isinstance(outcome, Unreleased):
        report.miss(outcome.place.start, outcome.place.end, outcome.reason)
        return 0
    chosen = only(outcome)
    report.releases.append(chosen)
    return len(chosen.cells.values)
