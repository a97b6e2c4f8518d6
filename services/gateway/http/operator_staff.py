"""What operators see of the platform: its health, who may see statistics, and who has read what.

Reads and changes that accounts answers are noted in the audit before they are answered: where the audit cannot be
written, nothing is shown and nobody gets a role.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import AwareDatetime

from libs.runtime.errors import NotFoundError
from protos.accounts.v1 import accounts_pb2
from protos.analytics.v1 import analytics_pb2 as pb
from services.gateway.http import operator_models as models
from services.gateway.http import operator_translate as translate
from services.gateway.http.caller import Caller, peers_of
from services.gateway.http.messages import require_id
from services.gateway.http.openapi import errors
from services.gateway.http.roles import STATISTICS, Holder, OperatorRoute
from services.gateway.http.translate import at_or_never
from services.gateway.peers import Peers

router = APIRouter(prefix="/v1/operator", tags=["operation"], route_class=OperatorRoute)
Before = Annotated[AwareDatetime | None, Query(description="The `next_before` of the page before.")]
Limit = Annotated[int, Query(ge=1, le=200)]
Minutes = Annotated[int, Query(ge=1, le=60)]
_AT_ONCE = 8


@router.get("/health")
async def read_health(caller: Holder, request: Request, minutes: Minutes = 60) -> models.PlatformHealth:
    """Return rates, errors, latencies, queues and saturation of each service."""
    peers = peers_of(request)
    # Without the reader: it tells nothing about anybody, and a page that watches would fill the audit.
    return translate.health(await peers.analytics.Health(pb.HealthRequest(minutes=minutes), timeout=peers.timeout))


@router.get("/audit")
async def read_audit(caller: Holder, request: Request, before: Before = None, limit: Limit = 50) -> models.Audit:
    """Return who read what, newest first. Reading it is in it the next time."""
    peers = peers_of(request)
    end = max(0, int(before.timestamp())) if before else 0
    # One more than shown tells whether there are more.
    wanted = pb.AuditRequest(before=end, limit=limit + 1, reader=caller.account_id)
    found = list((await peers.analytics.Audit(wanted, timeout=peers.timeout)).entries)
    shown, then = _page(found, limit)
    addresses = await _addresses(peers, {one.reader for one in shown})
    return models.Audit(
        entries=[translate.audit_entry(one, addresses) for one in shown],
        next_before=at_or_never(then),
    )


@router.get("/holders")
async def list_holders(caller: Holder, request: Request) -> models.Holders:
    """Return who may see statistics, and how many may."""
    peers = peers_of(request)
    await _note(peers, caller, "holders")
    return await _holders(peers)


@router.post("/holders", responses=errors(400, 404, 409))
async def grant_statistics(given: models.HolderIn, caller: Holder, request: Request) -> models.Holders:
    """Let an account see statistics; 409 where as many may as the settings allow."""
    peers = peers_of(request)
    await _note(peers, caller, "holder_granted")
    wanted = accounts_pb2.GrantRoleRequest(role=STATISTICS, address=given.address)
    await peers.accounts.GrantRole(wanted, timeout=peers.timeout)
    return await _holders(peers)


@router.delete("/holders/{account_id}", responses=errors(409))
async def revoke_statistics(account_id: str, caller: Holder, request: Request) -> models.Holders:
    """Let an account see statistics no more, from its next request on."""
    wanted = accounts_pb2.RevokeRoleRequest(role=STATISTICS, account_id=require_id(account_id))
    peers = peers_of(request)
    await _note(peers, caller, "holder_revoked")
    await peers.accounts.RevokeRole(wanted, timeout=peers.timeout)
    return await _holders(peers)


async def _note(peers: Peers, caller: Caller, what: str) -> None:
    await peers.analytics.Note(pb.NoteRequest(reader=caller.account_id, what=what), timeout=peers.timeout)


async def _holders(peers: Peers) -> models.Holders:
    wanted = accounts_pb2.ListHoldersRequest(role=STATISTICS)
    return translate.holders(await peers.accounts.ListHolders(wanted, timeout=peers.timeout))


def _page(found: list[pb.AuditEntry], limit: int) -> tuple[list[pb.AuditEntry], int]:
    """Return the entries of a page, and before which second the next one goes on, 0 on the last.

    A second is not torn apart, since its rest could not be asked for; unless it alone is more than a page.
    """
    if len(found) <= limit:
        return found, 0
    torn = found[limit].at
    whole = [one for one in found if one.at > torn]
    return (whole, torn + 1) if whole else (found[:limit], torn)


async def _addresses(peers: Peers, readers: Iterable[str]) -> dict[str, str]:
    slots = asyncio.Semaphore(_AT_ONCE)

    async def ask(account_id: str) -> tuple[str, str]:
        async with slots:
            wanted = accounts_pb2.GetAccountRequest(account_id=account_id)
            try:
                found = await peers.accounts.GetAccount(wanted, timeout=peers.timeout)
            except NotFoundError:
                return account_id, ""
        return account_id, found.address

    return dict(await asyncio.gather(*(ask(one) for one in readers)))
