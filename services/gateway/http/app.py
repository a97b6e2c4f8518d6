"""The application: routes, guard and what they share, put together in the open."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import Response
from fastapi.telemetry import TelemetryConfig

from libs.runtime.clock import Clock
from services.gateway.http import (
    accounts,
    campaign_responses,
    credentials,
    directory,
    events,
    forwarding,
    info,
    measuring,
    messages,
    objects,
    operator_staff,
    operator_statistics,
    outbox,
    passwords,
    policy_pages,
    problems,
    public,
    recipients,
    relay_operator,
    relay_unsubscribe,
    sender_domains,
    sending,
    sending_suppressions,
    webhooks,
)
from services.gateway.http.admission import Admission
from services.gateway.http.billing import account as billing_account
from services.gateway.http.billing import operation as billing_operation
from services.gateway.http.billing import payments as billing_payments
from services.gateway.http.bodies import Bodies
from services.gateway.http.clients import Clients
from services.gateway.http.guard import Bounds, Guard
from services.gateway.http.limits import make_limits
from services.gateway.http.openapi import describe
from services.gateway.http.operator_page import OperatorPage
from services.gateway.http.page import Page
from services.gateway.http.rights import account as rights
from services.gateway.http.rights import archive, concerns, disclosure, operation
from services.gateway.lookup import KeyLookup
from services.gateway.peers import Peers
from services.gateway.policy.source import Policies
from services.gateway.push import Hub
from services.gateway.settings import Settings

# The framework would put paths, and with them addresses, into spans, and the texts of exceptions into logs.
_SILENT = TelemetryConfig(tracing=False, metrics=False, logs=False, operation_spans=False, auto_configure=False)
_ROUTERS = (
    messages.router,
    public.router,
    events.router,
    info.router,
    accounts.router,
    passwords.router,
    credentials.router,
    directory.router,
    recipients.router,
    outbox.router,
    objects.router,
    sending.router,
    sending_suppressions.router,
    sender_domains.router,
    webhooks.router,
    relay_operator.router,
    relay_unsubscribe.router,
    measuring.router,
    campaign_responses.router,
    forwarding.router,
    operator_statistics.router,
    operator_statistics.staff_router,
    operator_staff.router,
    rights.router,
    archive.router,
    concerns.router,
    concerns.staff_router,
    disclosure.router,
    operation.router,
    billing_account.router,
    billing_payments.router,
    billing_operation.router,
    policy_pages.router,
)


def create_app(settings: Settings, peers: Peers, hub: Hub, clock: Clock, lookup: KeyLookup) -> Guard:
    """Return the application; SettingsError for proxies or a page that cannot be."""
    app = FastAPI(
        title="sealpost",
        version=info.VERSION,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
        telemetry=_SILENT,
    )
    limits = make_limits(settings, clock)
    app.state.settings = settings
    app.state.peers = peers
    app.state.hub = hub
    app.state.clock = clock
    app.state.lookup = lookup
    app.state.limits = limits
    app.state.bodies = Bodies(peers, limits, settings.body_memory_bytes)
    app.state.uploads = Admission(settings.upload_memory_bytes)
    app.state.info = info.Cache(clock)
    app.state.policies = Policies(peers, clock)
    app.state.routes = public.Routes(clock)
    problems.install(app)
    app.add_exception_handler(Exception, _on_unknown)
    for router in _ROUTERS:
        # Side by side and not nested: a request is matched once.
        app.router.routes.extend(router.routes)
    app.router.default = OperatorPage(Page(settings.web_dir))
    app.openapi = lambda: describe(app)  # type: ignore[method-assign]
    bounds = Bounds(
        settings.max_body_bytes,
        settings.body_timeout.total_seconds(),
        settings.max_upload_bytes,
        settings.upload_timeout.total_seconds(),
    )
    return Guard(app, limits, Clients(settings.trusted_proxies), bounds, settings.public_url)


async def _on_unknown(request: Request, error: Exception) -> Response:
    # The framework raises it again after this, and the guard tells the log.
    return problems.problem(500, "internal")
