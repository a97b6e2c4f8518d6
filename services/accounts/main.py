"""The process: settings, store, object graph, servicer, sweeper."""

from __future__ import annotations

from libs.runtime.context import ServiceContext
from libs.runtime.service import run_service
from services.accounts.graph import make_graph
from services.accounts.repository import COLLECTIONS
from services.accounts.rpc import serve_accounts
from services.accounts.settings import Settings
from services.accounts.sweeper import sweep_forever


async def build(context: ServiceContext[Settings]) -> None:
    """Make the service."""
    store = await context.open_store(COLLECTIONS)
    graph = make_graph(context.settings, store, context.clock)
    serve_accounts(context.server, graph, context.clock, context.settings.callers)
    context.spawn("sweeper", sweep_forever(graph, context.clock, context.log))


if __name__ == "__main__":
    run_service("accounts", Settings, build)
