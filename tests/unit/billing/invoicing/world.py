"""A month to be billed: customers with plans and use, books, and a run over them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Query, Store
from libs.envelope import KeyEncryptionKeys, Vault
from libs.local.plan import CATALOGUE
from libs.runtime.backoff import Backoff
from libs.runtime.secret import Secret
from services.billing.domain.catalogue import day_of, load_catalogues
from services.billing.domain.customers import Details
from services.billing.domain.model import Meter
from services.billing.invoicing.documents import INVOICES, Invoice, invoice_of
from services.billing.invoicing.invoices import Invoices
from services.billing.invoicing.notes import Notes
from services.billing.invoicing.ports import Billable, BilledSpan
from services.billing.invoicing.register import REGISTER
from services.billing.invoicing.run import RUNS, Run, Sources
from services.billing.invoicing.sources import BookKeeping
from services.billing.ledger.books import Books
from services.billing.ledger.entries import BOOKS
from tests.support.clock import ManualClock

COLLECTIONS = (INVOICES, REGISTER, RUNS, BOOKS)
VAULT = Vault(KeyEncryptionKeys({1: Secret(b"k" * 32)}))
FIRST, LAST = day_of(date(2026, 10, 1)), day_of(date(2026, 10, 31))
BERLIN = Details("Größe & Söhne", ("Straße 1", "10115 Berlin"), "DE", "")
QUICK = Backoff(first=0.0, ceiling=0.0, attempts=20)


@dataclass
class Accounts:
    """Customers in memory."""

    spans: dict[str, tuple[BilledSpan, ...]] = field(default_factory=dict)
    payers: dict[str, Details] = field(default_factory=dict)

    async def billable(self, first_day: int, last_day: int, after: str, limit: int) -> Sequence[Billable]:
        """See ports.Accounts."""
        names = [name for name in sorted(self.spans) if name > after][:limit]
        return [Billable(name, (name,), self.spans[name]) for name in names]

    async def payer(self, account_id: str) -> Details:
        """See ports.Accounts."""
        return self.payers.get(account_id, BERLIN)


@dataclass
class Used:
    """Use in memory."""

    days: dict[str, dict[int, dict[Meter, int]]] = field(default_factory=dict)

    async def of(self, subjects: Sequence[str], first_day: int, last_day: int) -> Mapping[int, Mapping[Meter, int]]:
        """See ports.UsageReader."""
        await asyncio.sleep(0)
        return self.days.get(subjects[0], {})


class World:
    """Parts on one store; a process may have another store around it, which breaks."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.clock = ManualClock(datetime(2026, 11, 3, 4, tzinfo=UTC))
        self.accounts, self.used = Accounts(), Used()
        self.books = Books(store, self.clock)
        self.invoices = Invoices(store, VAULT, self.books)
        self.notes = Notes(store, self.clock, VAULT)

    def run(self, store: Store | None = None) -> Run:
        """Return a run of a process."""
        over = store or self.store
        books = Books(over, self.clock)
        booking = BookKeeping(books, Invoices(over, VAULT, books), Notes(over, self.clock, VAULT))
        return Run(over, self.clock, Sources(self.accounts, self.used, load_catalogues(CATALOGUE), booking), VAULT)

    def customer(self, name: str, plan: str, first: int = FIRST, last: int = LAST) -> None:
        """Have a customer with a plan for some days."""
        self.accounts.spans[name] = (*self.accounts.spans.get(name, ()), BilledSpan(plan, first, last))

    async def all(self) -> list[Invoice]:
        """Return all issued documents in the order of their numbers."""
        found = []
        for name in self.accounts.spans:
            query = Query(INVOICES, "account", (name,), limit=1000)
            found += [invoice_of(document) for document in await self.store.find(query)]
        return sorted(found, key=lambda one: one.number)
