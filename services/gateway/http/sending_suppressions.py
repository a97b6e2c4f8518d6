"""Whom an account does not write to."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from protos.delivery.v1 import delivery_pb2 as pb
from services.gateway.http import relay_models
from services.gateway.http.caller import peers_of
from services.gateway.http.messages import require_id
from services.gateway.http.relay_translate import suppression
from services.gateway.http.sending import Cursor, Id, Limit, Sender

router = APIRouter(prefix="/v1/suppressions", tags=["sending"])
Address = Annotated[str, Query(max_length=320, description="Only the entry of this address.")]


@router.get("")
async def list_suppressions(
    caller: Sender, request: Request, limit: Limit = 50, cursor: Cursor = "", address: Address = ""
) -> relay_models.Suppressions:
    """Return the list, newest first; or whether one address is on it."""
    peers = peers_of(request)
    wanted = pb.ListSuppressionsRequest(account_id=caller.account_id, limit=limit, cursor=cursor, address=address)
    found = await peers.delivery.ListSuppressions(wanted, timeout=peers.timeout)
    return relay_models.Suppressions(
        suppressions=[suppression(one) for one in found.suppressions], next_cursor=found.next_cursor or None
    )


@router.post("", status_code=201)
async def add_suppression(
    given: relay_models.SuppressionIn, caller: Sender, request: Request
) -> relay_models.Suppression:
    """Put an address on the list; its entry is returned if it is there already."""
    peers = peers_of(request)
    wanted = pb.PutSuppressionRequest(account_id=caller.account_id, address=given.address)
    return suppression(await peers.delivery.PutSuppression(wanted, timeout=peers.timeout))


@router.delete("/{id}", status_code=204)
async def delete_suppression(suppression_id: Id, caller: Sender, request: Request) -> None:
    """Take an entry off the list; one that is not there is fine."""
    peers = peers_of(request)
    wanted = pb.DeleteSuppressionRequest(account_id=caller.account_id, suppression_id=require_id(suppression_id))
    await peers.delivery.DeleteSuppression(wanted, timeout=peers.timeout)
