"""What units, parts of a month and tax cost, in integers.

A price is rounded once, where it is said: half up, to a whole minor unit. Units above what a plan includes fall into
tiers; each tier sells its units in lots, and a lot that is begun is paid. A plan that does not hold for a whole month
costs its share by days.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from libs.runtime.errors import InvalidError
from services.billing.domain.model import UNLIMITED, Meter, Per, Plan, Tier

_RATE_ONE = 100_000


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a bill: the price of the plan, where `meter` is None, or of units above what it includes."""

    title: str
    meter: Meter | None
    units: int
    net: int


def price_of(tiers: Sequence[Tier], units: int) -> int:
    """Return the price of `units` above what is included. Raises: InvalidError("units" | "no_price")."""
    if units < 0:
        raise InvalidError("units")
    if units and not tiers:
        raise InvalidError("no_price")
    total = 0
    for position, tier in enumerate(tiers):
        end = tiers[position + 1].above if position + 1 < len(tiers) else units
        within = min(units, end) - tier.above
        if within <= 0:
            break
        total += _lots(within, tier.per_units) * tier.price
    return total


def tax_of(net: int, rate: int) -> int:
    """Return the tax on `net`, which may be negative; `rate` in thousandths of a per cent."""
    return half_up(net * rate, _RATE_ONE)


def prorated(price: int, days: int, of_days: int) -> int:
    """Return the share of a month's price for `days` of its `of_days`. Raises: InvalidError("days")."""
    if not 0 <= days <= of_days or not of_days:
        raise InvalidError("days")
    return half_up(price * days, of_days)


def half_up(numerator: int, denominator: int) -> int:
    """Return the quotient rounded to the nearest integer, halves away from zero; `denominator` is positive."""
    magnitude = (2 * abs(numerator) + denominator) // (2 * denominator)
    return magnitude if numerator >= 0 else -magnitude


def accrued(plan: Plan, units: Mapping[Meter, int], days: int, of_days: int) -> tuple[Line, ...]:
    """Return what a month with `plan` costs before tax; lines that cost nothing are left out.

    `units` are those of the month. What a plan includes in a month shrinks with its days in the same way as its price.
    Allowances by day and levels bound what can be had, and cost nothing. Raises: InvalidError("days" | "units").
    """
    price = prorated(plan.price, days, of_days)
    lines = [Line(plan.title, None, days, price)] if price else []
    for meter, allowance in sorted(plan.allowances.items()):
        if allowance.per is not Per.MONTH or allowance.included == UNLIMITED or not allowance.tiers:
            continue
        above = max(0, units.get(meter, 0) - prorated(allowance.included, days, of_days))
        net = price_of(allowance.tiers, above)
        if net:
            lines.append(Line(plan.title, meter, above, net))
    return tuple(lines)


def _lots(units: int, size: int) -> int:
    return -(-units // size)
