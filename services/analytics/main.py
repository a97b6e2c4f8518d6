"""analytics, put together."""

from __future__ import annotations

import asyncio

from libs.owner.owner import Owner
from libs.owner.rpc import serve_owner
from libs.owner.terms import StoredTerms
from libs.policy import Terms
from libs.runtime.context import ServiceContext
from libs.runtime.service import run_service
from libs.runtime.settings import SettingsError
from services.analytics.graph import COLLECTIONS, Base, make_intake, make_release, make_watch, make_windows
from services.analytics.held import make_held
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
    policy = await asyncio.to_thread(lambda: ctx.policy)
    terms = StoredTerms(store, Terms(policy))
    await terms.load()
    base = Base(settings, store, ctx.clock, policy)
    keys, windows = make_windows(base)
    watch = make_watch(base)
    releases = make_release(base, windows)
    intake = make_intake(base, keys, NatsBroker(await ctx.connect_events(), ctx.clock))
    ctx.spawn("watch", watch.run())
    ctx.spawn("intake", intake.run())
    ctx.spawn("releases", releases.coordinator.run())
    serve_analytics(ctx.server, make_parts(releases, watch, ctx.clock), settings.callers)
    serve_owner(ctx.server, Owner(make_held(store, terms.terms), store, ctx.clock), terms, settings.callers)


if __name__ == "__main__":
    run_service("analytics", Settings, build)
