"""The gateway, put together."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from libs.allowance import open_allowances
from libs.net.http import GuardedHttp
from libs.runtime.context import ServiceContext
from libs.runtime.service import run_service
from services.gateway import peers
from services.gateway.http.app import create_app
from services.gateway.http.recording import Recording
from services.gateway.http.serve import serving
from services.gateway.lookup import KeyLookup
from services.gateway.push import Hub
from services.gateway.settings import Settings


async def build(ctx: ServiceContext[Settings]) -> None:
    """Build the object graph of one gateway process."""
    settings = ctx.settings
    connected = peers.connect(ctx.peer, settings.call_timeout.total_seconds(), billing="billing" in settings.peers)
    services = replace(connected, allowances=open_allowances(ctx))
    hub = Hub()
    http = GuardedHttp(
        resolvers=settings.resolvers,
        allowed_networks=settings.allowed_networks,
        ports=settings.fetch_ports,
        ca_file=settings.ca_file,
    )
    ctx.stack.push_async_callback(http.aclose)
    lookup = KeyLookup(http, ctx.clock, settings.fetch_ports[0])
    ctx.stack.push_async_callback(lookup.aclose)
    app = create_app(settings, services, hub, ctx.clock, lookup)
    bus = await ctx.connect_events()
    app.recording = Recording(await ctx.open_facts(bus), settings.public_url)
    await bus.subscribe_all("mail.stored.v1", hub.on_stored, hub.on_gap)
    server, port = await ctx.stack.enter_async_context(serving(app, settings))
    ctx.log.info("listening", listener="http", port=port)
    ctx.spawn("http", _until_served(server))
    # Before the server drains: a stream that watches for ever would hold it up.
    ctx.stack.callback(hub.close)


async def _until_served(server: asyncio.Task[None]) -> None:
    # Shielded: the server drains by itself, after the streams have ended.
    await asyncio.shield(server)


if __name__ == "__main__":
    run_service("gateway", Settings, build)
