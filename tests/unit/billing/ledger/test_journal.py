"""The rules of double entry, kind by kind."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.runtime.errors import ConflictError, ExhaustedError, InvalidError, SealpostError
from services.billing.domain.journal import Balances, Book, Kind, Posting, balances_of, entered, lines_of

NOTHING = Balances(0, 0, 0)


def _lines(kind: Kind, stands: Balances, *amounts: int) -> dict[Book, int]:
    return dict(lines_of(Posting(kind, "r", amounts), stands))


def test_credits_are_bought_before_tax() -> None:
    lines = _lines(Kind.CREDITS_BOUGHT, NOTHING, 1000, 190)
    assert lines == {Book.CLEARING: 1190, Book.CREDITS: -1000, Book.TAX: -190}


def test_a_part_is_captured_and_the_rest_is_back() -> None:
    lines = _lines(Kind.CAPTURED, Balances(0, 500, 0), 300, 500)
    assert lines == {Book.HELD: 500, Book.REVENUE: -300, Book.CREDITS: -200}


def test_what_is_paid_too_much_becomes_credits() -> None:
    assert _lines(Kind.PAID, Balances(0, 0, 100), 150) == {
        Book.CLEARING: 150,
        Book.RECEIVABLE: -100,
        Book.CREDITS: -50,
    }


def test_a_credit_note_for_what_is_paid_becomes_credits() -> None:
    lines = _lines(Kind.CREDIT_NOTE, Balances(0, 0, 19), 100, 19)
    assert lines == {Book.REVENUE: 100, Book.TAX: 19, Book.RECEIVABLE: -19, Book.CREDITS: -100}


def test_a_dispute_takes_the_credits_that_are_left_and_the_rest_is_owed() -> None:
    lines = _lines(Kind.DISPUTED, Balances(400, 0, 0), 1190, 1000)
    assert lines == {Book.CLEARING: -1190, Book.CREDITS: 400, Book.RECEIVABLE: 790}


def test_a_dispute_that_is_won_puts_everything_back() -> None:
    bought = entered(None, Posting(Kind.CREDITS_BOUGHT, "a", (1000, 190)), 1)
    disputed = entered(bought, Posting(Kind.DISPUTED, "b", (1190, 1000)), 2)
    assert disputed.balances == Balances(0, 0, 190)
    won = entered(disputed, Posting(Kind.DISPUTE_WON, "c", (1190,)), 3)
    assert won.balances == bought.balances


@pytest.mark.parametrize(
    ("kind", "stands", "amounts", "error"),
    [
        (Kind.HELD, Balances(99, 0, 0), (100,), ExhaustedError("credits")),
        (Kind.REFUNDED, Balances(99, 0, 0), (100, 0), ExhaustedError("credits")),
        (Kind.CAPTURED, Balances(0, 100, 0), (101, 100), ConflictError("held")),
        (Kind.CAPTURED, Balances(0, 99, 0), (100, 100), ConflictError("held")),
        (Kind.RELEASED, Balances(0, 99, 0), (100,), ConflictError("held")),
        (Kind.WRITTEN_OFF, Balances(0, 0, 99), (100,), ConflictError("due")),
        (Kind.DISPUTED, NOTHING, (100, 101), InvalidError("amount")),
        (Kind.PAID, NOTHING, (0,), InvalidError("amount")),
        (Kind.PAID, NOTHING, (-1,), InvalidError("amount")),
        (Kind.PAID, NOTHING, (1, 1), InvalidError("amount")),
        (Kind.PAID, NOTHING, (10**13,), InvalidError("amount")),
    ],
)
def test_what_cannot_happen(kind: Kind, stands: Balances, amounts: tuple[int, ...], error: SealpostError) -> None:
    with pytest.raises(type(error), match=f"^{error.reason}$"):
        _lines(kind, stands, *amounts)


amounts = st.integers(0, 2000)
postings = st.tuples(st.sampled_from(Kind), st.lists(amounts, min_size=1, max_size=2))


@given(st.lists(postings, max_size=40))
def test_whatever_happens_every_entry_balances_and_nothing_is_overdrawn(
    happenings: list[tuple[Kind, list[int]]],
) -> None:
    last = None
    for number, (kind, given_amounts) in enumerate(happenings):
        try:
            last = entered(last, Posting(kind, str(number), tuple(given_amounts)), number)
        except SealpostError:
            continue
        assert sum(last.lines.values()) == 0
        assert sum(last.after.values()) == 0
        stands = balances_of(last.after)
        assert min(stands.credits, stands.held, stands.due) >= 0
