"""The application: routes, guard and what they share, put together in the open."""

from __future__ import annotations

import asyncio

from fastapi import FastAPI

from libs.runtime.clock import Clock
from libs.runtime.limits import KeyedGauge, KeyedLimiter
from services.gateway.http import accounts, events, messages, problems, public, site
from services.gateway.http.guard import Limits, guarded
from services.gateway.peers import Peers
from services.gateway.push import Hub
from services.gateway.settings import Settings

_CLIENTS = 100_000
_BIG_BODIES = 4


def create_app(settings: Settings, peers: Peers, hub: Hub, clock: Clock) -> FastAPI:
    """Return the ASGI application."""
    app = FastAPI(title="sealpost", version=site.VERSION, docs_url=None, redoc_url=None, openapi_url="/openapi.json")
    app.state.settings = settings
    app.state.peers = peers
    app.state.hub = hub
    app.state.heartbeat_seconds = settings.heartbeat.total_seconds()
    app.state.streams = KeyedGauge(settings.streams_per_client, _CLIENTS)
    app.state.big_bodies = asyncio.Semaphore(_BIG_BODIES)
    problems.install(app)
    for module in (site, accounts, messages, public, events):
        app.include_router(module.router)
    site.install_page(app, settings.web_dir)
    limits = Limits(
        requests=KeyedLimiter(settings.requests_per_minute, 60.0, _CLIENTS, clock),
        proofs=KeyedLimiter(settings.proofs_per_minute, 60.0, _CLIENTS, clock),
        sign_ups=KeyedLimiter(settings.sign_ups_per_hour, 3600.0, _CLIENTS, clock),
        max_body_bytes=settings.max_body_bytes,
    )
    app.add_middleware(guarded(limits, settings.public_url))
    return app
