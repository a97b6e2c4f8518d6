"""Which plans an account had: day by day, as in a diary."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.billing.domain.customers import Customer, Span
from services.billing.domain.model import Profile

START = 20_000
MADE = Customer("a1", "m1", Profile.SEALED, "free", START, created_day=START, spans=(Span("free", START),))
CHANGES = st.lists(st.tuples(st.integers(0, 40), st.sampled_from(["free", "personal", "business"]), st.booleans()))


@given(CHANGES, st.integers(0, 40), st.integers(0, 40))
def test_spans_say_what_a_diary_says(changes: list[tuple[int, str, bool]], first: int, length: int) -> None:
    customer, diary = MADE, dict.fromkeys(range(START, START + 200), ("free", True))
    for day, plan, billed in sorted(changes, key=lambda change: change[0]):
        customer = customer.with_plan(plan, START + day, billed=billed)
        diary |= dict.fromkeys(range(START + day, START + 200), (plan, billed))
    begin, end = START + first, START + first + length
    told: dict[int, str] = {}
    for plan, one, last in customer.spans_in(begin, end):
        told |= dict.fromkeys(range(one, last + 1), plan)
    assert told == {day: plan for day, (plan, billed) in diary.items() if begin <= day <= end and billed}
    assert (customer.plan, customer.next_plan) == (diary[START + 199][0], "")


def test_what_no_bill_can_be_about_is_forgotten() -> None:
    customer = MADE
    for week in range(1, 200):
        customer = customer.with_plan(f"plan{week}", START + 7 * week)
    assert 14 <= len(customer.spans) <= 16
    last = START + 7 * 199
    # All of the month before last.
    assert sum(end - first + 1 for _, first, end in customer.spans_in(last - 92, last)) == 93


def test_before_its_first_day_there_was_no_plan() -> None:
    assert list(MADE.spans_in(START - 10, START - 1)) == []
    assert list(MADE.spans_in(START - 10, START)) == [("free", START, START)]
