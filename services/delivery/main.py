"""delivery, put together."""

from __future__ import annotations

from libs.allowance import PlannedRoom, open_allowances
from libs.docstore.store import Event
from libs.envelope import open_secrets
from libs.events.jetstream import EventBus
from libs.events.relay import Relay
from libs.mailbox.peers import AccountsClient, CryptoClient, StorageClient
from libs.net.dns import make_resolver
from libs.net.http import GuardedHttp
from libs.owner.owner import Owner
from libs.owner.rpc import serve_owner
from libs.owner.terms import TERMS, StoredTerms
from libs.policy import Terms
from libs.runtime.context import ServiceContext
from libs.runtime.service import run_service
from libs.runtime.upkeep import Upkeep
from libs.telemetry.facts import NoFacts
from protos.accounts.v1.accounts_pb2_grpc import AccountsStub
from protos.crypto.v1.crypto_pb2_grpc import CryptoStub
from protos.storage.v1.storage_pb2_grpc import StorageStub
from services.delivery.customers import graph as customers_graph
from services.delivery.customers import peers as customers_peers
from services.delivery.customers.looking import DnsLookups
from services.delivery.customers.sender_domains import DomainPeers
from services.delivery.domain.dsn import site_of
from services.delivery.domain.sender_domains import Installation
from services.delivery.domain.unsubscribe import UnsubscribeLinks
from services.delivery.erased import LiveHappenings
from services.delivery.forwards import graph as forwards_graph
from services.delivery.graph import (
    Base,
    Customers,
    Outside,
    QueueGraph,
    make_erased,
    make_local,
    make_queue,
)
from services.delivery.held.graph import HeldParts, make_held
from services.delivery.measuring.campaigns import MEASURED, UNCOUNTED
from services.delivery.peers import AddressBook, DataKeysClient, OwnDomains
from services.delivery.platform.graph import make_letters
from services.delivery.platform.sending import PLATFORM, PlatformMail
from services.delivery.policies import POLICIES, KeptPolicies
from services.delivery.queue import collections
from services.delivery.reports import taking
from services.delivery.reports.unsubscribing import Unsubscribing
from services.delivery.rpc import DeliveryRpc, serve_delivery
from services.delivery.rpc.customers import CustomerParts
from services.delivery.rpc.reports import ReportParts
from services.delivery.settings import Settings
from services.delivery.signing import DkimSigner
from services.delivery.transport import make_transport
from services.delivery.worker.entrance import QUEUED_EVENT
from services.delivery.worker.local import MailboxPeers

COLLECTIONS = (
    *collections.COLLECTIONS,
    *customers_graph.COLLECTIONS,
    *forwards_graph.COLLECTIONS,
    MEASURED,
    UNCOUNTED,
    PLATFORM,
    POLICIES,
    TERMS,
)

Context = ServiceContext[Settings]


async def build(ctx: Context) -> None:
    """Build one delivery process."""
    settings = ctx.settings
    store = await ctx.open_store(COLLECTIONS)
    bus = await ctx.connect_events() if settings.nats_url else None
    facts = await ctx.open_facts(bus) if bus else NoFacts()
    terms = StoredTerms(store, Terms(ctx.policy))
    await terms.load()
    base = Base(settings, store, ctx.clock, open_secrets(settings.kek, settings.lookup_key), facts, terms.terms)
    policies = KeptPolicies(store, base.secrets.hashes, base.secrets.vault, ctx.clock)
    outside = _outside(ctx, policies)
    local = make_local(base, outside)
    letters = make_letters(base, ctx.policy, AccountsStub(ctx.peer("accounts")), local)
    customers = _customers(ctx, base, letters)
    links = UnsubscribeLinks(base.secrets.vault, settings.public_url)
    happenings = LiveHappenings(customers.happenings, customers.happenings, make_erased(base))
    queue = make_queue(base, outside, _asked(customers, happenings, links), local)
    letters.queue = queue.entrance
    ctx.stack.push_async_callback(queue.repository.close)
    ctx.stack.push_async_callback(queue.keys.close)
    customers.start(ctx.spawn)
    forwards = forwards_graph.make_forwards(base, queue, letters)
    await _start(ctx, base, queue, bus)
    reports = taking.ReportParts(
        queue.paths, queue.submission.trails, happenings, local, site_of(settings.hostname), ctx.clock
    )
    trails = queue.submission.trails
    unsubscribing = Unsubscribing(links, happenings, ctx.clock, letters.consents, trails)
    servicer = DeliveryRpc(
        queue.submission,
        ReportParts(taking.Reports(reports), unsubscribing, forwards.returning),
        CustomerParts(customers, queue.submission.cancelling),
        forwards,
        queue.measure,
        letters,
    )
    serve_delivery(ctx.server, servicer, settings.callers)
    dkim = customers_peers.DkimClient(CryptoStub(ctx.peer("crypto")))
    held = make_held(base, HeldParts(queue, customers, outside.keys, dkim))
    serve_owner(ctx.server, Owner(held, store, ctx.clock), terms, settings.callers)


def _asked(customers: customers_graph.Customers, happenings: LiveHappenings, links: UnsubscribeLinks) -> Customers:
    return Customers(
        limits=customers.limits,
        senders=customers.domains,
        campaigns=customers.campaigns,
        suppressions=customers.suppressions,
        happenings=happenings,
        unsubscribes=links,
        teller=happenings,
    )


def _outside(ctx: Context, policies: KeptPolicies) -> Outside:
    accounts, crypto = AccountsStub(ctx.peer("accounts")), CryptoStub(ctx.peer("crypto"))
    known = ctx.settings.route_cache_seconds
    allowances = open_allowances(ctx)
    room = PlannedRoom(allowances) if allowances is not None else None
    routes = AccountsClient(accounts, ctx.clock, known, min(known, 1.0), room)
    sealer, storage = CryptoClient(crypto), StorageClient(StorageStub(ctx.peer("storage")))
    signer = DkimSigner(crypto, ctx.clock)
    for client in (routes, sealer, storage, signer):
        ctx.stack.push_async_callback(client.close)
    transport = make_transport(ctx.settings, ctx.clock, policies=policies)
    ctx.stack.push_async_callback(transport.aclose)
    domains = OwnDomains(accounts, ctx.clock)
    mailboxes = MailboxPeers(routes, sealer, storage, domains, AddressBook(accounts))
    return Outside(DataKeysClient(crypto), mailboxes, signer, transport, signer)


def _customers(ctx: Context, base: Base, letters: PlatformMail) -> customers_graph.Customers:
    settings = ctx.settings
    http = GuardedHttp(
        resolvers=settings.resolvers,
        allowed_networks=settings.allowed_networks,
        ports=settings.fetch_ports,
        ca_file=settings.ca_file,
    )
    ctx.stack.push_async_callback(http.aclose)
    peers = DomainPeers(
        accounts=customers_peers.AccountsClient(AccountsStub(ctx.peer("accounts")), ctx.clock),
        dkim=customers_peers.DkimClient(CryptoStub(ctx.peer("crypto"))),
        dns=DnsLookups(make_resolver(settings.resolvers)),
    )
    needs = customers_graph.Needs(
        store=base.store,
        hashes=base.secrets.hashes,
        vault=base.secrets.vault,
        clock=ctx.clock,
        peers=peers,
        http=http,
        letters=letters,
        installation=Installation(settings.hostname, settings.bounce_domain),
        rules=settings.limit_rules(),
        terms=base.terms,
        fetch_ports=settings.fetch_ports,
    )
    customers = customers_graph.make_customers(needs)
    ctx.stack.push_async_callback(customers.close)
    return customers


async def _start(ctx: Context, base: Base, queue: QueueGraph, bus: EventBus | None) -> None:
    """Have everything run that goes on by itself; the worker is drained before what it uses is closed."""
    ctx.spawn("queue", Upkeep({"keys": queue.shredder.sweep, "pieces": queue.shredder.sweep_pieces}).run())
    ctx.stack.push_async_callback(queue.shredder.flush)
    ctx.spawn("shredder", queue.shredder.run())
    if bus is not None:
        relay = Relay(base.store, bus, ctx.clock, ctx.health)
        ctx.spawn("relay", relay.run())
        queue.entrance.announce = relay.announce

        async def queued(_: Event) -> None:
            queue.worker.wake()

        await bus.subscribe_all(QUEUED_EVENT, queued)
    ctx.spawn("worker", queue.worker.run())
    ctx.stack.push_async_callback(queue.worker.drain, ctx.settings.drain_seconds)


if __name__ == "__main__":
    run_service("delivery", Settings, build)
