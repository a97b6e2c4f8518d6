"""analytics, put together."""

from __future__ import annotations

import asyncio

from libs.policy import load_policy
from libs.runtime.context import ServiceContext
from libs.runtime.service import run_service
from libs.runtime.settings import SettingsError
from services.analytics.graph import COLLECTIONS, Base, make_intake, make_release, make_watch, make_windows
from services.analytics.intake.broker import NatsBroker
from services.analytics.rpc import make_parts, serve_analytics
from services.analytics.settings import Settings

Context = ServiceContext[Settings]


async def build(ctx: Context) -> None:
    """Build one analytics process."""
    settings = ctx.settings
    if 3600 % settings.hour_seconds:
        raise SettingsError(["SEALPOST_HOUR_SECONDS: does not divide 3600"])
    store = await ctx.open_store(COLLECTIONS)
    base = Base(settings, store, ctx.clock, await asyncio.to_thread(load_policy))
    keys, windows = make_windows(base)
    watch = make_watch(base)
    releases = make_release(base, windows)
    intake = make_intake(base, keys, NatsBroker(await ctx.connect_events(), ctx.clock))
    ctx.spawn("watch", watch.run())
    ctx.spawn("upkeep", releases.upkeep.run())
    ctx.spawn("intake", intake.run())
    ctx.spawn("releases", releases.coordinator.run())
    serve_analytics(ctx.server, make_parts(releases, watch, ctx.clock), settings.callers)


if __name__ == "__main__":
    run_service("analytics", Settings, build)
