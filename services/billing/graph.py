"""The object graph of billing, top to bottom; wires and loops are main's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from libs.docstore.store import Store
from libs.envelope import Secrets
from libs.owner.model import HeldClass
from libs.owner.terms import TERMS
from libs.policy import Terms
from libs.runtime.clock import Clock
from libs.runtime.settings import SettingsError
from libs.telemetry.facts import NoFacts, Recorder
from services.billing import held as customers_held
from services.billing.allowance import held as allowance_held
from services.billing.allowance.counts import GRANTS
from services.billing.allowance.grants import Grants
from services.billing.allowance.settling import Settling
from services.billing.customers import CUSTOMERS, Customers
from services.billing.domain.model import DAY
from services.billing.gone import GONE, Gone
from services.billing.invoicing import held as invoicing_held
from services.billing.invoicing.documents import INVOICES
from services.billing.invoicing.invoices import Invoices
from services.billing.invoicing.notes import Notes
from services.billing.invoicing.register import REGISTER
from services.billing.invoicing.run import RUNS, Run, Sources
from services.billing.invoicing.sources import BookKeeping, CustomerAccounts
from services.billing.ledger import held as ledger_held
from services.billing.ledger.books import Books
from services.billing.ledger.entries import BOOKS
from services.billing.ledger.holds import Holds
from services.billing.metering import held as metering_held
from services.billing.metering.consuming import Consuming
from services.billing.metering.counting import Counting
from services.billing.metering.folding import COUNTERS, Folder
from services.billing.metering.intake import Intake
from services.billing.metering.log import METER_LOG
from services.billing.metering.reconciling import RECONCILIATIONS, Inventory, Reconciler
from services.billing.metering.state import STATE
from services.billing.notices import PriceNotices
from services.billing.offers import VERSIONS, Offers
from services.billing.payments import held as payments_held
from services.billing.payments.booking import Booking
from services.billing.payments.dunning import Dunning, Teller
from services.billing.payments.manual import ManualProvider
from services.billing.payments.model import PAYMENTS
from services.billing.payments.payments import Parts, Payments
from services.billing.payments.ports import Provider
from services.billing.payments.stripe_api import StripeProvider, StripeSettings
from services.billing.payments.taking import WEBHOOK_EVENTS, Taking
from services.billing.plans import Plans
from services.billing.settings import Settings

COLLECTIONS = (
    CUSTOMERS,
    VERSIONS,
    GONE,
    METER_LOG,
    STATE,
    COUNTERS,
    RECONCILIATIONS,
    GRANTS,
    BOOKS,
    INVOICES,
    REGISTER,
    RUNS,
    PAYMENTS,
    WEBHOOK_EVENTS,
    TERMS,
)


@dataclass(frozen=True)
class Base:
    """What everything stands on."""

    settings: Settings
    store: Store
    clock: Clock
    secrets: Secrets
    terms: Terms
    offers: Offers
    facts: Recorder = field(default_factory=NoFacts)


@dataclass(frozen=True)
class Metering:
    """What was used."""

    intake: Intake
    consuming: Consuming
    folder: Folder
    counting: Counting


@dataclass(frozen=True)
class Outside:
    """Other services."""

    inventories: Sequence[Inventory]
    teller: Teller


@dataclass(frozen=True)
class Money:
    """Invoices and payments."""

    invoices: Invoices
    notes: Notes
    run: Run
    booked: BookKeeping
    booking: Booking
    payments: Payments
    taking: Taking
    dunning: Dunning
    provider: Provider


@dataclass(frozen=True)
class Graph:
    """The parts of billing."""

    base: Base
    gone: Gone
    customers: Customers
    plans: Plans
    metering: Metering
    grants: Grants
    settling: Settling
    books: Books
    holds: Holds
    money: Money
    reconciler: Reconciler
    notices: PriceNotices


def make_graph(base: Base, outside: Outside) -> Graph:
    """Put the parts together."""
    store, clock, hashes = base.store, base.clock, base.secrets.hashes
    log_seconds = base.terms.rule("metering_log_seconds")
    gone = Gone(store, hashes, clock, log_seconds)
    customers = Customers(store, base.secrets.vault, clock, gone, base.offers.default_plan)
    plans = Plans(customers, base.offers, clock)
    # A day less than the log is kept: what is counted is then known for as long as it may come.
    intake = Intake(store, hashes, clock, log_seconds // DAY - 1)
    folder = Folder(store, gone)
    grants = Grants(store, plans, intake, clock)
    metering = Metering(intake, Consuming(intake), folder, Counting(store, grants.open_days))
    books = Books(store, clock)
    return Graph(
        base=base,
        gone=gone,
        customers=customers,
        plans=plans,
        metering=metering,
        grants=grants,
        settling=Settling(store, intake, clock),
        books=books,
        holds=Holds(books, store, clock, base.settings.hold_seconds),
        money=_make_money(base, (customers, plans, books), metering.counting, outside.teller),
        reconciler=Reconciler(store, clock, metering.counting, customers, outside.inventories),
        notices=PriceNotices(base.offers, customers, outside.teller, clock),
    )


def _make_money(base: Base, parts: tuple[Customers, Plans, Books], counting: Counting, teller: Teller) -> Money:
    store, clock, offers = base.store, base.clock, base.offers
    customers, plans, books = parts
    invoices = Invoices(store, base.secrets.vault, books)
    notes = Notes(store, clock, base.secrets.vault)
    booked = BookKeeping(books, invoices, notes)
    sources = Sources(CustomerAccounts(customers), counting, offers, booked)
    booking = Booking(store, books, booked, base.facts)
    provider = make_provider(base.settings)
    taking = Taking(store, clock, provider, booking)
    taking.tell(customers, plans)
    return Money(
        invoices=invoices,
        notes=notes,
        run=Run(store, clock, sources, base.secrets.vault),
        booked=booked,
        booking=booking,
        payments=Payments(Parts(store, clock, customers, offers, booked, booking, provider)),
        taking=taking,
        dunning=Dunning(customers, invoices, offers, clock, teller),
        provider=provider,
    )


def make_provider(settings: Settings) -> Provider:
    """Return who takes payments. Raises: SettingsError for a key without the secret of its messages."""
    if not settings.stripe_key.reveal():
        return ManualProvider()
    if not settings.stripe_webhook_secret.reveal():
        raise SettingsError(["SEALPOST_STRIPE_WEBHOOK_SECRET_FILE: is required with a key of Stripe"])
    keys = settings.stripe_key, settings.stripe_webhook_secret
    return StripeProvider(StripeSettings(*keys, settings.public_url, settings.stripe_api_base))


def make_held(graph: Graph) -> list[HeldClass]:
    """Return all classes of this service; who is a customer is known to be gone before anything goes."""
    store, rule = graph.base.store, graph.base.terms.rule

    async def living(account_id: str) -> bool:
        return await graph.customers.get(account_id) is not None

    return [
        *customers_held.classes(store, graph.customers, graph.gone),
        *metering_held.classes(
            store,
            graph.metering.folder,
            graph.gone,
            lambda: rule("usage_seconds"),
            lambda: rule("metering_log_seconds"),
        ),
        *allowance_held.classes(store, lambda: rule("allowance_seconds")),
        *ledger_held.classes(store, graph.books, lambda: rule("invoice_seconds"), living),
        *invoicing_held.classes(store, lambda: rule("invoice_seconds")),
        *payments_held.classes(store, lambda: rule("invoice_seconds"), lambda: rule("webhook_seconds")),
    ]
