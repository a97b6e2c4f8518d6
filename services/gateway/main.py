"""The gateway, put together."""

from __future__ import annotations

from libs.runtime.service import ServiceContext, run_service
from services.gateway import peers
from services.gateway.http.app import create_app
from services.gateway.http.serve import serving
from services.gateway.push import Hub
from services.gateway.settings import Settings


async def build(ctx: ServiceContext[Settings]) -> None:
    """Build the object graph of one gateway process."""
    settings = ctx.settings
    services = peers.connect(
        ctx.peer("accounts"), ctx.peer("crypto"), ctx.peer("storage"), settings.call_timeout.total_seconds()
    )
    hub = Hub()
    app = create_app(settings, services, hub, ctx.clock)
    bus = await ctx.connect_events()
    await bus.subscribe_all("mail.stored.v1", hub.on_stored)
    server = await ctx.stack.enter_async_context(serving(app, settings))
    ctx.spawn("http", server)
    # Before the server drains: a stream that watches for ever would hold it up.
    ctx.stack.callback(hub.close)


if __name__ == "__main__":
    run_service("gateway", Settings, build)
