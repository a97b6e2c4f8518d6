"""Invoicing: a month of 100,000 accounts, from customers and counters to numbered invoices in their books, on SQLite.

All of them have a plan that costs something and have used something on three days. The run is broken off once, as by a
crash, and begun again by another; in the end every account has one invoice, the numbers have no gap, and the books of a
sample are worked out anew. Making the accounts is not in the time.
"""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Body, Insert, Operation, Query, Value
from libs.envelope import KeyEncryptionKeys, Vault
from libs.local.plan import CATALOGUE
from libs.runtime.errors import UnavailableError
from libs.runtime.secret import Secret
from services.billing.customers import CUSTOMERS, Customers
from services.billing.domain.catalogue import day_of, load_catalogues
from services.billing.domain.customers import Customer, Span
from services.billing.domain.model import Meter, Profile, State
from services.billing.gone import GONE
from services.billing.invoicing.documents import INVOICES, invoice_of
from services.billing.invoicing.invoices import Invoices
from services.billing.invoicing.notes import Notes
from services.billing.invoicing.register import REGISTER
from services.billing.invoicing.run import RUNS, Run, Sources
from services.billing.invoicing.sources import BookKeeping, CustomerAccounts
from services.billing.ledger.books import Books
from services.billing.ledger.entries import BOOKS
from services.billing.metering.counting import Counting
from services.billing.metering.folding import COUNTERS, counter_key
from services.billing.metering.log import METER_LOG
from services.billing.metering.state import STATE
from tests.support.billing import gone_of
from tests.support.breaking_store import BreakingStore
from tests.support.clock import ManualClock

_ACCOUNTS = int(os.environ.get("BENCH_ACCOUNTS", "100000"))
_FIRST = day_of(date(2026, 10, 1))
_COLLECTIONS = (CUSTOMERS, GONE, COUNTERS, METER_LOG, STATE, INVOICES, REGISTER, RUNS, BOOKS)
_SAMPLE = 500


def measure() -> dict[str, Any]:
    """Return the figures."""
    with TemporaryDirectory(prefix="sealpost-bench-") as folder:
        return asyncio.run(_measure(Path(folder)))


async def _measure(home: Path) -> dict[str, Any]:
    clock = ManualClock(datetime(2026, 11, 3, 4, tzinfo=UTC))
    vault = Vault(KeyEncryptionKeys({1: Secret(b"k" * 32)}))
    async with await SqliteStore.open(home, _COLLECTIONS) as store:
        offers = load_catalogues(CATALOGUE)
        customers = Customers(store, vault, clock, gone_of(store), offers.default_plan)
        await _plant(store, customers)
        breaking = BreakingStore(store)
        books = Books(breaking, clock)
        booking = BookKeeping(books, Invoices(breaking, vault, books), Notes(breaking, clock, vault))
        sources = Sources(CustomerAccounts(customers), Counting(store), offers, booking)
        breaking.break_at(_ACCOUNTS // 200, kept=False)
        began, cpu = time.perf_counter(), time.process_time()
        try:
            await Run(breaking, clock, sources, vault).turn()
        except UnavailableError:
            await Run(breaking, clock, sources, vault).turn()
        wall, cpu = time.perf_counter() - began, time.process_time() - cpu
        await _check(store, books)
        return {"accounts": _ACCOUNTS, "seconds": wall, "seconds_of_processor": cpu, "per_second": _ACCOUNTS / wall}


async def _plant(store: SqliteStore, customers: Customers) -> None:
    for start in range(0, _ACCOUNTS, 1000):
        names = [f"{number:032x}" for number in range(start, start + 1000)]
        await store.write_many([customers.insert(_customer(name)) for name in names])
        counters: list[Operation] = []
        for name in names:
            for day in range(3):
                units: dict[str, Value] = {Meter.MAILS_DELIVERED.value: 20_000}
                body: Body = {"subject": name, "day": _FIRST + day, "units": units, "upto": 1}
                counters.append(Insert(COUNTERS, counter_key(name, _FIRST + day), body))
        await store.write_many(counters)


def _customer(name: str) -> Customer:
    made = Customer(name, "", Profile.RELAY, "growth", _FIRST - 50, created_day=_FIRST - 50)
    return replace(made, state=State.ACTIVE, spans=(Span("growth", _FIRST - 50),))


async def _check(store: SqliteStore, books: Books) -> None:
    numbers, after = [], None
    while page := await store.find(Query(INVOICES, "unpaid", ("open",), after=after, limit=1000)):
        numbers += [invoice_of(document).number for document in page]
        after = (invoice_of(page[-1]).due_day, page[-1].key)
    if sorted(numbers) != [f"2026-{number:06d}" for number in range(1, _ACCOUNTS + 1)]:
        raise RuntimeError("the numbers are not gapless")
    for number in range(0, _ACCOUNTS, _ACCOUNTS // _SAMPLE or 1):
        if not (await books.verify(f"{number:032x}")).due:
            raise RuntimeError("an invoice is not in its book")
