"""The transparency report: counts of cases by half-year, told in bands.

Counts outlive the cases, so they are kept beside them. Whoever adds to one may die before it is known that it was
added, and adds it again: the last names of what was added stand with the counts, and what stands there is not added
twice. A step is counted within seconds, or after whatever was down has come back, so a few hundred names are enough.

A case that nobody approved in time counts as refused. What orders keep from being told is counted down again when it is
told, in the half-year in which it was granted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol

from libs.runtime.errors import ConflictError, UnavailableError

COUNTS = ("asked", "granted", "refused", "accounts", "untold")
_MOST_NAMES = 500
_TRIES = 10
# Half-years that are told: fifty years.
_MOST_HALVES = 100


@dataclass(frozen=True)
class HalfYear:
    """What was counted of one, "2026-H2" for one. `added`: the last names."""

    name: str
    counts: Mapping[str, int] = field(default_factory=dict)
    added: tuple[str, ...] = ()
    revision: int = field(default=0, compare=False)


class HalfYearStore(Protocol):
    """What is kept: repository.transparency. All methods raise UnavailableError."""

    async def get(self, name: str) -> HalfYear:
        """Return a half-year, empty where nothing was counted."""

    async def all(self, limit: int) -> Sequence[HalfYear]:
        """Return half-years, newest first."""

    async def put(self, half: HalfYear) -> None:
        """Keep it. Raises: ConflictError if somebody else has changed it since it was read."""


class Transparency:
    """The report."""

    def __init__(self, store: HalfYearStore) -> None:
        """Use `store`."""
        self._store = store

    async def count(self, half: str, name: str, counts: Mapping[str, int]) -> None:
        """Add `counts` to a half-year, once for each `name`. Raises: UnavailableError."""
        for _ in range(_TRIES):
            found = await self._store.get(half)
            if name in found.added:
                return
            summed = {one: max(0, found.counts.get(one, 0) + counts.get(one, 0)) for one in COUNTS}
            try:
                await self._store.put(replace(found, counts=summed, added=(*found.added, name)[-_MOST_NAMES:]))
            except ConflictError:
                continue
            return
        raise UnavailableError("transparency_busy")

    async def report(self, now: int) -> Sequence[HalfYear]:
        """Return all half-years from the first with a case to that of `now`, newest first. Raises: UnavailableError."""
        found = {half.name: half for half in await self._store.all(_MOST_HALVES)}
        name, first = half_year(now), min((half_year(now), *found))
        halves: list[HalfYear] = []
        while name >= first and len(halves) < _MOST_HALVES:
            halves.append(found.get(name, HalfYear(name)))
            name = _before(name)
        return halves


def half_year(seconds: int) -> str:
    """Return the half-year of a time in Unix seconds, UTC; names sort by time."""
    day = datetime.fromtimestamp(seconds, UTC)
    return f"{day.year:04d}-H{1 if day.month <= 6 else 2}"


def half_year_begins(name: str) -> int:
    """Return when a half-year begins, Unix seconds."""
    return int(datetime(int(name[:4]), 1 if name.endswith("1") else 7, 1, tzinfo=UTC).timestamp())


def band(count: int) -> str:
    """Return the band in which a count is told."""
    if count <= 0:
        return "0"
    if count < 10:
        return "1-9"
    if count < 100:
        return "10-99"
    return "100-999" if count < 1000 else "1000 or more"


def _before(name: str) -> str:
    year = int(name[:4])
    return f"{year:04d}-H1" if name.endswith("2") else f"{year - 1:04d}-H2"
