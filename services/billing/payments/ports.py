"""What payments want of the rest of billing, and of whoever makes them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from services.billing.domain.customers import Customer
from services.billing.domain.model import Catalogue, Profile
from services.billing.payments.model import Payment


@dataclass(frozen=True, slots=True)
class Started:
    """How a payment is made: on a page of the provider, or by a transfer that bears a reference."""

    url: str = ""
    provider_ref: str = ""
    reference: str = ""


class Happened(StrEnum):
    """What a provider can tell of a payment, once it was looked at again."""

    WAITS = "waits"
    PAID = "paid"
    FAILED = "failed"
    REFUNDED = "refunded"
    DISPUTED = "disputed"
    WON = "won"
    # Another month of a plan was paid.
    RENEWED = "renewed"


@dataclass(frozen=True, slots=True)
class Told:
    """What came of looking. `payment_id` or `charge_ref` says of which payment; `customer_ref`: who paid, as they say.

    `amount`: what moved, of RENEWED and REFUNDED; all that was given back by now, of REFUNDED. `own_ref`: what the
    provider calls another month's payment.
    """

    happened: Happened
    payment_id: str = ""
    charge_ref: str = ""
    customer_ref: str = ""
    amount: int = 0
    own_ref: str = ""


@dataclass(frozen=True, slots=True)
class Webhook:
    """A message of a provider whose signature is right: which it is, of what kind, and what to look at."""

    event_id: str
    kind: str
    object_ref: str


class Provider(Protocol):
    """Somebody who takes payments. Raises: UnavailableError where he cannot be reached or fails."""

    @property
    def name(self) -> str:
        """Return his name, a word of ours."""

    @property
    def sells_plans(self) -> bool:
        """Return whether a plan is paid there month by month; else it is billed."""

    async def start(self, payment: Payment, customer: Customer, title: str) -> Started:
        """Begin a payment; the same payment again is the same beginning."""

    async def portal(self, customer: Customer) -> str:
        """Return where a customer sees his cards and mandates. Raises: ConflictError("no_portal")."""

    async def end_plans(self, customer: Customer, but: str = "") -> None:
        """Have plans that are paid there end when what is paid for is over; not that of the payment `but`."""

    async def go_on(self, customer: Customer) -> None:
        """Have the newest plan that is to end go on."""

    def webhook(self, body: bytes, signature: str) -> Webhook:
        """Return what a message says. Raises: DeniedError("signature"); InvalidError("webhook")."""

    async def look(self, webhook: Webhook) -> Told | None:
        """Return how what it is about stands now, whatever the message says; None where that is no matter of ours."""


class Invoices(Protocol):
    """Issued invoices."""

    async def owed(self, account_id: str, number: str) -> int:
        """Return what of an invoice is open. Raises: NotFoundError("invoice")."""

    async def settled(self, account_id: str, number: str) -> None:
        """Have an invoice say what the books say."""

    async def settle_prepaid(self, account_id: str) -> None:
        """Let what an account has paid in advance pay its open invoices, the oldest first."""

    async def take_back(self, account_id: str, number: str, reference: str, gross: int) -> None:
        """Credit `gross` of an invoice, or what is left of it; without a number, of the newest ones.

        Once for a reference. Raises: NotFoundError("invoice"); ConflictError("not_booked") while it is being issued.
        """

    async def account_of(self, number: str) -> str:
        """Return whose an invoice is. Raises: NotFoundError("invoice")."""


class PlanChanges(Protocol):
    """plans.Plans."""

    async def change(self, account_id: str, mailbox_id: str, profile: Profile, plan: str) -> Customer:
        """Change the plan."""


class Offers(Protocol):
    """The versions of the catalogue."""

    def on(self, day: int) -> Catalogue:
        """Return the version that holds on a day."""
