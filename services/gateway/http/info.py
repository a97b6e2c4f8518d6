"""What this installation is: the first thing that a page asks."""

from __future__ import annotations

from fastapi import APIRouter, Request

from libs.runtime.clock import Clock
from protos.accounts.v1 import accounts_pb2
from protos.common.v1 import common_pb2
from services.gateway.http import models
from services.gateway.http.caller import peers_of
from services.gateway.peers import Peers
from services.gateway.settings import Settings

VERSION = "0.1.0"
_KEPT_SECONDS = 5.0
router = APIRouter(tags=["installation"])


class Cache:
    """The answer of the last seconds: every page asks, and it changes with the settings of accounts only."""

    def __init__(self, clock: Clock) -> None:
        """Hold nothing yet."""
        self._clock = clock
        self._info: models.Info | None = None
        self._until = 0.0

    async def get(self, peers: Peers, settings: Settings) -> models.Info:
        """Return it, asked anew if it is old."""
        now = self._clock.monotonic()
        if self._info is None or now >= self._until:
            self._info = await _ask(peers, settings)
            self._until = now + _KEPT_SECONDS
        return self._info


@router.get("/v1/info")
async def get_info(request: Request) -> models.Info:
    """Say what this installation is and which domains it serves."""
    cache: Cache = request.app.state.info
    return await cache.get(peers_of(request), request.app.state.settings)


async def _ask(peers: Peers, settings: Settings) -> models.Info:
    found = await peers.accounts.ListDomains(accounts_pb2.ListDomainsRequest(), timeout=peers.timeout)
    public = [domain.name for domain in found.domains if domain.profile == common_pb2.PROFILE_PUBLIC]
    members = [domain for domain in found.domains if domain.profile == common_pb2.PROFILE_SEALED]
    relays = [domain for domain in found.domains if domain.profile == common_pb2.PROFILE_RELAY]
    policy = models.PublicPolicy(keep_newest=0, retention_seconds=0)
    if public:
        # Any address of the domain has the domain's rules.
        sample = accounts_pb2.ResolveRequest(addresses=[f"anybody@{public[0]}"])
        route = (await peers.accounts.Resolve(sample, timeout=peers.timeout)).routes[0]
        policy = models.PublicPolicy(keep_newest=route.keep_newest, retention_seconds=route.retention_seconds)
    return models.Info(
        name=settings.name,
        version=VERSION,
        public_domains=public,
        member_domains=[domain.name for domain in members],
        relay_domains=[domain.name for domain in relays],
        sign_up_open=any(domain.open_for_sign_up for domain in (*members, *relays)),
        submission=_submission(settings),
        max_message_bytes=settings.max_message_bytes,
        public=policy,
        billing=peers.billing is not None,
    )


def _submission(settings: Settings) -> models.SubmissionServer | None:
    if not settings.submission_host:
        return None
    return models.SubmissionServer(
        host=settings.submission_host, starttls_port=settings.submission_port, tls_port=settings.submissions_port
    )
