"""Who somebody is about to write to: what of the mail will be sealed, and with which certificate.

Which addresses are ours accounts says, and nothing of ours is looked up elsewhere. An address of ours that cannot take
mail is "unknown", whatever the reason; elsewhere "open" means that no usable certificate was found just now.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from libs.runtime.errors import NotFoundError
from protos.accounts.v1 import accounts_pb2
from protos.crypto.v1 import crypto_pb2
from services.gateway.http import models
from services.gateway.http.accounts import InSession
from services.gateway.http.caller import limits_of, peers_of
from services.gateway.http.limits import spend
from services.gateway.lookup import KeyLookup
from services.gateway.peers import Peers

router = APIRouter(prefix="/v1", tags=["mail out"])
_MOST = 50


class RecipientsIn(models.In):
    """Addresses that somebody is about to write to."""

    addresses: Annotated[list[models.Address], Field(min_length=1, max_length=_MOST)]


class Recipient(BaseModel):
    """How mail to an address goes; certificate and fingerprint where it is sealed to one by the sender."""

    address: str
    kind: Literal["member", "wkd", "public", "open", "unknown"]
    certificate: models.Bytes | None = None
    fingerprint: str | None = None


class RecipientsOut(BaseModel):
    """In the order asked."""

    recipients: list[Recipient]


@router.post("/recipients")
async def find_recipients(given: RecipientsIn, caller: InSession, request: Request) -> RecipientsOut:
    """Say of each address how mail to it goes, and give the certificate to seal it to."""
    spend(limits_of(request).recipients, caller.account_id, weight=len(given.addresses))
    peers = peers_of(request)
    resolved = await peers.accounts.Resolve(
        accounts_pb2.ResolveRequest(addresses=given.addresses), timeout=peers.timeout
    )
    lookup: KeyLookup = request.app.state.lookup
    finding = [
        _find(peers, lookup, address, route) for address, route in zip(given.addresses, resolved.routes, strict=True)
    ]
    return RecipientsOut(recipients=await asyncio.gather(*finding))


async def _find(peers: Peers, lookup: KeyLookup, address: str, route: accounts_pb2.Route) -> Recipient:
    if route.status == accounts_pb2.Route.STATUS_NOT_OURS:
        found = await lookup.find(route.address or address)
        if found is None:
            return Recipient(address=address, kind="open")
        return Recipient(address=address, kind="wkd", certificate=found.data, fingerprint=found.fingerprint)
    if route.status != accounts_pb2.Route.STATUS_OK:
        return Recipient(address=address, kind="unknown")
    if not route.account_id:
        return Recipient(address=address, kind="public")
    try:
        wanted = crypto_pb2.GetCertificateRequest(account_id=route.account_id)
        kept = await peers.crypto.GetCertificate(wanted, timeout=peers.timeout)
    except NotFoundError:
        return Recipient(address=address, kind="unknown")
    return Recipient(address=address, kind="member", certificate=kept.certificate, fingerprint=kept.fingerprint)
