"""Double entry for one customer's book: which lines each happening has, given how the book stands.

An entry moves amounts between named accounts and its lines sum to nothing, so what leaves one account is in another.
Debits are positive. A customer's credits and what is held of them are owed to him, so they stand negative in the book;
`Balances` turns them round. Credits are bought before tax and the tax is due with the purchase, so that what credits
pay for later is taxed no second time. Nothing here overdraws: credits, holds and debts are never less than nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from libs.runtime.errors import ConflictError, ExhaustedError, InvalidError

_MOST = 10**12


class Book(StrEnum):
    """The accounts of a customer's book."""

    CREDITS = "credits"
    HELD = "held"
    PREPAID = "prepaid"
    RECEIVABLE = "receivable"
    REVENUE = "revenue"
    TAX = "tax"
    CLEARING = "clearing"
    WRITTEN_OFF = "written_off"


class Kind(StrEnum):
    """What can happen. The amounts that each takes stand beside it, in minor units."""

    CREDITS_BOUGHT = "credits_bought"  # net, tax
    HELD = "held"  # amount
    CAPTURED = "captured"  # captured, held
    RELEASED = "released"  # held
    INVOICED = "invoiced"  # net, tax
    PAID = "paid"  # amount
    REFUNDED = "refunded"  # net, tax; of credits
    CREDIT_NOTE = "credit_note"  # net, tax
    REVERSED = "reversed"  # amount that went back, credits that were bought with it
    DISPUTED = "disputed"  # as reversed
    DISPUTE_WON = "dispute_won"  # amount
    WRITTEN_OFF = "written_off"  # amount
    PREPAID = "prepaid"  # amount; of what will be invoiced
    SETTLED = "settled"  # amount; of an invoice, from what is prepaid
    # Takes the sums over, so that what was before it may go when law has kept it for long enough.
    CARRIED = "carried"


Lines = Mapping[Book, int]


@dataclass(frozen=True, slots=True)
class Posting:
    """What is asked to be entered; `reference` names the happening, once in a book."""

    kind: Kind
    reference: str
    amounts: tuple[int, ...]
    # Of a hold: Unix seconds at which it lapses.
    hold_until: int = 0
    # The reference of the entry that it is about, which then says what it may be; see about.py.
    of: str = ""


@dataclass(frozen=True, slots=True)
class Balances:
    """How a book stands, as its customer sees it."""

    credits: int
    held: int
    due: int
    # Paid before there was an invoice; it can pay invoices and nothing else, for it bears no tax yet.
    prepaid: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """What stands in a book. `after` are the sums of all lines up to and with these."""

    seq: int
    at: int
    posting: Posting
    lines: Lines
    after: Lines

    @property
    def balances(self) -> Balances:
        """Return how the book stands after it."""
        return balances_of(self.after)


def balances_of(sums: Lines) -> Balances:
    """Return how a book with these sums stands."""
    return Balances(
        -sums.get(Book.CREDITS, 0), -sums.get(Book.HELD, 0), sums.get(Book.RECEIVABLE, 0), -sums.get(Book.PREPAID, 0)
    )


def entered(previous: Entry | None, posting: Posting, at: int, lines: Lines | None = None) -> Entry:
    """Return the entry that follows `previous`; its lines are worked out unless they are given.

    Raises: InvalidError("amount") for amounts that no such happening has; ExhaustedError("credits") for credits that
    are not there; ConflictError("held" | "due") for more than is held or owed.
    """
    before = previous.after if previous is not None else {}
    # A clock that was set back must not turn the order of a book round: by their times, entries are deleted.
    at = max(at, previous.at) if previous is not None else at
    if lines is None:
        lines = lines_of(posting, balances_of(before))
    after = {book: before.get(book, 0) + lines.get(book, 0) for book in Book if book in before or book in lines}
    return Entry(previous.seq + 1 if previous is not None else 1, at, posting, lines, after)


def lines_of(posting: Posting, stands: Balances) -> Lines:
    """Return the lines of `posting` in a book that stands as `stands`; they sum to nothing. Raises: as `entered`."""
    rule, wanted = _RULES[posting.kind]
    amounts = posting.amounts
    if len(amounts) != wanted or not all(0 <= amount <= _MOST for amount in amounts) or not all(amounts[:1]):
        raise InvalidError("amount")
    return balanced(rule(stands, *amounts))


def balanced(lines: Lines) -> Lines:
    """Return lines without those that move nothing. Raises: ValueError if they do not sum to nothing."""
    if sum(lines.values()):
        raise ValueError("an entry does not balance")
    return {book: amount for book, amount in lines.items() if amount}


def _credits_bought(_: Balances, net: int, tax: int) -> Lines:
    return {Book.CLEARING: net + tax, Book.CREDITS: -net, Book.TAX: -tax}


def _held(stands: Balances, amount: int) -> Lines:
    _enough_credits(stands, amount)
    return {Book.CREDITS: amount, Book.HELD: -amount}


def _captured(stands: Balances, captured: int, held: int) -> Lines:
    if captured > held or held > stands.held:
        raise ConflictError("held")
    return {Book.HELD: held, Book.REVENUE: -captured, Book.CREDITS: captured - held}


def _released(stands: Balances, held: int) -> Lines:
    if held > stands.held:
        raise ConflictError("held")
    return {Book.HELD: held, Book.CREDITS: -held}


def _invoiced(_: Balances, net: int, tax: int) -> Lines:
    return {Book.RECEIVABLE: net + tax, Book.REVENUE: -net, Book.TAX: -tax}


def _paid(stands: Balances, amount: int) -> Lines:
    """Pay what is due; what is too much becomes credits."""
    pays = min(amount, stands.due)
    return {Book.CLEARING: amount, Book.RECEIVABLE: -pays, Book.CREDITS: pays - amount}


def _refunded(stands: Balances, net: int, tax: int) -> Lines:
    _enough_credits(stands, net)
    return {Book.CREDITS: net, Book.TAX: tax, Book.CLEARING: -net - tax}


def _credit_note(stands: Balances, net: int, tax: int) -> Lines:
    """Take an invoice back; what of it has been paid already becomes credits."""
    gross = net + tax
    owed = min(gross, stands.due)
    return {Book.REVENUE: net, Book.TAX: tax, Book.RECEIVABLE: -owed, Book.CREDITS: owed - gross}


def _gone_back(stands: Balances, amount: int, bought: int) -> Lines:
    """Money went back: credits that it bought go as far as they are there, the rest is owed."""
    if bought > amount:
        raise InvalidError("amount")
    taken = min(bought, stands.credits)
    return {Book.CLEARING: -amount, Book.CREDITS: taken, Book.RECEIVABLE: amount - taken}


def _written_off(stands: Balances, amount: int) -> Lines:
    if amount > stands.due:
        raise ConflictError("due")
    return {Book.RECEIVABLE: -amount, Book.WRITTEN_OFF: amount}


def _prepaid(_: Balances, amount: int) -> Lines:
    return {Book.CLEARING: amount, Book.PREPAID: -amount}


def _settled(stands: Balances, amount: int) -> Lines:
    if amount > stands.prepaid:
        raise ExhaustedError("prepaid")
    if amount > stands.due:
        raise ConflictError("due")
    return {Book.PREPAID: amount, Book.RECEIVABLE: -amount}


def _carried(_: Balances) -> Lines:
    return {}


def _enough_credits(stands: Balances, amount: int) -> None:
    if amount > stands.credits:
        raise ExhaustedError("credits")


# The rule of each kind, and how many amounts it takes. The first is never nothing.
_RULES: Mapping[Kind, tuple[Callable[..., Lines], int]] = {
    Kind.CREDITS_BOUGHT: (_credits_bought, 2),
    Kind.HELD: (_held, 1),
    Kind.CAPTURED: (_captured, 2),
    Kind.RELEASED: (_released, 1),
    Kind.INVOICED: (_invoiced, 2),
    Kind.PAID: (_paid, 1),
    Kind.REFUNDED: (_refunded, 2),
    Kind.CREDIT_NOTE: (_credit_note, 2),
    Kind.REVERSED: (_gone_back, 2),
    Kind.DISPUTED: (_gone_back, 2),
    Kind.DISPUTE_WON: (_paid, 1),
    Kind.WRITTEN_OFF: (_written_off, 1),
    Kind.PREPAID: (_prepaid, 1),
    Kind.SETTLED: (_settled, 1),
    Kind.CARRIED: (_carried, 0),
}
