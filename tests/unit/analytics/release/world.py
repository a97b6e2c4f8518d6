"""Releases on a real store, with an intake that is as PendingWindows says and keeps its counts in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Store
from libs.policy.model import Policy
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import UnavailableError
from services.analytics.domain.ports import DAY_SECONDS, CellCounts, Collected, CutId, Window
from services.analytics.release.coordinator import Coordinator, Rules, Tools
from services.analytics.release.graph import COLLECTIONS, Releases, make_releases
from services.analytics.release.leading import Leading
from services.analytics.release.reading import Report
from services.analytics.release.repository import OutcomeRepository
from services.analytics.settings import Settings
from tests.support.clock import ManualClock

HOUR = 3600
GRACE = 180

PAGES: CutId = ("pages", "by_page")
DAILY: CutId = ("pages", "by_day")
RARE: CutId = ("answers", "by_campaign")

POLICY = Policy.model_validate(
    {
        "version": 1,
        "budget": {"epsilon_per_day": 2.0, "delta_per_day": 3e-5},
        "metrics": {
            "pages": {
                "title": "Pages",
                "help": "Pages that were opened.",
                "unit": "ip",
                "per_unit": 5,
                "dimensions": {"page": ["home", "help", "other"], "status": ["ok", "bad", "other"]},
                "cuts": {
                    "by_page": {
                        "title": "By page",
                        "dimensions": ["page", "status"],
                        "window": "hour",
                        "epsilon": 0.5,
                    },
                    "by_day": {"title": "By day", "dimensions": ["page"], "window": "day", "epsilon": 0.1},
                },
            },
            "answers": {
                "title": "Answers",
                "help": "Answers to a campaign.",
                "unit": "recipient",
                "per_unit": 2,
                "key": "campaign",
                "dimensions": {"answer": ["yes", "no", "other"]},
                "cuts": {
                    "by_campaign": {
                        "title": "By campaign",
                        "dimensions": ["answer"],
                        "window": "hour",
                        "epsilon": 0.3,
                        "keys": "unknown",
                        "delta": 1e-5,
                    }
                },
            },
        },
    }
)


def counts(rows: Mapping[tuple[int, int], int]) -> CellCounts:
    """Return cells from (key, code) → count."""
    places = sorted(rows)
    return CellCounts(
        np.array([key for key, _ in places], np.uint64),
        np.array([code for _, code in places], np.uint32),
        np.array([rows[place] for place in places], np.int64),
    )


class Faults:
    """Fails at the step of the number `at`, counted from 1: before it is done, or after it."""

    def __init__(self) -> None:
        """Fail never."""
        self.steps = 0
        self.at = 0
        self.after = False
        self.hit = False
        # Operations of the store, in order.
        self.names: list[str] = []

    def before(self) -> bool:
        """Count a step; raise if it is the one; tell whether to fail after it."""
        self.steps += 1
        if self.steps != self.at:
            return False
        self.hit = True
        if not self.after:
            raise UnavailableError("planned")
        return True

    def then(self, late: bool) -> None:
        """Raise if it is the step to fail after."""
        if late:
            raise UnavailableError("planned")

    def step(self) -> None:
        """Count a step that changes nothing: before it and after it are the same."""
        self.then(self.before())


class FaultyStore:
    """A store whose operations count as steps of `faults`."""

    def __init__(self, store: Store, faults: Faults) -> None:
        """Stand before `store`."""
        self._store = store
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        """Return the operation, with faults."""
        operation = getattr(self._store, name)

        async def run(*args: Any) -> Any:
            self._faults.names.append(name)
            late = self._faults.before()
            result = await operation(*args)
            self._faults.then(late)
            return result

        return run


@dataclass
class FakeWindows:
    """Implements PendingWindows in memory."""

    faults: Faults
    held: dict[Window, dict[CutId, CellCounts]] = field(default_factory=dict)
    destroyed: list[Window] = field(default_factory=list)
    terms: int = 1
    closed: int = 0
    # Partitions that have not made their next commit yet.
    slow: bool = False
    fault: Exception | None = None
    # Windows that somebody makes while counts are collected.
    coming: dict[Window, dict[CutId, CellCounts]] = field(default_factory=dict)
    emptied: asyncio.Event = field(default_factory=asyncio.Event)

    def open(self, kind: str, start: int, cells: Mapping[CutId, CellCounts] | None = None) -> Window:
        """Have a window, with counts."""
        window = Window(kind, start)  # type: ignore[arg-type]
        self.held[window] = dict(cells or {})
        return window

    async def over(self, until: int) -> Sequence[Window]:
        """See PendingWindows."""
        found = sorted((one for one in self.held if _end(one) <= until), key=lambda one: (_end(one), one))
        self.faults.step()
        return found

    async def close(self, until: int) -> None:
        """See PendingWindows."""
        late = self.faults.before()
        self.closed = max(self.closed, until)
        self.faults.then(late)

    async def collect(self, window: Window) -> Collected | None:
        """See PendingWindows."""
        self.faults.step()
        if self.fault is not None:
            raise self.fault
        self.held.update(self.coming)
        self.coming = {}
        if self.slow or _end(window) > self.closed:
            return None
        return Collected(dict(self.held.get(window, {})), self.terms)

    async def destroy(self, window: Window) -> None:
        """See PendingWindows."""
        late = self.faults.before()
        if self.held.pop(window, None) is not None:
            self.destroyed.append(window)
            self.emptied.set()
        self.faults.then(late)


def _end(window: Window) -> int:
    return window.start + (DAY_SECONDS if window.kind == "day" else HOUR)


@dataclass
class World:
    """One installation; `coordinator()` is another process each time."""

    store: Store
    plain: Store
    clock: ManualClock
    windows: FakeWindows
    faults: Faults
    releases: Releases
    policy: Policy

    @property
    def now(self) -> int:
        """Unix seconds."""
        return unix_seconds(self.clock)

    @property
    def hour(self) -> int:
        """The start of the present hour."""
        return self.now - self.now % HOUR

    @property
    def day(self) -> int:
        """The start of the present day."""
        return self.now - self.now % DAY_SECONDS

    def coordinator(self, policy: Policy | None = None) -> Coordinator:
        """Return the coordinator of another process."""
        releases = make_releases(self.store, self.clock, SETTINGS, policy or self.policy, self.windows)
        return releases.coordinator

    def special(self, cells: int = 1000, lease: int = 15, poll: float = 2.0) -> Coordinator:
        """Return a coordinator that puts so few cells into a document, a lease and a poll of so many seconds."""
        outcomes = OutcomeRepository(self.store, cells)
        tools = Tools(self.windows, outcomes, self.releases.budget, Leading(self.store, self.clock, lease), self.clock)
        return Coordinator(tools, Rules(self.policy, HOUR, timedelta(seconds=GRACE)), poll)

    async def read(self, cut: CutId, since: int | None = None, until: int | None = None) -> Report:
        """Return the report of a cut, over two days unless told."""
        since = self.now - 2 * DAY_SECONDS if since is None else since
        reading = make_releases(self.plain, self.clock, SETTINGS, self.policy, self.windows).reading
        return await reading.read(reading.subject(*cut), since, self.now + DAY_SECONDS if until is None else until)


SETTINGS = Settings(kek=None, grace=timedelta(seconds=GRACE))  # type: ignore[arg-type]


@asynccontextmanager
async def make_world(path: Path, policy: Policy = POLICY) -> AsyncIterator[World]:
    """Open a world of its own under `path`."""
    path.mkdir(parents=True, exist_ok=True)
    async with await SqliteStore.open(path / "store.db", COLLECTIONS) as plain:
        faults, clock = Faults(), ManualClock()
        store: Any = FaultyStore(plain, faults)
        windows = FakeWindows(faults)
        releases = make_releases(store, clock, SETTINGS, policy, windows)
        yield World(store, plain, clock, windows, faults, releases, policy)
