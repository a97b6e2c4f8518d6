"""What a version changes: worse for somebody or not, by hand and for any tiers."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.local.plan import CATALOGUE as FILE
from services.billing.domain.catalogue import day_of, load_catalogues
from services.billing.domain.model import UNLIMITED, Allowance, Catalogue, Meter, Per, Plan, Tier
from services.billing.domain.pricing import price_of
from services.billing.domain.versions import changes, month_from

OLD = load_catalogues(FILE).versions[0]


def _with(plan: Plan) -> Catalogue:
    return replace(OLD, version=2, plans={**OLD.plans, plan.name: plan})


def _allowing(name: str, meter: Meter, allowance: Allowance | None) -> Catalogue:
    plan = OLD.plans[name]
    rest = {key: one for key, one in plan.allowances.items() if key is not meter}
    return _with(replace(plan, allowances=rest if allowance is None else {**rest, meter: allowance}))


def test_nothing_changes() -> None:
    assert changes(OLD, replace(OLD, version=2)) == ()


def test_a_price() -> None:
    personal = OLD.plans["personal"]
    (dearer,) = changes(OLD, _with(replace(personal, price=350)))
    assert (dearer.plan, dearer.what, dearer.old, dearer.new) == ("personal", "price", "3.00 EUR", "3.50 EUR")
    assert dearer.material
    (cheaper,) = changes(OLD, _with(replace(personal, price=250)))
    assert not cheaper.material


@pytest.mark.parametrize(
    ("new", "material"),
    [
        (Allowance(Meter.SENDS, Per.DAY, 499), True),
        (Allowance(Meter.SENDS, Per.DAY, 501), False),
        (Allowance(Meter.SENDS, Per.DAY, UNLIMITED), False),
        (Allowance(Meter.SENDS, Per.MONTH, 15000), True),
        (None, True),
    ],
)
def test_an_allowance(new: Allowance | None, material: bool) -> None:
    (change,) = changes(OLD, _allowing("personal", Meter.SENDS, new))
    assert (change.what, change.material) == ("included.sends", material)


def test_unlimited_no_more() -> None:
    unlimited = _allowing("personal", Meter.SENDS, Allowance(Meter.SENDS, Per.DAY, UNLIMITED))
    (change,) = changes(unlimited, OLD)
    assert (change.old, change.material) == ("unlimited a day", True)


def test_a_bound_where_there_was_none_is_less() -> None:
    bounded = _allowing("guest", Meter.STORAGE_BYTES, Allowance(Meter.STORAGE_BYTES, Per.LEVEL, 1))
    assert [change.material for change in changes(OLD, bounded)] == [True]
    allowed = _allowing("guest", Meter.SENDS, Allowance(Meter.SENDS, Per.DAY, 1))
    assert [change.material for change in changes(OLD, allowed)] == [False]


def test_terms_of_payment_concern_who_pays() -> None:
    found = changes(OLD, replace(OLD, grace_days=7, payment_days=30))
    assert {change.plan for change in found} == {"personal", "business", "reserved", "growth"}
    assert {(change.what, change.material) for change in found} == {("grace_days", True), ("payment_days", False)}


def test_prices_of_pieces_concern_who_has_some_printed() -> None:
    found = changes(OLD, replace(OLD, prices={Meter.PIECES: (Tier(0, 99),)}))
    assert [(change.plan, change.what, change.material) for change in found] == [
        ("pay_by_piece", "credits.pieces", True)
    ]


def test_what_is_retired_or_new_is_no_matter() -> None:
    retired = _with(replace(OLD.plans["personal"], retired=True, trial_days=0))
    assert not any(change.material for change in changes(OLD, retired))
    assert changes(OLD, _with(Plan("extra", OLD.plans["free"].profile, "Extra", "More.", 1))) == ()


@st.composite
def _tiers(draw: st.DrawFn) -> tuple[Tier, ...]:
    lot = draw(st.sampled_from([1, 2, 3, 5]))
    above, made = 0, []
    for price in draw(st.lists(st.integers(0, 6), min_size=1, max_size=3)):
        made.append(Tier(above, price, lot))
        above += lot * draw(st.integers(1, 4))
    return tuple(made)


@given(_tiers(), _tiers())
def test_what_is_not_announced_costs_nobody_more(old: tuple[Tier, ...], new: tuple[Tier, ...]) -> None:
    def having(tiers: tuple[Tier, ...]) -> Catalogue:
        meter = Meter.MAILS_DELIVERED
        return _allowing("growth", meter, Allowance(meter, Per.MONTH, 10, tiers))

    if any(change.material for change in changes(having(old), having(new))):
        return
    for units in range(80):
        assert price_of(new, units) <= price_of(old, units)


def test_months() -> None:
    assert month_from(day_of(date(2026, 12, 1))) == day_of(date(2026, 12, 1))
    assert month_from(day_of(date(2026, 12, 2))) == day_of(date(2027, 1, 1))
