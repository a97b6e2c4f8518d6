"""A payment, as one document: what it is for, how it stands, and what of it has still to be booked.

Every change of state writes down, in the same document, which entry it makes in the books (`step`). The entry is made
after that, under a reference that the books have once; whoever dies in between leaves the step to the next who looks.
Nothing of a card, a bank account or a person has a field here: the provider's own numbers stand for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from libs.docstore.fields import choice, number, text
from libs.docstore.store import Collection, Document, Index, Value


class Purpose(StrEnum):
    """What a payment is for."""

    CREDITS = "credits"
    INVOICE = "invoice"
    PLAN = "plan"


class State(StrEnum):
    """How a payment stands."""

    WAITING = "waiting"
    PAID = "paid"
    FAILED = "failed"
    REFUNDED = "refunded"
    REVERSAL_ASKED = "reversal_asked"
    REVERSED = "reversed"
    DISPUTED = "disputed"


class Step(StrEnum):
    """What has still to be entered in the books."""

    PAID = "paid"
    REFUNDED = "refunded"
    REVERSED = "reversed"
    DISPUTED = "disputed"
    WON = "won"


PAYMENTS = Collection(
    "payments",
    (
        Index("account", ("account", "created")),
        Index("request", ("account", "request"), unique=True),
        Index("reference", ("reference",), unique=True),
        Index("provider", ("provider_ref",), unique=True),
        Index("charge", ("charge_ref",), unique=True),
        Index("states", ("state", "created")),
        Index("steps", ("step", "created")),
        Index("created", ("created",)),
    ),
    fields=(
        *("account", "purpose", "what", "net", "tax", "amount", "currency", "state", "step", "provider", "request"),
        *("reference", "provider_ref", "charge_ref", "url", "created", "recorded_by", "asked_by", "confirmed_by"),
        *("refunds", "disputes"),
    ),
)


@dataclass(frozen=True, slots=True)
class Payment:
    """One payment. Amounts in minor units; `created` in Unix seconds; officers are account ids."""

    payment_id: str
    account_id: str
    purpose: Purpose
    # The number of an invoice, or the name of a plan; "" for credits.
    what: str
    net: int
    tax: int
    amount: int
    currency: str
    provider: str
    request: str
    created: int
    state: State = State.WAITING
    step: Step | None = None
    # What a transfer has to bear; "" where the provider has a page.
    reference: str = ""
    # What the provider calls the payment while it is made, and once money has moved.
    provider_ref: str = ""
    charge_ref: str = ""
    url: str = ""
    recorded_by: str = ""
    asked_by: str = ""
    confirmed_by: str = ""
    # How much of it the provider has given back, in the order in which it did, all together each time.
    refunds: tuple[int, ...] = ()
    # How often it was disputed.
    disputes: int = 0
    version: int = 0


def body_of(payment: Payment) -> dict[str, Value]:
    """Return the document of a payment. What stands in a unique index is absent where there is none."""
    return {
        "account": payment.account_id,
        "purpose": payment.purpose.value,
        "what": payment.what,
        "net": payment.net,
        "tax": payment.tax,
        "amount": payment.amount,
        "currency": payment.currency,
        "state": payment.state.value,
        "step": payment.step.value if payment.step else None,
        "provider": payment.provider,
        "request": payment.request,
        "reference": payment.reference or None,
        "provider_ref": payment.provider_ref or None,
        "charge_ref": payment.charge_ref or None,
        "url": payment.url,
        "created": payment.created,
        "recorded_by": payment.recorded_by,
        "asked_by": payment.asked_by,
        "confirmed_by": payment.confirmed_by,
        "refunds": list(payment.refunds),
        "disputes": payment.disputes,
    }


def payment_of(document: Document) -> Payment:
    """Return the stored payment. Raises: InternalError("document_damaged")."""
    body = document.body
    step, refunds = body.get("step"), body.get("refunds")
    return Payment(
        payment_id=document.key,
        account_id=text(body, "account"),
        purpose=choice(Purpose, text(body, "purpose")),
        what=text(body, "what"),
        net=number(body, "net"),
        tax=number(body, "tax"),
        amount=number(body, "amount"),
        currency=text(body, "currency"),
        provider=text(body, "provider"),
        request=text(body, "request"),
        created=number(body, "created"),
        state=choice(State, text(body, "state")),
        step=choice(Step, step) if isinstance(step, str) else None,
        reference=_told(body.get("reference")),
        provider_ref=_told(body.get("provider_ref")),
        charge_ref=_told(body.get("charge_ref")),
        url=text(body, "url"),
        recorded_by=text(body, "recorded_by"),
        asked_by=text(body, "asked_by"),
        confirmed_by=text(body, "confirmed_by"),
        refunds=tuple(number({"n": one}, "n") for one in refunds) if isinstance(refunds, list) else (),
        disputes=number(body, "disputes"),
        version=document.version,
    )


def _told(value: Value) -> str:
    return value if isinstance(value, str) else ""
