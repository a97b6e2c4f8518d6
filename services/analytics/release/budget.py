"""The privacy budget: what every day may cost a unit, in a document of that day, debited before anything is drawn.

One debit pays for all windows of a cut on a day, because the bound of a unit holds over all of them together; each
term of the day costs it once more. Debits are whole numbers (1e-9 of epsilon, 1e-15 of delta; costs are rounded up,
limits down) and are made by compare-and-set. What is not known is not granted: a document that cannot be read, or one
that is absent although something of that day is released already, refuses.

A price that changes within a day (another policy was installed) is paid in addition to the old one.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import cast

from libs.docstore.fields import number, text
from libs.docstore.store import Body, Collection, Document, Index, Insert, Replace, Store, Value
from libs.policy.model import Budget as Limits
from libs.runtime.errors import ConflictError, InternalError, UnavailableError
from services.analytics.release.mechanism import exactly

BUDGETS = Collection("budget", (Index("day", ("day",)),), fields=("day", "debits"))

EPSILON_UNITS = 10**9
DELTA_UNITS = 10**15
_ATTEMPTS = 20


@dataclass(frozen=True)
class Price:
    """What one term of a cut costs."""

    metric: str
    cut: str
    per_unit: int
    epsilon: float
    delta: float


@dataclass(frozen=True)
class Debit:
    """What was debited for a cut: `terms` times its price, in units of 1e-9 and 1e-15."""

    metric: str
    cut: str
    per_unit: int
    epsilon_each: int
    delta_each: int
    terms: int

    @property
    def epsilon(self) -> int:
        """What it costs in 1e-9."""
        return self.terms * self.epsilon_each

    @property
    def delta(self) -> int:
        """What it costs in 1e-15."""
        return self.terms * self.delta_each

    @property
    def tag(self) -> tuple[str, str, int, int, int]:
        """What it is a debit for, whatever the number of terms."""
        return (self.metric, self.cut, self.per_unit, self.epsilon_each, self.delta_each)


class Budget:
    """Debits, and tells what was debited."""

    def __init__(self, store: Store, limits: Limits, released_on: Callable[[int], Awaitable[bool]]) -> None:
        """Use `store`, opened with BUDGETS. `released_on` tells whether anything of a day is released."""
        self._store = store
        self._released_on = released_on
        self.epsilon_limit = math.floor(exactly(limits.epsilon_per_day) * EPSILON_UNITS)
        self.delta_limit = math.floor(exactly(limits.delta_per_day) * DELTA_UNITS)

    async def debit(self, day: int, price: Price, terms: int) -> bool:
        """Debit a cut for `terms` terms of the day that begins at `day`; False where that exceeds the limit.

        What is debited already is not debited again. Only after True may noise be drawn.

        Raises: UnavailableError; InternalError("document_damaged") where the state of the day is unknown. Neither
        grants anything.
        """
        if terms < 1:
            raise InternalError("terms")
        wanted = _wanted(price, terms)
        for _ in range(_ATTEMPTS):
            document = await self._store.get(BUDGETS, _key(day))
            if document is None and await self._released_on(day):
                raise InternalError("document_damaged")
            debits = {} if document is None else {debit.tag: debit for debit in _debits(document.body)}
            if (there := debits.get(wanted.tag)) is not None and there.terms >= terms:
                return True
            debits[wanted.tag] = wanted
            if not self._within(debits.values()):
                return False
            try:
                await self._write(day, document, list(debits.values()))
            except ConflictError:
                continue
            return True
        raise UnavailableError("budget_contended")

    async def read(self, days: Sequence[int]) -> dict[int, list[Debit]]:
        """Return the debits of days (at most 1,000), by their beginning. Raises: as `debit`."""
        found = await self._store.get_many(BUDGETS, [_key(day) for day in days])
        return {day: _debits(found[_key(day)].body) if _key(day) in found else [] for day in days}

    def _within(self, debits: Iterable[Debit]) -> bool:
        epsilon, delta = totals(debits)
        return epsilon <= self.epsilon_limit and delta <= self.delta_limit

    async def _write(self, day: int, document: Document | None, debits: Sequence[Debit]) -> None:
        body: Body = {"day": day, "debits": [_row(debit) for debit in debits]}
        if document is None:
            await self._store.write(Insert(BUDGETS, _key(day), body))
        else:
            await self._store.write(Replace(BUDGETS, _key(day), body, document.version))


def totals(debits: Iterable[Debit]) -> tuple[int, int]:
    """Return the sums of epsilon (1e-9) and of delta (1e-15)."""
    rows = list(debits)
    return sum(row.epsilon for row in rows), sum(row.delta for row in rows)


def by_cut(debits: Iterable[Debit]) -> dict[tuple[str, str], tuple[int, int]]:
    """Return epsilon (1e-9) and delta (1e-15) of each cut, over all its prices."""
    sums: dict[tuple[str, str], tuple[int, int]] = {}
    for debit in debits:
        epsilon, delta = sums.get((debit.metric, debit.cut), (0, 0))
        sums[debit.metric, debit.cut] = (epsilon + debit.epsilon, delta + debit.delta)
    return sums


def _wanted(price: Price, terms: int) -> Debit:
    epsilon, delta = _units(price.epsilon, EPSILON_UNITS), _units(price.delta, DELTA_UNITS)
    return Debit(price.metric, price.cut, price.per_unit, epsilon, delta, terms)


def _units(amount: float, units: int) -> int:
    exact: Fraction = exactly(amount) * units
    return math.ceil(exact)


def _key(day: int) -> str:
    return f"day-{day}"


def _row(debit: Debit) -> Value:
    return {
        "metric": debit.metric,
        "cut": debit.cut,
        "per_unit": debit.per_unit,
        "epsilon_each": debit.epsilon_each,
        "delta_each": debit.delta_each,
        "terms": debit.terms,
    }


def _debits(body: Body) -> list[Debit]:
    rows = body.get("debits")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise InternalError("document_damaged")
    debits = [_debit(cast(Body, row)) for row in rows]
    if any(min(debit.epsilon_each, debit.terms, debit.per_unit) < 1 or debit.delta_each < 0 for debit in debits):
        raise InternalError("document_damaged")
    return debits


def _debit(row: Body) -> Debit:
    numbers = [number(row, name) for name in ("per_unit", "epsilon_each", "delta_each", "terms")]
    return Debit(text(row, "metric"), text(row, "cut"), *numbers)
