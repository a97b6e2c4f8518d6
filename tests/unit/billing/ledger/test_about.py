"""What is undone is undone exactly, and once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.runtime.errors import ConflictError, InvalidError, NotFoundError, SealpostError
from services.billing.domain.journal import Balances, Book, Kind, Lines, Posting
from services.billing.ledger.books import Books
from services.billing.ledger.entries import BOOKS
from tests.support.clock import ManualClock


def about(kind: Kind, reference: str, of: str, *amounts: int) -> Posting:
    """Return a posting that names another entry."""
    return Posting(kind, reference, amounts, of=of)


BUY = Posting(Kind.CREDITS_BOUGHT, "buy", (1000, 190))
SPEND = Posting(Kind.HELD, "hold", (600,))
INVOICE = Posting(Kind.INVOICED, "invoice", (100, 19))
PAY = about(Kind.PAID, "pay", "invoice", 119)
DISPUTE = about(Kind.DISPUTED, "dispute", "buy")
WON = about(Kind.DISPUTE_WON, "won", "buy")
REVERSE = about(Kind.REVERSED, "reverse", "buy")


@pytest.fixture
async def books(tmp_path: Path) -> AsyncIterator[Books]:
    async with await SqliteStore.open(tmp_path, (BOOKS,)) as store:
        yield Books(store, ManualClock())


async def post(books: Books, made: Sequence[Posting]) -> None:
    for posting in made:
        await books.post("a", posting)


@pytest.mark.parametrize(
    ("made", "left"),
    [
        ([BUY, REVERSE], {}),
        ([BUY, DISPUTE], {}),
        ([BUY, DISPUTE, WON], {Book.CLEARING: 1190, Book.CREDITS: -1000, Book.TAX: -190}),
        # 600 of 1000 are spent: they are owed with their tax, 114 of 190.
        ([BUY, SPEND, REVERSE], {Book.HELD: -600, Book.TAX: -114, Book.RECEIVABLE: 714}),
        ([BUY, SPEND, DISPUTE, WON], {Book.CLEARING: 1190, Book.CREDITS: -400, Book.HELD: -600, Book.TAX: -190}),
        # What was owed for a dispute was paid before it was won.
        (
            [BUY, SPEND, DISPUTE, Posting(Kind.PAID, "p", (714,)), WON],
            {Book.CLEARING: 1904, Book.CREDITS: -1114, Book.HELD: -600, Book.TAX: -190},
        ),
        ([BUY, about(Kind.REFUNDED, "r", "buy", 400, 76), REVERSE], {}),
        ([BUY, DISPUTE, WON, about(Kind.DISPUTED, "again", "buy")], {}),
        ([INVOICE, PAY, about(Kind.REVERSED, "r", "pay")], {Book.RECEIVABLE: 119, Book.REVENUE: -100, Book.TAX: -19}),
        ([INVOICE, about(Kind.CREDIT_NOTE, "c", "invoice", 100, 19)], {}),
    ],
)
async def test_what_is_left(books: Books, made: Sequence[Posting], left: Lines) -> None:
    await post(books, [*made, *made])
    last = await books.last("a")
    assert last is not None
    assert last.seq == len(made)
    assert {book: amount for book, amount in last.after.items() if amount} == left
    await books.verify("a")


@pytest.mark.parametrize(
    ("made", "error"),
    [
        ([BUY, REVERSE, about(Kind.REVERSED, "again", "buy")], ConflictError("undone")),
        ([BUY, DISPUTE, REVERSE], ConflictError("undone")),
        ([BUY, DISPUTE, about(Kind.REFUNDED, "r", "buy", 1, 0)], ConflictError("undone")),
        (
            [BUY, about(Kind.REFUNDED, "r", "buy", 600, 0), about(Kind.REFUNDED, "s", "buy", 401, 0)],
            ConflictError("refunded"),
        ),
        ([BUY, about(Kind.REFUNDED, "r", "buy", 1000, 190), DISPUTE], ConflictError("refunded")),
        ([BUY, WON], NotFoundError("dispute")),
        ([BUY, DISPUTE, WON, about(Kind.DISPUTE_WON, "again", "buy")], NotFoundError("dispute")),
        ([INVOICE, about(Kind.REVERSED, "r", "invoice")], NotFoundError("payment")),
        ([REVERSE], NotFoundError("payment")),
        ([BUY, about(Kind.PAID, "p", "buy", 1)], NotFoundError("invoice")),
        ([BUY, about(Kind.REVERSED, "r", "buy", 1190, 1000)], InvalidError("amount")),
        ([BUY, about(Kind.HELD, "h", "buy", 1)], InvalidError("of")),
        ([INVOICE, about(Kind.CREDIT_NOTE, "c", "invoice", 1, 20)], ConflictError("credited")),
        (
            [INVOICE, about(Kind.CREDIT_NOTE, "c", "invoice", 60, 0), about(Kind.CREDIT_NOTE, "d", "invoice", 41, 0)],
            ConflictError("credited"),
        ),
        (
            [INVOICE, PAY, Posting(Kind.INVOICED, "j", (50, 0)), about(Kind.WRITTEN_OFF, "w", "invoice", 1)],
            ConflictError("due"),
        ),
        ([BUY, REVERSE, Posting(Kind.REVERSED, "reverse", (), of="other")], ConflictError("reference")),
    ],
)
async def test_what_cannot_be(books: Books, made: Sequence[Posting], error: SealpostError) -> None:
    await post(books, made[:-1])
    before = await books.last("a")
    with pytest.raises(type(error), match=f"^{error.reason}$"):
        await books.post("a", made[-1])
    assert await books.last("a") == before


async def test_of_two_refunds_at_once_the_second_sees_the_first(books: Books) -> None:
    await post(books, [BUY, Posting(Kind.CREDITS_BOUGHT, "more", (5000, 0))])
    refunds = [about(Kind.REFUNDED, f"r{n}", "buy", 400, 0) for n in range(4)]
    results = await asyncio.gather(*(books.post("a", one) for one in refunds), return_exceptions=True)
    assert sum(isinstance(one, ConflictError) for one in results) == 2
    assert await books.verify("a") == Balances(5200, 0, 0)


async def test_what_of_an_invoice_is_open(books: Books) -> None:
    await post(books, [INVOICE, about(Kind.PAID, "p", "invoice", 50), about(Kind.CREDIT_NOTE, "c", "invoice", 10, 2)])
    assert await books.open_amount("a", "invoice") == 57
    await books.post("a", about(Kind.DISPUTED, "d", "p"))
    assert await books.open_amount("a", "invoice") == 107
    await books.post("a", about(Kind.DISPUTE_WON, "w", "p"))
    assert await books.open_amount("a", "invoice") == 57
    await books.post("a", about(Kind.REVERSED, "r", "p"))
    assert await books.open_amount("a", "invoice") == 107 == (await books.balances("a")).due
    with pytest.raises(NotFoundError, match=r"^invoice$"):
        await books.open_amount("a", "p")
