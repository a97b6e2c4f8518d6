"""The JSON of billing. Amounts are whole minor units, of which `digits` of the catalogue stand behind the point."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, model_validator

from services.gateway.http.models import In

_MOST = 2**53 - 1
Amount = Annotated[int, Field(strict=True, ge=1, le=_MOST)]
Line = Annotated[str, Field(max_length=120)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Number = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{6,12}$")]


class PlanIn(In):
    plan: Name


class DetailsIn(In):
    name: Line
    address_lines: Annotated[list[Line], Field(max_length=6)]
    country: Annotated[str, Field(pattern=r"^([A-Z]{2})?$", description="ISO 3166-1; empty: not told.")]
    vat_id: Annotated[str, Field(max_length=32)] = ""


class PaymentIn(In):
    """What is to be paid: one of the three. `request_id` is the caller's; again, it is the same payment."""

    request_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    credits: Amount | None = None
    invoice: Number | None = None
    plan: Name | None = None

    @model_validator(mode="after")
    def one_of_them(self) -> PaymentIn:
        """See that exactly one is there."""
        if sum(one is not None for one in (self.credits, self.invoice, self.plan)) != 1:
            raise ValueError("one of them")
        return self


class TransferIn(In):
    reference: Annotated[str, Field(min_length=1, max_length=64)]
    amount: Amount


class CreditIn(In):
    """Without an amount all that is left of the invoice. `request_id` is the caller's; again, it is the same note."""

    request_id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    amount: Amount | None = None


class Tier(BaseModel):
    """`price` of each begun lot of `per_units`, for units above `above`."""

    above: int
    price: int
    per_units: int


class Allowance(BaseModel):
    """`included` is null where there is no limit."""

    meter: str
    title: str
    per: str
    included: int | None
    unit: str
    tiers: list[Tier]


class Plan(BaseModel):
    name: str
    title: str
    help: str
    price: int
    trial_days: int
    allowances: list[Allowance]


class Offers(BaseModel):
    version: int
    currency: str
    digits: int
    provider: str
    credit_packs: list[int]
    plans: list[Plan]


class Used(BaseModel):
    allowance: Allowance
    used: int


class PriceChange(BaseModel):
    """What changes of a plan, in words, and from when on at the earliest."""

    plan: str
    since: datetime
    changes: list[str]


class Standing(BaseModel):
    """`due` is of invoices that are not paid, `accruing` of the month so far, before tax."""

    plan: str
    state: Literal["free", "trial", "active", "grace", "read_only"]
    state_until: datetime | None
    next_plan: str | None
    next_plan_at: datetime | None
    used: list[Used]
    credits: int
    credits_held: int
    due: int
    due_at: datetime | None
    accruing: int
    # What becomes worse by a price change that is announced.
    coming: list[PriceChange]


class DayUsage(BaseModel):
    day: date
    units: dict[str, int]


class Usage(BaseModel):
    days: list[DayUsage]


class Details(BaseModel):
    name: str
    address_lines: list[str]
    country: str
    vat_id: str


class Invoice(BaseModel):
    number: str
    kind: Literal["invoice", "credit_note"]
    issued: date
    due: date | None
    net: int
    tax: int
    gross: int
    currency: str
    state: Literal["open", "paid", "credited"]
    of: str | None


class Invoices(BaseModel):
    invoices: list[Invoice]
    next_cursor: str | None


class BookEntry(BaseModel):
    """What it changed of credits, of what of them is held, and of what is due."""

    at: datetime
    kind: str
    credits: int
    held: int
    due: int
    reference: str


class BookEntries(BaseModel):
    entries: list[BookEntry]
    next_cursor: str | None


class Payment(BaseModel):
    """With a transfer `reference` and `instructions` say how to pay, with a provider's page `url` does."""

    id: str
    state: Literal["waiting", "paid", "failed", "refunded", "reversal_asked", "reversed", "disputed"]
    amount: int
    currency: str
    purpose: str
    what: str
    reference: str
    instructions: str
    url: str | None
    created: datetime


class Portal(BaseModel):
    url: str


class Payments(BaseModel):
    payments: list[Payment]
    next_cursor: str | None


class OpenInvoice(BaseModel):
    """`open` is what is left to pay."""

    invoice: Invoice
    open: int


class OpenInvoices(BaseModel):
    invoices: list[OpenInvoice]
    next_cursor: str | None


class Reconciliation(BaseModel):
    """`owned` is what the owner of the data says, `late` came too late to be counted."""

    day: date
    meter: str
    counted: int
    owned: int
    late: int


class Reconciliations(BaseModel):
    reconciliations: list[Reconciliation]
