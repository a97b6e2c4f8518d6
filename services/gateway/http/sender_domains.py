"""Domains that an account sends with; claimed and given up in a session only."""

from __future__ import annotations

from fastapi import APIRouter, Request

from protos.delivery.v1 import delivery_pb2 as pb
from services.gateway.http import relay_models
from services.gateway.http.accounts import InSession
from services.gateway.http.caller import peers_of
from services.gateway.http.openapi import errors
from services.gateway.http.relay_translate import sender_domain

router = APIRouter(prefix="/v1/sender-domains", tags=["sending"])
# Six records, each asked for five seconds at most.
_LOOK_SECONDS = 30.0


@router.get("")
async def list_sender_domains(caller: InSession, request: Request) -> relay_models.SenderDomains:
    """Return the domains, the records that each needs, and how the last look found them."""
    peers = peers_of(request)
    wanted = pb.ListSenderDomainsRequest(account_id=caller.account_id)
    found = await peers.delivery.ListSenderDomains(wanted, timeout=peers.timeout)
    return relay_models.SenderDomains(domains=[sender_domain(one) for one in found.domains])


@router.post("", status_code=201, responses=errors(409))
async def add_sender_domain(
    given: relay_models.SenderDomainIn, caller: InSession, request: Request
) -> relay_models.SenderDomain:
    """Claim a domain; the answer has the records to publish."""
    peers = peers_of(request)
    wanted = pb.SenderDomainRequest(account_id=caller.account_id, domain=given.domain)
    return sender_domain(await peers.delivery.PutSenderDomain(wanted, timeout=_LOOK_SECONDS))


@router.post("/{domain}/check", responses=errors(409))
async def check_sender_domain(domain: str, caller: InSession, request: Request) -> relay_models.SenderDomain:
    """Look at the DNS now."""
    peers = peers_of(request)
    wanted = pb.SenderDomainRequest(account_id=caller.account_id, domain=domain)
    return sender_domain(await peers.delivery.CheckSenderDomain(wanted, timeout=_LOOK_SECONDS))


@router.delete("/{domain}", status_code=204)
async def delete_sender_domain(domain: str, caller: InSession, request: Request) -> None:
    """Give a domain up; one that was never claimed is fine."""
    peers = peers_of(request)
    wanted = pb.SenderDomainRequest(account_id=caller.account_id, domain=domain)
    await peers.delivery.DeleteSenderDomain(wanted, timeout=_LOOK_SECONDS)
