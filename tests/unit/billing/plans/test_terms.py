"""What a change of plan does and when."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.local.plan import CATALOGUE as FILE
from libs.runtime.errors import ConflictError, InvalidError
from services.billing.domain.catalogue import day_of, load_catalogues
from services.billing.domain.customers import Customer, Span
from services.billing.domain.model import DAY, Profile, State
from services.billing.domain.terms import advanced, changed, next_month

TODAY = day_of(date(2026, 11, 20))
CATALOGUE = load_catalogues(FILE).on(TODAY)
DECEMBER = day_of(date(2026, 12, 1))
FREE = Customer("a1", "m1", Profile.SEALED, "free", TODAY - 100, spans=(Span("free", TODAY - 100),))
PLANS = ["free", "personal", "business"]


def _with(plan: str, **given: object) -> Customer:
    return replace(FREE.with_plan(plan, TODAY - 50), state=State.ACTIVE, trial_day=TODAY - 80, **given)  # type: ignore[arg-type]


def test_the_first_plan_that_costs_something_begins_with_a_trial() -> None:
    customer = changed(FREE, "personal", CATALOGUE, TODAY)
    assert (customer.plan, customer.state, customer.state_until) == ("personal", State.TRIAL, (TODAY + 14) * DAY)
    assert list(customer.spans_in(TODAY, TODAY + 30)) == []
    # Another plan within it: the trial goes on, and is no longer for that.
    other = changed(customer, "business", CATALOGUE, TODAY + 3)
    assert (other.plan, other.state_until) == ("business", customer.state_until)
    ended = advanced(other, CATALOGUE, customer.state_until)
    assert (ended.plan, ended.state, ended.state_until) == ("business", State.ACTIVE, 0)
    assert list(ended.spans_in(TODAY, TODAY + 30)) == [("business", TODAY + 14, TODAY + 30)]
    assert advanced(other, CATALOGUE, customer.state_until - 1) == other


def test_a_trial_can_be_left_at_once_and_there_is_no_second() -> None:
    left = changed(changed(FREE, "personal", CATALOGUE, TODAY), "free", CATALOGUE, TODAY + 5)
    assert (left.plan, left.state, left.state_until, left.next_plan) == ("free", State.FREE, 0, "")
    again = changed(left, "business", CATALOGUE, TODAY + 6)
    assert (again.state, list(again.spans_in(TODAY + 6, TODAY + 6))) == (
        State.ACTIVE,
        [("business", TODAY + 6, TODAY + 6)],
    )


def test_more_is_had_at_once_and_less_from_the_next_month_on() -> None:
    more = changed(_with("personal"), "business", CATALOGUE, TODAY)
    assert (more.plan, more.plan_day, more.next_plan) == ("business", TODAY, "")
    less = changed(more, "personal", CATALOGUE, TODAY)
    assert (less.plan, less.next_plan, less.next_plan_day) == ("business", "personal", DECEMBER)
    assert advanced(less, CATALOGUE, DECEMBER * DAY - 1) == less
    then = advanced(less, CATALOGUE, (DECEMBER + 3) * DAY)
    # On its day, though it was carried out later.
    assert (then.plan, then.plan_day, then.next_plan, then.state) == ("personal", DECEMBER, "", State.ACTIVE)
    assert list(then.spans_in(DECEMBER - 1, DECEMBER)) == [
        ("business", DECEMBER - 1, DECEMBER - 1),
        ("personal", DECEMBER, DECEMBER),
    ]


def test_who_thinks_better_of_it_keeps_his_plan() -> None:
    customer = changed(_with("business"), "free", CATALOGUE, TODAY)
    assert changed(customer, "business", CATALOGUE, TODAY).next_plan == ""


@pytest.mark.parametrize("plan", ["", "growth", "nothing"])
def test_what_is_not_offered_cannot_be_had(plan: str) -> None:
    with pytest.raises(InvalidError, match="plan"):
        changed(FREE, plan, CATALOGUE, TODAY)


def test_a_retired_plan_stays_for_those_who_have_it() -> None:
    personal = replace(CATALOGUE.plans["personal"], retired=True)
    retired = replace(CATALOGUE, plans={**CATALOGUE.plans, "personal": personal})
    with pytest.raises(InvalidError, match="plan"):
        changed(FREE, "personal", retired, TODAY)
    kept = _with("personal", next_plan="free", next_plan_day=DECEMBER)
    assert changed(kept, "personal", retired, TODAY).next_plan == ""


def test_who_owes_something_may_only_go_back() -> None:
    owing = replace(_with("personal"), state=State.READ_ONLY)
    with pytest.raises(ConflictError, match="read_only"):
        changed(owing, "business", CATALOGUE, TODAY)
    back = changed(owing, "free", CATALOGUE, TODAY)
    then = advanced(back, CATALOGUE, DECEMBER * DAY)
    assert (then.plan, then.state) == ("free", State.READ_ONLY)
    in_grace = replace(_with("personal"), state=State.GRACE, state_until=(TODAY + 5) * DAY)
    more = changed(in_grace, "business", CATALOGUE, TODAY)
    assert (more.plan, more.state, more.state_until) == ("business", State.GRACE, (TODAY + 5) * DAY)


@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from(PLANS)), max_size=12))
def test_no_day_is_billed_for_a_plan_that_was_not_had(steps: list[tuple[int, str]]) -> None:
    """Whatever is asked for, the bill says of each day what was had on it."""
    customer, day = FREE, TODAY
    had: dict[int, tuple[str, bool]] = {}
    for wait, plan in steps:
        for _ in range(wait):
            had[day] = (customer.plan, customer.state is not State.TRIAL)
            day += 1
            while (moved := advanced(customer, CATALOGUE, day * DAY)) != customer:
                customer = moved
        customer = changed(customer, plan, CATALOGUE, day)
    billed = {one: plan for plan, first, last in customer.spans_in(TODAY, day - 1) for one in range(first, last + 1)}
    recent = {one for one in had if one > day - 90}
    assert {one: billed.get(one) for one in recent} == {one: had[one][0] if had[one][1] else None for one in recent}
    assert (customer.state is State.FREE) == (CATALOGUE.plans[customer.plan].price == 0)


@pytest.mark.parametrize(("day", "first"), [((2026, 1, 31), (2026, 2, 1)), ((2026, 12, 1), (2027, 1, 1))])
def test_months(day: tuple[int, int, int], first: tuple[int, int, int]) -> None:
    assert next_month(day_of(date(*day))) == day_of(date(*first))
