"""What is paid before there is an invoice pays invoices and nothing else, and is owed again when it goes back."""

from __future__ import annotations

import pytest

from libs.runtime.errors import ConflictError, ExhaustedError
from services.billing.domain.about import About, lines_about, open_amount
from services.billing.domain.journal import Balances, Entry, Kind, Posting, entered


def _book(*postings: Posting) -> list[Entry]:
    """Enter one after the other; those that are about another find it."""
    entries: list[Entry] = []
    for posting in postings:
        lines = None
        if posting.of:
            named = next(one for one in entries if one.posting.reference == posting.of)
            stands = entries[-1].balances
            lines = lines_about(posting, stands, About(named, [one for one in entries if one.posting.of == posting.of]))
        entries.append(entered(entries[-1] if entries else None, posting, 1, lines))
    return entries


PREPAID = Posting(Kind.PREPAID, "payment/1", (357,))
INVOICED = Posting(Kind.INVOICED, "invoice/1", (300, 57))


def _settled(amount: int) -> Posting:
    return Posting(Kind.SETTLED, f"settled/{amount}", (amount,), of="invoice/1")


def test_it_settles_an_invoice() -> None:
    entries = _book(PREPAID, INVOICED, _settled(357))
    assert entries[-1].balances == Balances(0, 0, 0, 0)
    assert open_amount(entries[1], entries[2:]) == 0
    assert _book(PREPAID)[-1].balances == Balances(0, 0, 0, 357)


def test_it_settles_no_more_than_there_is_or_is_open() -> None:
    with pytest.raises(ExhaustedError, match="prepaid"):
        _book(Posting(Kind.PREPAID, "payment/1", (100,)), INVOICED, _settled(101))
    with pytest.raises(ConflictError, match="due"):
        _book(PREPAID, Posting(Kind.PREPAID, "payment/2", (100,)), INVOICED, _settled(357), _settled(1))


@pytest.mark.parametrize("settled", [0, 100, 357])
def test_what_goes_back_is_owed_as_far_as_it_was_spent(settled: int) -> None:
    spent = [_settled(settled)] if settled else []
    back = Posting(Kind.REVERSED, "back", (), of="payment/1")
    entries = _book(PREPAID, INVOICED, *spent, back)
    assert entries[-1].balances == Balances(0, 0, 357, 0)
    won = _book(PREPAID, *spent[:0], Posting(Kind.DISPUTED, "d", (), of="payment/1"))
    assert won[-1].balances == Balances(0, 0, 0, 0)


def test_a_dispute_that_is_won_brings_it_back() -> None:
    entries = _book(
        PREPAID,
        Posting(Kind.DISPUTED, "d", (), of="payment/1"),
        Posting(Kind.DISPUTE_WON, "w", (), of="payment/1"),
    )
    assert entries[-1].balances == Balances(0, 0, 0, 357)
