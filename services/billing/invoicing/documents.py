"""How an invoice is stored: one document, whose amounts are clear and whose content is sealed.

A document is a draft until the register has given it a number. What it says never changes: a mistake is taken back by
a credit note, which is a document of its own in the same sequence. `step` is what has still to be done with a
document; the field goes when nothing has, and with it the document's place in the list of work.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from libs.docstore.fields import choice, number, text
from libs.docstore.store import Collection, Document, Index, Value
from libs.runtime.errors import InternalError
from services.billing.domain.model import DAY

INVOICES = Collection(
    "invoices",
    (
        Index("account", ("account", "serial")),
        Index("number", ("number",), unique=True),
        Index("steps", ("step", "made")),
        Index("unpaid", ("state", "due_day")),
        Index("issued", ("issued_at",)),
    ),
    fields=(
        "account",
        "kind",
        "month",
        "of",
        "net",
        "tax",
        "currency",
        "payment_days",
        "state",
        "step",
        "made",
        "number",
        "serial",
        "issued_at",
        "due_day",
        "credits",
        "content",
    ),
)

_PER_YEAR = 10**9


class Kind(StrEnum):
    """What a document is."""

    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"


class State(StrEnum):
    """How a document stands; a credit note is never owed and so never more than `open`."""

    DRAFT = "draft"
    OPEN = "open"
    PAID = "paid"
    CREDITED = "credited"


class Step(StrEnum):
    """What has still to be done."""

    NUMBER = "number"
    BOOK = "book"
    CREDIT = "credit"


@dataclass(frozen=True, slots=True)
class Credit:
    """A part of an invoice that was taken back; `reference` is the caller's, once for an invoice."""

    reference: str
    net: int
    tax: int

    @property
    def gross(self) -> int:
        """Return how much the payer owes less."""
        return self.net + self.tax


@dataclass(frozen=True, slots=True)
class Invoice:
    """What is clear of a document. A draft has no number, no day of issue and none on which it is due."""

    key: str
    account_id: str
    kind: Kind
    # Months since 1970-01.
    month: int
    # The number of the invoice that a credit note is for.
    of: str
    net: int
    tax: int
    currency: str
    payment_days: int
    state: State = State.DRAFT
    step: Step | None = Step.NUMBER
    number: str = ""
    issued_day: int = 0
    due_day: int = 0
    credits: tuple[Credit, ...] = ()
    version: int = 0

    @property
    def gross(self) -> int:
        """Return what is to be paid, or given back."""
        return self.net + self.tax


def invoice_key(account_id: str, month: int) -> str:
    """Return the key of an account's invoice for a month."""
    return f"{account_id}/{month // 12 + 1970:04d}-{month % 12 + 1:02d}"


def note_key(invoice: str, position: int) -> str:
    """Return the key of the credit note for the credit at `position` of an invoice."""
    return f"{invoice}/{position:03d}"


def number_of(year: int, count: int) -> str:
    """Return the number of a year's document `count`, from 1 on."""
    return f"{year:04d}-{count:06d}"


def serial_of(year: int, count: int) -> int:
    """Return what sorts as numbers are given, however many there are in a year."""
    return year * _PER_YEAR + count


def book_reference(number: str) -> str:
    """Return what the books call a document."""
    return f"invoice/{number}"


def draft_body(draft: Invoice, made: int, content: bytes) -> dict[str, Value]:
    """Return the document of a draft made at `made`, with its sealed content."""
    return {
        "account": draft.account_id,
        "kind": draft.kind.value,
        "month": draft.month,
        "of": draft.of,
        "net": draft.net,
        "tax": draft.tax,
        "currency": draft.currency,
        "payment_days": draft.payment_days,
        "state": State.DRAFT.value,
        "step": Step.NUMBER.value,
        "made": made,
        "content": content,
    }


def numbered_fields(document: Document, year: int, count: int, day: int) -> dict[str, Value]:
    """Return the fields that make a draft an issued document."""
    return {
        "number": number_of(year, count),
        "serial": serial_of(year, count),
        "issued_at": day * DAY,
        "due_day": day + number(document.body, "payment_days"),
        "state": State.OPEN.value,
        "step": Step.BOOK.value,
    }


def credits_value(credits: tuple[Credit, ...]) -> list[Value]:
    """Return how the credits of an invoice are stored."""
    return [{"reference": credit.reference, "net": credit.net, "tax": credit.tax} for credit in credits]


def invoice_of(document: Document) -> Invoice:
    """Return what is clear of a document. Raises: InternalError("document_damaged")."""
    body = document.body
    step = body.get("step")
    issued = body.get("number") is not None
    return Invoice(
        key=document.key,
        account_id=text(body, "account"),
        kind=choice(Kind, text(body, "kind")),
        month=number(body, "month"),
        of=text(body, "of"),
        net=number(body, "net"),
        tax=number(body, "tax"),
        currency=text(body, "currency"),
        payment_days=number(body, "payment_days"),
        state=choice(State, text(body, "state")),
        step=choice(Step, step) if isinstance(step, str) else None,
        number=text(body, "number") if issued else "",
        issued_day=number(body, "issued_at") // DAY if issued else 0,
        due_day=number(body, "due_day") if issued else 0,
        credits=_credits(body.get("credits")),
        version=document.version,
    )


def _credits(value: Value) -> tuple[Credit, ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise InternalError("document_damaged")
    return tuple(
        Credit(text(item, "reference"), number(item, "net"), number(item, "tax"))
        for item in value
        if isinstance(item, dict)
    )
