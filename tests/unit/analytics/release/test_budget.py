"""Debits: whole numbers, once for each cut, day and term, and never beyond the limit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Insert, Store, Value
from libs.policy.model import Budget as Limits
from libs.runtime.errors import InternalError, UnavailableError
from services.analytics.release.budget import BUDGETS, DELTA_UNITS, EPSILON_UNITS, Budget, Price, by_cut, totals
from tests.unit.analytics.release.world import Faults, FaultyStore

DAY = 86_400 * 20_000


async def _nothing_released(day: int) -> bool:
    return False


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with await SqliteStore.open(tmp_path / "store.db", (BUDGETS,)) as store:
        yield store


def _budget(
    store: Store,
    epsilon: float = 1.0,
    delta: float = 1e-5,
    released_on: Callable[[int], Awaitable[bool]] = _nothing_released,
) -> Budget:
    return Budget(store, Limits(epsilon_per_day=epsilon, delta_per_day=delta), released_on)


def _price(cut: str = "a", epsilon: float = 0.1, delta: float = 0.0, per_unit: int = 5) -> Price:
    return Price("metric", cut, per_unit, epsilon, delta)


async def _spent(budget: Budget) -> tuple[int, int]:
    return totals((await budget.read([DAY]))[DAY])


async def test_a_debit_is_made_once_for_each_term(store: Store) -> None:
    budget = _budget(store)
    for terms in (1, 1, 2, 1, 2):
        assert await budget.debit(DAY, _price(), terms)
    assert await _spent(budget) == (2 * EPSILON_UNITS // 10, 0)


async def test_tenths_add_up_to_one(store: Store) -> None:
    """Ten times 0.1 is one, in decimal numbers; an eleventh is too much."""
    budget = _budget(store)
    for number in range(10):
        assert await budget.debit(DAY, _price(f"cut{number}"), 1)
    assert await _spent(budget) == (EPSILON_UNITS, 0)
    assert not await budget.debit(DAY, _price("eleventh"), 1)
    assert await budget.debit(DAY, _price("cut3"), 1)
    assert await budget.debit(DAY + 86_400, _price("eleventh"), 1)


async def test_delta_has_a_limit_of_its_own(store: Store) -> None:
    budget = _budget(store, epsilon=10.0)
    assert await budget.debit(DAY, _price("a", 0.1, 6e-6), 1)
    assert not await budget.debit(DAY, _price("b", 0.1, 6e-6), 1)
    assert not await budget.debit(DAY, _price("a", 0.1, 6e-6), 2)
    assert await _spent(budget) == (EPSILON_UNITS // 10, 6 * DELTA_UNITS // 10**6)


async def test_another_price_is_paid_in_addition(store: Store) -> None:
    budget = _budget(store)
    for price in (_price(epsilon=0.1), _price(epsilon=0.2), _price(epsilon=0.1), _price(epsilon=0.1, per_unit=6)):
        assert await budget.debit(DAY, price, 1)
    debits = (await budget.read([DAY]))[DAY]
    assert by_cut(debits) == {("metric", "a"): (4 * EPSILON_UNITS // 10, 0)}


async def test_what_is_refused_changes_nothing(store: Store) -> None:
    budget = _budget(store)
    assert not await budget.debit(DAY, _price(epsilon=0.6), 2)
    assert await _spent(budget) == (0, 0)
    assert await budget.debit(DAY, _price(epsilon=0.6), 1)


async def test_many_at_once_stay_within_the_limit(store: Store) -> None:
    budgets = [_budget(store) for _ in range(4)]
    granted = await asyncio.gather(
        *(budgets[number % 4].debit(DAY, _price(f"cut{number}", 0.3), 1) for number in range(12))
    )
    assert granted.count(True) == 3
    assert (await _spent(budgets[0]))[0] == 9 * EPSILON_UNITS // 10


@pytest.mark.parametrize(
    "debits",
    [
        "none",
        None,
        [1],
        [{}],
        [{"metric": "m", "cut": "c", "per_unit": 1, "epsilon_each": -5, "delta_each": 0, "terms": 1}],
    ],
)
async def test_a_damaged_document_grants_nothing(store: Store, debits: Value) -> None:
    await store.write(Insert(BUDGETS, f"day-{DAY}", {"day": DAY, "debits": debits}))
    with pytest.raises(InternalError):
        await _budget(store).debit(DAY, _price(), 1)
    with pytest.raises(InternalError):
        await _budget(store).read([DAY])


async def test_an_absent_document_of_a_day_with_releases_grants_nothing(store: Store) -> None:
    async def released(day: int) -> bool:
        return day == DAY

    budget = _budget(store, released_on=released)
    with pytest.raises(InternalError):
        await budget.debit(DAY, _price(), 1)
    assert await budget.debit(DAY + 86_400, _price(), 1)


@pytest.mark.parametrize("terms", [0, -1])
async def test_no_terms_are_no_price(store: Store, terms: int) -> None:
    with pytest.raises(InternalError):
        await _budget(store).debit(DAY, _price(), terms)


@pytest.mark.parametrize("after", [False, True])
async def test_a_store_that_fails_grants_nothing(store: Store, after: bool) -> None:
    faults = Faults()
    failing: Any = FaultyStore(store, faults)
    budget = _budget(failing)
    faults.after = after
    for step in (1, 2):
        faults.steps, faults.at = 0, step
        with pytest.raises(UnavailableError):
            await budget.debit(DAY, _price(f"cut{step}"), 1)
    faults.at = 0
    assert await budget.debit(DAY, _price("cut2"), 1)
    assert await _spent(budget) == (EPSILON_UNITS // 10, 0)
