"""Entries about entries: what is undone is undone exactly, nothing twice, and no more than there was.

A posting with `of` is measured against the entry that it names and all others that name the same. A payment that went
back moves what the payment moved, the other way round. Credits that are spent by then cannot go: they are owed instead,
with their tax, while the tax of those that go is owed by nobody any more. A dispute that is won moves the dispute's
lines back. Because such postings take no amounts of their own, nobody can state them wrong.

What is given back of a payment for an invoice is taken from what is prepaid, then from credits, and the rest is owed:
the credit note for it (payments/booking.py) pays that, whichever of the two is entered first.

Books.post looks at those others before it adds the next entry, under whose number only one can add: so of two refunds
at once, the second sees the first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from libs.runtime.errors import ConflictError, InvalidError, NotFoundError
from services.billing.domain.journal import Balances, Book, Entry, Kind, Lines, Posting, balanced, lines_of

# Of one entry; more than any payment or invoice comes to.
MOST_ABOUT = 500


@dataclass(frozen=True)
class About:
    """The entry that a posting names, and all that name the same, oldest first."""

    entry: Entry | None
    others: Sequence[Entry] = ()


def lines_about(posting: Posting, stands: Balances, about: About) -> Lines:
    """Return the lines of `posting` in a book that stands as `stands`.

    PAID, SETTLED, WRITTEN_OFF, CREDIT_NOTE are of an invoice; REFUNDED is of a payment or of credits that were bought,
    of a part or all of it; REVERSED, DISPUTED and DISPUTE_WON are of all of it, and take no amounts.
    Raises: NotFoundError("invoice" | "payment" | "dispute"); ConflictError("credited" | "refunded" | "due") for more
    than there was, ConflictError("undone") for a payment that went back already; InvalidError("of") where nothing can
    be of anything; as journal.lines_of.
    """
    rule = _RULES.get(posting.kind)
    if rule is None:
        raise InvalidError("of")
    if len(about.others) >= MOST_ABOUT:
        raise ConflictError("too_many")
    return balanced(rule(posting, stands, about))


def open_amount(invoice: Entry, about: Sequence[Entry]) -> int:
    """Return what of an invoice is neither paid, nor credited, nor written off.

    `about`: what names it, without payments that went back; Books.open_amount leaves them out.
    """
    settled = sum(sum(one.posting.amounts) for one in about if one.posting.kind in _SETTLING)
    return sum(invoice.posting.amounts) - settled


def went_back(about: Sequence[Entry]) -> bool:
    """Tell whether a payment went back, by what names it: it was reversed, or a dispute over it is not won."""
    named = About(None, about)
    return _open_dispute(named) is not None or _has(named, Kind.REVERSED)


def _of_invoice(posting: Posting, stands: Balances, about: About) -> Lines:
    _target(about, [Kind.INVOICED], "invoice")
    return lines_of(posting, stands)


def _no_more_than_open(posting: Posting, stands: Balances, about: About) -> Lines:
    invoice = _target(about, [Kind.INVOICED], "invoice")
    if sum(posting.amounts) > open_amount(invoice, about.others):
        raise ConflictError("due")
    return lines_of(posting, stands)


def _credit_note(posting: Posting, stands: Balances, about: About) -> Lines:
    _no_more_than(posting, _target(about, [Kind.INVOICED], "invoice"), about, "credited")
    return lines_of(posting, stands)


def _refunded(posting: Posting, stands: Balances, about: About) -> Lines:
    payment = _target(about, _PAYMENTS, "payment")
    if _open_dispute(about) or _has(about, Kind.REVERSED):
        raise ConflictError("undone")
    _no_more_than(posting, payment, about, "refunded")
    if payment.posting.kind is Kind.CREDITS_BOUGHT:
        return lines_of(posting, stands)
    amount, tax = posting.amounts if len(posting.amounts) == _NET_AND_TAX else (0, 0)
    if amount <= 0 or tax:
        # Tax is the credit note's.
        raise InvalidError("amount")
    prepaid = min(amount, stands.prepaid) if payment.posting.kind is Kind.PREPAID else 0
    return _within({Book.CLEARING: -amount, Book.PREPAID: prepaid, Book.CREDITS: amount - prepaid}, stands)


def _undone(posting: Posting, stands: Balances, about: About) -> Lines:
    payment = _target(about, _PAYMENTS, "payment")
    _without_amounts(posting)
    if _open_dispute(about) or _has(about, Kind.REVERSED):
        raise ConflictError("undone")
    lines = dict(payment.lines)
    for refund in about.others:
        if refund.posting.kind is Kind.REFUNDED:
            lines = {book: lines.get(book, 0) + refund.lines.get(book, 0) for book in {*lines, *refund.lines}}
    if not any(lines.values()):
        raise ConflictError("refunded")
    credits, tax = -lines.get(Book.CREDITS, 0), -lines.get(Book.TAX, 0)
    spent = max(0, credits - stands.credits)
    # Half up, once: of what is spent the tax stays due.
    tax_of_spent = (2 * tax * spent + credits) // (2 * credits) if credits else 0
    back = {book: -amount for book, amount in lines.items()}
    back[Book.CREDITS] = credits - spent
    back[Book.TAX] = tax - tax_of_spent
    back[Book.RECEIVABLE] = back.get(Book.RECEIVABLE, 0) + spent + tax_of_spent
    # What was prepaid and has settled an invoice is owed again.
    return _within(back, stands)


def _won(posting: Posting, stands: Balances, about: About) -> Lines:
    _target(about, _PAYMENTS, "payment")
    _without_amounts(posting)
    disputed = _open_dispute(about)
    if disputed is None:
        raise NotFoundError("dispute")
    return _within({book: -amount for book, amount in disputed.lines.items()}, stands)


def _within(lines: Lines, stands: Balances) -> Lines:
    """Return lines that take no more than there is of what is prepaid and of credits: the customer owes the rest.

    What pays more than is owed by now becomes credits, as whatever is paid too much.
    """
    prepaid, credits, owed = (lines.get(book, 0) for book in (Book.PREPAID, Book.CREDITS, Book.RECEIVABLE))
    not_there = max(0, prepaid - stands.prepaid), max(0, credits - stands.credits)
    owed += sum(not_there)
    too_much = max(0, -owed - stands.due)
    changed = {
        Book.PREPAID: prepaid - not_there[0],
        Book.CREDITS: credits - not_there[1] - too_much,
        Book.RECEIVABLE: owed + too_much,
    }
    return {**lines, **changed}


def _target(about: About, kinds: Sequence[Kind], what: str) -> Entry:
    if about.entry is None or about.entry.posting.kind not in kinds:
        raise NotFoundError(what)
    return about.entry


def _without_amounts(posting: Posting) -> None:
    if posting.amounts:
        raise InvalidError("amount")


def _has(about: About, kind: Kind) -> bool:
    return any(one.posting.kind is kind for one in about.others)


def _open_dispute(about: About) -> Entry | None:
    """Return the dispute that nobody has won yet; there is one at most."""
    disputes = [one for one in about.others if one.posting.kind in (Kind.DISPUTED, Kind.DISPUTE_WON)]
    return disputes[-1] if disputes and disputes[-1].posting.kind is Kind.DISPUTED else None


def _no_more_than(posting: Posting, first: Entry, about: About, reason: str) -> None:
    """Net and tax of all of this kind together are no more than `first` had."""
    same = [one.posting.amounts for one in about.others if one.posting.kind is posting.kind]
    for sums, most in zip(zip(*same, posting.amounts, strict=False), first.posting.amounts, strict=False):
        if sum(sums) > most:
            raise ConflictError(reason)


_NET_AND_TAX = 2
_SETTLING = (Kind.PAID, Kind.SETTLED, Kind.CREDIT_NOTE, Kind.WRITTEN_OFF)
_PAYMENTS = (Kind.CREDITS_BOUGHT, Kind.PAID, Kind.PREPAID)

_RULES: Mapping[Kind, Callable[[Posting, Balances, About], Lines]] = {
    Kind.PAID: _of_invoice,
    Kind.WRITTEN_OFF: _no_more_than_open,
    Kind.SETTLED: _no_more_than_open,
    Kind.CREDIT_NOTE: _credit_note,
    Kind.REFUNDED: _refunded,
    Kind.REVERSED: _undone,
    Kind.DISPUTED: _undone,
    Kind.DISPUTE_WON: _won,
}
