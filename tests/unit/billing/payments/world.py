"""A customer with an invoice, books, and payments by transfer or at a provider that a test speaks for."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Store
from libs.local.plan import CATALOGUE
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import ConflictError, DeniedError
from services.billing.customers import CUSTOMERS, Customers
from services.billing.domain.catalogue import load_catalogues
from services.billing.domain.customers import Customer, Details
from services.billing.domain.model import Profile
from services.billing.gone import GONE
from services.billing.invoicing.documents import INVOICES
from services.billing.invoicing.invoices import Invoices
from services.billing.invoicing.notes import Notes
from services.billing.invoicing.register import REGISTER
from services.billing.invoicing.run import RUNS
from services.billing.invoicing.sources import BookKeeping
from services.billing.ledger.books import Books
from services.billing.ledger.entries import BOOKS
from services.billing.payments.booking import Booking
from services.billing.payments.dunning import Dunning
from services.billing.payments.model import PAYMENTS, Payment
from services.billing.payments.payments import Parts, Payments
from services.billing.payments.ports import Provider, Started, Told, Webhook
from services.billing.payments.taking import WEBHOOK_EVENTS, Taking
from services.billing.plans import Plans
from tests.support.billing import gone_of
from tests.unit.billing.invoicing.world import FIRST, VAULT
from tests.unit.billing.invoicing.world import World as Invoicing

COLLECTIONS = (CUSTOMERS, GONE, INVOICES, REGISTER, RUNS, BOOKS, PAYMENTS, WEBHOOK_EVENTS)
ACCOUNT = "a1"


@dataclass
class Said:
    """A provider whose objects a test sets; a message is JSON with its id and the object it is about."""

    objects: dict[str, Told | None] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    name: str = "said"
    sells_plans: bool = True

    async def start(self, payment: Payment, customer: Customer, title: str) -> Started:
        """See Provider."""
        self.started.append(payment.payment_id)
        return Started(url=f"https://pay.example/{payment.payment_id}", provider_ref=f"session-{payment.payment_id}")

    async def end_plans(self, customer: Customer, but: str = "") -> None:
        """See Provider."""
        self.ended.append(but)

    async def go_on(self, customer: Customer) -> None:
        """See Provider."""

    async def portal(self, customer: Customer) -> str:
        """See Provider."""
        if not customer.provider_ref:
            raise ConflictError("no_portal")
        return f"https://pay.example/portal/{customer.provider_ref}"

    def webhook(self, body: bytes, signature: str) -> Webhook:
        """See Provider."""
        if signature != "right":
            raise DeniedError("signature")
        told = json.loads(body)
        return Webhook(told["id"], "said", told["object"])

    async def look(self, webhook: Webhook) -> Told | None:
        """See Provider."""
        return self.objects[webhook.object_ref]


@dataclass
class Letters:
    """Letters that were written, once each."""

    sent: list[tuple[str, str]] = field(default_factory=list)

    async def tell(self, account_id: str, letter: str, about: str, fields: object) -> None:
        """See Teller."""
        if (letter, about) not in self.sent:
            self.sent.append((letter, about))

    def kinds(self) -> list[str]:
        """Return which, in order."""
        return [letter for letter, _ in self.sent]


class World:
    """Parts on one store; `over` puts another store under payments and booking."""

    def __init__(self, store: SqliteStore, provider: Provider, over: Store | None = None) -> None:
        self.invoicing = Invoicing(store)
        self.clock = self.invoicing.clock
        self.store, self.provider, self.letters = store, provider, Letters()
        self.offers = load_catalogues(CATALOGUE)
        self.customers = Customers(store, VAULT, self.clock, gone_of(store), self.offers.default_plan)
        self.plans = Plans(self.customers, self.offers, self.clock)
        self.books = Books(store, self.clock)
        self.invoices = Invoices(store, VAULT, self.books)
        self.build(over or store)
        self.dunning = Dunning(self.customers, self.invoices, self.offers, self.clock, self.letters)

    def build(self, store: Store) -> None:
        """Begin payments anew, as another process."""
        books = Books(store, self.clock)
        booked = BookKeeping(books, Invoices(store, VAULT, books), Notes(store, self.clock, VAULT))
        self.booking = Booking(store, books, booked)
        parts = Parts(store, self.clock, self.customers, self.offers, booked, self.booking, self.provider)
        self.payments = Payments(parts)
        self.taking = Taking(store, self.clock, self.provider, self.booking)
        self.taking.tell(self.customers, self.plans)

    async def customer(self) -> Customer:
        """Return the customer, who is in Germany."""
        customer = await self.customers.known(ACCOUNT, "m1", Profile.SEALED)
        await self.customers.put_details(ACCOUNT, Details("Größe & Söhne", (), "DE", ""))
        found = await self.customers.get(ACCOUNT)
        return found or customer

    async def invoice(self) -> str:
        """Bill a month of the plan "business"; return the number: 1,071 are due."""
        if ACCOUNT not in self.invoicing.accounts.spans:
            self.invoicing.customer(ACCOUNT, "business", FIRST, FIRST + 400)
        await self.invoicing.run().turn()
        return (await self.invoicing.all())[-1].number

    async def said(self, event: str, told: Told | None, signature: str = "right") -> None:
        """Have the provider send a message about an object that stands like this."""
        assert isinstance(self.provider, Said)
        self.provider.objects[event] = told
        await self.taking.take(json.dumps({"id": event, "object": event}).encode(), signature)

    @property
    def now(self) -> int:
        """Unix seconds."""
        return unix_seconds(self.clock)
