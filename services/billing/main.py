"""billing, put together."""

from __future__ import annotations

import asyncio

from libs.envelope import open_secrets
from libs.events.jetstream import EventBus
from libs.owner.owner import Owner
from libs.owner.rpc import serve_owner
from libs.owner.terms import StoredTerms
from libs.policy import Terms
from libs.runtime.clock import unix_seconds
from libs.runtime.context import ServiceContext
from libs.runtime.service import run_service
from libs.runtime.upkeep import Upkeep
from libs.telemetry.facts import NoFacts, Recorder
from protos.delivery.v1.delivery_pb2_grpc import DeliveryStub
from protos.storage.v1.storage_pb2_grpc import StorageStub
from services.billing.domain.catalogue import load_catalogues
from services.billing.domain.model import DAY
from services.billing.graph import COLLECTIONS, Base, Graph, Outside, make_graph, make_held
from services.billing.metering.consuming import CONSUMED
from services.billing.offers import Offers
from services.billing.peers import DeliveredMails, HeldMails, StoredLevels
from services.billing.rpc import BillingRpc, Parts, serve_billing
from services.billing.rpc.credits import CreditParts
from services.billing.rpc.invoices import InvoiceParts
from services.billing.rpc.operators import OperatorParts
from services.billing.rpc.payments import PaymentParts
from services.billing.rpc.plans import PlanParts
from services.billing.settings import Settings
from services.billing.standing import Reading, Sources
from services.billing.telling import PlatformTeller

Context = ServiceContext[Settings]

_FOLD_SECONDS = 2.0


async def build(ctx: Context) -> None:
    """Build one billing process."""
    settings = ctx.settings
    catalogues = await asyncio.to_thread(load_catalogues, settings.catalogue)
    store = await ctx.open_store(COLLECTIONS)
    policy = await asyncio.to_thread(lambda: ctx.policy)
    terms = StoredTerms(store, Terms(policy))
    await terms.load()
    offers = Offers(catalogues, store, ctx.clock)
    await offers.load()
    bus = await ctx.connect_events() if settings.nats_url else None
    facts: Recorder = await ctx.open_facts(bus) if bus is not None else NoFacts()
    base = Base(settings, store, ctx.clock, open_secrets(settings.kek, settings.lookup_key), terms.terms, offers, facts)
    storage, delivery = StorageStub(ctx.peer("storage")), DeliveryStub(ctx.peer("delivery"))
    inventories = (HeldMails(storage), DeliveredMails(delivery))
    graph = make_graph(base, Outside(inventories, PlatformTeller(delivery, base.secrets.hashes)))
    serve_billing(ctx.server, BillingRpc(parts_of(graph, StoredLevels(storage))), settings.callers)
    serve_owner(ctx.server, Owner(make_held(graph), store, ctx.clock), terms, settings.callers)
    await _start(ctx, graph, bus)


def parts_of(graph: Graph, levels: StoredLevels) -> Parts:
    """Return what the servicer works with."""
    base, money, customers, clock = graph.base, graph.money, graph.customers, graph.base.clock
    offers, counters = base.offers, graph.metering.counting

    def bank() -> str:
        seller = offers.on(unix_seconds(clock) // DAY).seller
        return f"{seller.name}\n{seller.bank}"

    return Parts(
        plans=PlanParts(
            customers=customers,
            changes=graph.plans,
            offers=offers,
            reading=Reading(Sources(counters, levels, money.invoices, graph.books), clock),
            counters=counters,
            books=graph.books,
            grants=graph.grants,
            clock=clock,
            provider=money.provider,
        ),
        credit=CreditParts(customers, offers, graph.books, graph.holds, clock),
        invoices=InvoiceParts(money.invoices),
        payments=PaymentParts(customers, money.payments, money.taking, bank),
        operators=OperatorParts(
            money.payments, money.invoices, money.notes, money.booked, graph.reconciler, clock, bank
        ),
    )


async def _start(ctx: Context, graph: Graph, bus: EventBus | None) -> None:
    """Have everything run that goes on by itself."""
    if bus is not None:
        for durable, subject in CONSUMED.items():
            await bus.consume_batches(durable, subject, graph.metering.consuming.take)
    steps = {
        "plans": graph.plans.advance,
        "settling": graph.settling.step,
        "holds": graph.holds.sweep,
        "invoices": graph.money.run.turn,
        "payments": graph.money.booking.step,
        "dunning": graph.money.dunning.step,
        "notices": graph.notices.step,
        "reconciling": graph.reconciler.step,
    }
    ctx.spawn("folding", Upkeep({"folding": graph.metering.folder.step}, _FOLD_SECONDS).run())
    ctx.spawn("upkeep", Upkeep(steps, ctx.settings.upkeep_seconds).run())


if __name__ == "__main__":
    run_service("billing", Settings, build)
