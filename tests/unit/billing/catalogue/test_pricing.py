"""Prices in integers: tiers, tax, shares of a month."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.runtime.errors import InvalidError
from services.billing.domain.model import UNLIMITED, Allowance, Meter, Per, Plan, Profile, Tier
from services.billing.domain.pricing import Line, accrued, half_up, price_of, prorated, tax_of

TIERS = (Tier(0, 100, 1000), Tier(10_000, 80, 1000), Tier(100_000, 50, 1000))


def _plan(included: int, tiers: tuple[Tier, ...], price: int = 900) -> Plan:
    allowance = Allowance(Meter.MAILS_DELIVERED, Per.MONTH, included, tiers)
    return Plan("relay", Profile.RELAY, "Relay", "", price, {Meter.MAILS_DELIVERED: allowance})


@pytest.mark.parametrize(
    ("units", "price"),
    [(0, 0), (1, 100), (1000, 100), (1001, 200), (10_000, 1000), (10_001, 1080), (100_000, 8200), (100_001, 8250)],
)
def test_units_fall_into_tiers_and_a_lot_that_is_begun_is_paid(units: int, price: int) -> None:
    assert price_of(TIERS, units) == price


def test_what_has_no_price_cannot_be_sold() -> None:
    assert price_of((), 0) == 0
    with pytest.raises(InvalidError, match="no_price"):
        price_of((), 1)
    with pytest.raises(InvalidError, match="units"):
        price_of(TIERS, -1)


@given(st.integers(0, 10**7), st.integers(0, 10**4))
def test_more_units_never_cost_less(units: int, more: int) -> None:
    assert price_of(TIERS, units) <= price_of(TIERS, units + more)


@given(st.integers(-(10**9), 10**9), st.integers(1, 10**6))
def test_halves_go_away_from_zero_and_nothing_is_off_by_more(numerator: int, denominator: int) -> None:
    found = half_up(numerator, denominator)
    exact = Fraction(numerator, denominator)
    assert abs(found - exact) <= Fraction(1, 2)
    assert half_up(-numerator, denominator) == -found
    if abs(found - exact) == Fraction(1, 2):
        assert abs(found) > abs(exact)


def test_tax_is_rounded_once() -> None:
    assert tax_of(1000, 19_000) == 190
    assert tax_of(50, 19_000) == 10  # 9.5
    assert tax_of(-50, 19_000) == -10
    assert tax_of(999, 0) == 0


@given(st.integers(0, 10**6), st.integers(28, 31), st.data())
def test_a_share_of_a_month_is_never_more_than_the_month(price: int, of_days: int, data: st.DataObject) -> None:
    days = data.draw(st.integers(0, of_days))
    share = prorated(price, days, of_days)
    assert 0 <= share <= price
    assert abs(share + prorated(price, of_days - days, of_days) - price) <= 1


@pytest.mark.parametrize(("days", "of_days"), [(-1, 30), (31, 30), (0, 0)])
def test_days_that_are_not_of_a_month(days: int, of_days: int) -> None:
    with pytest.raises(InvalidError, match="days"):
        prorated(100, days, of_days)


def test_a_month_costs_its_plan_and_what_goes_beyond() -> None:
    plan = _plan(10_000, TIERS)
    assert accrued(plan, {Meter.MAILS_DELIVERED: 12_500}, 30, 30) == (
        Line("Relay", None, 30, 900),
        Line("Relay", Meter.MAILS_DELIVERED, 2500, 300),
    )
    assert accrued(plan, {}, 30, 30) == (Line("Relay", None, 30, 900),)


def test_half_a_month_includes_half() -> None:
    lines = accrued(_plan(10_000, TIERS), {Meter.MAILS_DELIVERED: 6000}, 15, 30)
    assert [line.net for line in lines] == [450, 100]


def test_what_is_free_or_bounded_costs_nothing() -> None:
    units = {Meter.MAILS_DELIVERED: 10**9}
    assert accrued(_plan(UNLIMITED, TIERS, price=0), units, 30, 30) == ()
    assert accrued(_plan(10, (), price=0), units, 30, 30) == ()
