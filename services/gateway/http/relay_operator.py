"""What operators do about sending: the records of our own domains, and letting a paused account go on."""

from __future__ import annotations

from fastapi import APIRouter, Request

from libs.runtime.errors import DeniedError, NotFoundError
from protos.accounts.v1 import accounts_pb2
from protos.delivery.v1 import delivery_pb2 as pb
from services.gateway.http import relay_models
from services.gateway.http.accounts import InSession
from services.gateway.http.caller import Caller, peers_of
from services.gateway.http.openapi import errors
from services.gateway.http.relay_translate import sender_domain, sending

router = APIRouter(prefix="/v1/operator", tags=["operation"])
_ROLE = "operator"
_LOOK_SECONDS = 60.0


@router.get("/dns", responses=errors(403))
async def list_dns_records(caller: InSession, request: Request) -> relay_models.SenderDomains:
    """Return the records that this installation's own domains need, looked at now."""
    _require(caller)
    found = await peers_of(request).delivery.ListDnsRecords(pb.ListDnsRecordsRequest(), timeout=_LOOK_SECONDS)
    return relay_models.SenderDomains(domains=[sender_domain(one) for one in found.domains])


@router.post("/resume", responses=errors(404))
async def resume_sending(given: relay_models.ResumeIn, caller: InSession, request: Request) -> relay_models.Sending:
    """Let an account send again that was paused for bounces or complaints."""
    _require(caller)
    peers = peers_of(request)
    asked = accounts_pb2.ResolveRequest(addresses=[given.address])
    (route,) = (await peers.accounts.Resolve(asked, timeout=peers.timeout)).routes
    if not route.account_id:
        raise NotFoundError("account_not_found")
    wanted = pb.GetSendingRequest(account_id=route.account_id)
    return sending(await peers.delivery.ResumeSending(wanted, timeout=peers.timeout))


def _require(caller: Caller) -> None:
    if _ROLE not in caller.roles:
        raise DeniedError("role_missing")
