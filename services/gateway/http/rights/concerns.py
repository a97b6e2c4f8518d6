"""Concerns: threads between an account's owner and the operator, at both ends."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request

from protos.accounts.v1 import accounts_pb2
from services.gateway.http.accounts import InSession
from services.gateway.http.caller import peers_of
from services.gateway.http.messages import require_id
from services.gateway.http.openapi import errors
from services.gateway.http.rights import models, translate
from services.gateway.http.rights.letters import Letter, tell
from services.gateway.http.roles import Holder, SupportRoute

router = APIRouter(prefix="/v1/concerns", tags=["rights"])
staff_router = APIRouter(prefix="/v1/operator/concerns", tags=["operation"], route_class=SupportRoute)
Limit = Annotated[int, Query(ge=1, le=200)]


@router.get("", responses=errors(404))
async def list_concerns(caller: InSession, request: Request) -> models.ConcernsOut:
    """Return the concerns that this account's owner has raised, the last changed first."""
    return await _list(request, accounts_pb2.ListConcernsRequest(account_id=caller.account_id, limit=200))


@router.post("", status_code=201, responses=errors(404, 409))
async def open_concern(given: models.ConcernIn, caller: InSession, request: Request) -> models.Concern:
    """Raise a concern; the operator reads it and answers here."""
    peers = peers_of(request)
    wanted = accounts_pb2.OpenConcernRequest(account_id=caller.account_id, about=given.about, text=given.text)
    return translate.concern(await peers.accounts.OpenConcern(wanted, timeout=peers.timeout))


@router.get("/{concern_id}")
async def get_concern(concern_id: str, caller: InSession, request: Request) -> models.Concern:
    """Return one with all that was written."""
    return await _get(request, caller.account_id, concern_id)


@router.post("/{concern_id}", responses=errors(409))
async def add_to_concern(concern_id: str, given: models.EntryIn, caller: InSession, request: Request) -> models.Concern:
    """Write more; an answered concern is open again."""
    return await _add(request, caller.account_id, concern_id, given.text)


@router.post("/{concern_id}/close", responses=errors(409))
async def close_concern(concern_id: str, caller: InSession, request: Request) -> models.Concern:
    """Settle it."""
    return await _close(request, caller.account_id, concern_id)


@staff_router.get("")
async def list_all_concerns(caller: Holder, request: Request, limit: Limit = 50) -> models.ConcernsOut:
    """Return concerns of everybody, those that wait for an answer first."""
    return await _list(request, accounts_pb2.ListConcernsRequest(limit=limit), staff=True)


@staff_router.get("/{concern_id}")
async def read_concern(concern_id: str, caller: Holder, request: Request) -> models.Concern:
    """Return one with all that was written, and the address of whoever raised it."""
    return await _get(request, "", concern_id)


@staff_router.post("/{concern_id}", responses=errors(409))
async def answer_concern(concern_id: str, given: models.EntryIn, caller: Holder, request: Request) -> models.Concern:
    """Answer; the owner is told by mail."""
    peers = peers_of(request)
    wanted = accounts_pb2.AddToConcernRequest(concern_id=require_id(concern_id), text=given.text)
    answered = await peers.accounts.AddToConcern(wanted, timeout=peers.timeout)
    if answered.account_id:
        what = f"concern/{answered.concern_id}/{len(answered.entries)}"
        await tell(peers, answered.account_id, Letter("rights", "concern_answered", what))
    return translate.concern(answered, staff=True)


@staff_router.post("/{concern_id}/close", responses=errors(409))
async def settle_concern(concern_id: str, caller: Holder, request: Request) -> models.Concern:
    """Settle it."""
    return await _close(request, "", concern_id)


async def _list(
    request: Request, wanted: accounts_pb2.ListConcernsRequest, *, staff: bool = False
) -> models.ConcernsOut:
    peers = peers_of(request)
    found = await peers.accounts.ListConcerns(wanted, timeout=peers.timeout)
    return models.ConcernsOut(concerns=[translate.concern(one, staff=staff) for one in found.concerns])


async def _get(request: Request, account_id: str, concern_id: str) -> models.Concern:
    peers = peers_of(request)
    wanted = accounts_pb2.GetConcernRequest(account_id=account_id, concern_id=require_id(concern_id))
    return translate.concern(await peers.accounts.GetConcern(wanted, timeout=peers.timeout), staff=not account_id)


async def _add(request: Request, account_id: str, concern_id: str, text: str) -> models.Concern:
    peers = peers_of(request)
    wanted = accounts_pb2.AddToConcernRequest(account_id=account_id, concern_id=require_id(concern_id), text=text)
    return translate.concern(await peers.accounts.AddToConcern(wanted, timeout=peers.timeout), staff=not account_id)


async def _close(request: Request, account_id: str, concern_id: str) -> models.Concern:
    peers = peers_of(request)
    wanted = accounts_pb2.GetConcernRequest(account_id=account_id, concern_id=require_id(concern_id))
    return translate.concern(await peers.accounts.CloseConcern(wanted, timeout=peers.timeout), staff=not account_id)
