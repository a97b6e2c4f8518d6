"""The process: settings, store, numbers in force, object graph, servicers, relay of announcements."""

from __future__ import annotations

from libs.events.relay import Relay
from libs.owner.rpc import serve_owner
from libs.owner.terms import StoredTerms
from libs.policy import Terms
from libs.runtime.context import ServiceContext
from libs.runtime.service import run_service
from services.accounts.graph import make_graph
from services.accounts.held.graph import make_owner
from services.accounts.repository import COLLECTIONS
from services.accounts.rpc import serve_accounts
from services.accounts.settings import Settings


async def build(context: ServiceContext[Settings]) -> None:
    """Make the service."""
    store = await context.open_store(COLLECTIONS)
    terms = StoredTerms(store, Terms(context.policy))
    await terms.load()
    graph = make_graph(context.settings, store, context.clock, terms.terms)
    relay = Relay(store, await context.connect_events(), context.clock, context.health)
    context.spawn("relay", relay.run())
    callers = context.settings.callers
    serve_accounts(context.server, graph, context.clock, callers, relay.announce)
    serve_owner(context.server, make_owner(graph, store, context.clock), terms, callers)


if __name__ == "__main__":
    run_service("accounts", Settings, build)
