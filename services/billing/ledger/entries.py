"""How an entry is stored: one document for each, whole or not at all, and never changed.

The key counts the entries of a book, so the next one can be inserted once only; the index of references is unique, so
each happening stands in a book once. `hold_until` is no part of the entry but the list of holds that are open: it is
taken off the document when the hold is settled.
"""

from __future__ import annotations

from libs.docstore.fields import choice, nested, number, text
from libs.docstore.store import Collection, Document, Index, Insert, Value
from libs.runtime.errors import InternalError
from services.billing.domain.journal import Book, Entry, Kind, Lines, Posting

BOOKS = Collection(
    "books",
    (
        Index("account", ("account", "seq")),
        Index("reference", ("account", "reference"), unique=True),
        Index("open_holds", ("hold_until",)),
        Index("about", ("account", "of", "seq")),
        Index("at", ("at",)),
    ),
    fields=("account", "seq", "reference", "of", "hold_until", "at", "kind", "amounts", "lines", "after"),
)


def entry_key(account_id: str, seq: int) -> str:
    """Return the key of a book's entry."""
    return f"{account_id}/{seq:010d}"


def insert(account_id: str, entry: Entry) -> Insert:
    """Return the operation that writes `entry`, if it is the next one of its book."""
    posting = entry.posting
    body: dict[str, Value] = {
        "account": account_id,
        "seq": entry.seq,
        "reference": posting.reference,
        "at": entry.at,
        "kind": posting.kind.value,
        "amounts": list(posting.amounts),
        "lines": _sums(entry.lines),
        "after": _sums(entry.after),
    }
    if posting.hold_until:
        body["hold_until"] = posting.hold_until
    if posting.of:
        body["of"] = posting.of
    return Insert(BOOKS, entry_key(account_id, entry.seq), body)


def entry_of(document: Document) -> Entry:
    """Return the stored entry. Raises: InternalError("document_damaged")."""
    body = document.body
    amounts = body.get("amounts")
    if not isinstance(amounts, list):
        raise InternalError("document_damaged")
    posting = Posting(
        choice(Kind, text(body, "kind")),
        text(body, "reference"),
        tuple(number({"amount": amount}, "amount") for amount in amounts),
        number(body, "hold_until", 0),
        text(body, "of") if "of" in body else "",
    )
    return Entry(number(body, "seq"), number(body, "at"), posting, _lines(document, "lines"), _lines(document, "after"))


def _sums(lines: Lines) -> dict[str, Value]:
    return {book.value: amount for book, amount in lines.items()}


def _lines(document: Document, name: str) -> Lines:
    stored = nested(document.body, name)
    return {choice(Book, book): number(stored, book) for book in stored}
