"""The transparency report: bands, half-years, and that nothing counts twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.docstore.sqlite import SqliteStore
from libs.runtime.errors import ConflictError, UnavailableError
from services.retention.domain.transparency import (
    HalfYear,
    Transparency,
    band,
    half_year,
    half_year_begins,
)
from services.retention.repository.transparency import HALF_YEARS, HalfYearRepository


def _at(year: int, month: int, day: int) -> int:
    return int(datetime(year, month, day, tzinfo=UTC).timestamp())


@pytest.fixture
async def repository(tmp_path: Path) -> AsyncIterator[HalfYearRepository]:
    async with await SqliteStore.open(tmp_path / "store.db", (HALF_YEARS,)) as store:
        yield HalfYearRepository(store)


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (-1, "0"),
        (0, "0"),
        (1, "1-9"),
        (9, "1-9"),
        (10, "10-99"),
        (99, "10-99"),
        (100, "100-999"),
        (999, "100-999"),
        (1000, "1000 or more"),
        (10**9, "1000 or more"),
    ],
)
def test_bands(count: int, said: str) -> None:
    assert band(count) == said


@given(st.integers(0, 4_000_000_000))
def test_a_half_year_holds_its_times_and_names_sort_by_time(seconds: int) -> None:
    name = half_year(seconds)
    assert half_year_begins(name) <= seconds
    assert half_year(half_year_begins(name)) == name
    assert half_year(half_year_begins(name) - 1) < name or half_year_begins(name) == 0


async def test_the_same_is_counted_once(repository: HalfYearRepository) -> None:
    report = Transparency(repository)
    for _ in range(3):
        await report.count("2026-H2", "case_opened:1", {"asked": 1})
    await report.count("2026-H2", "case_opened:2", {"asked": 1})
    await report.count("2026-H2", "case_told:1", {"untold": -1})
    (half,) = await report.report(_at(2026, 11, 22))
    assert (half.counts["asked"], half.counts["untold"]) == (2, 0)


async def test_half_years_without_a_case_are_told_too(repository: HalfYearRepository) -> None:
    report = Transparency(repository)
    assert [half.name for half in await report.report(_at(2026, 3, 1))] == ["2026-H1"]
    await report.count("2025-H2", "case_opened:1", {"asked": 1})
    halves = await report.report(_at(2027, 1, 1))
    assert [(half.name, half.counts.get("asked", 0)) for half in halves] == [
        ("2027-H1", 0),
        ("2026-H2", 0),
        ("2026-H1", 0),
        ("2025-H2", 1),
    ]


class Contended(HalfYearRepository):
    """Somebody else is always faster."""

    async def put(self, half: HalfYear) -> None:
        """See HalfYearStore."""
        raise ConflictError("version")


async def test_somebody_who_is_always_faster_is_not_waited_for(tmp_path: Path) -> None:
    async with await SqliteStore.open(tmp_path / "store.db", (HALF_YEARS,)) as store:
        with pytest.raises(UnavailableError, match="transparency_busy"):
            await Transparency(Contended(store)).count("2026-H2", "x", {"asked": 1})
