"""Addresses that get copies of incoming mail: the owner's list, and the page behind the link in the mail that asks.

Adding one takes the password again: with a session alone, somebody at an unlocked computer could have all mail from
then on. The address is asked through delivery; if that fails the entry is taken back, for its token is lost.

The page needs no session: whoever has the link reads mail at the address, which is what is to be shown. Opening it does
nothing, as programs open links too; its buttons do.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

from libs.runtime.errors import InvalidError, NotFoundError, SealpostError, UnavailableError
from protos.accounts.v1 import accounts_pb2
from protos.delivery.v1 import delivery_pb2
from services.gateway.http import models, translate
from services.gateway.http.accounts import InSession
from services.gateway.http.caller import peers_of
from services.gateway.http.frames import pieces
from services.gateway.http.openapi import binary, errors
from services.gateway.http.plain_page import page

router = APIRouter(tags=["forwarding"])

_DAY = 86400
_MOST_FORM = 1024
_ASK = """<h1>Copies of mail to your address?</h1>
<p>Somebody would like copies of the mail that comes in at the mailbox named in our mail to be forwarded to you, too.
The copies come as they arrived, open, and are no longer private to that mailbox.</p>
<form method="post"><button type="submit" name="answer" value="yes">Yes, forward to me</button>
<button type="submit" name="answer" value="no" class="second">No, stop forwarding</button></form>"""
_YES = """<h1>Copies will come</h1>
<p>From now on mail that comes in there is forwarded to you. To stop it, open the link in our mail again.</p>
<form method="post"><button type="submit" name="answer" value="no" class="second">Stop forwarding</button></form>"""
_NO = """<h1>Stopped</h1>
<p>Nothing more is forwarded to you. What is on its way already may still arrive. You can close this page.</p>"""
_GONE = """<h1>This link no longer works</h1>
<p>It is older than 48 hours, or forwarding was stopped or taken back. Nothing is forwarded because of it.</p>"""
_LATER = """<h1>Not now, sorry</h1>
<p>This cannot be done right now. Please open the link in the mail once more in a few minutes.</p>"""
_PAGES = binary("text/html", "A page for people.")


class ForwardIn(models.In):
    """An address, and the proof of the account's password."""

    address: models.Address
    current_authentication_key: models.Key


class Forward(BaseModel):
    """`confirm_until` is null once somebody has answered; "stopped" is what the reader of the address has stopped."""

    id: str
    address: str
    state: Literal["pending", "active", "stopped"]
    created: datetime
    confirm_until: datetime | None


class ForwardOut(BaseModel):
    forward: Forward


class ForwardsOut(BaseModel):
    forwards: Annotated[list[Forward], Field(max_length=3)]


@router.get("/v1/forwarding", responses=errors(404))
async def list_forwards(caller: InSession, request: Request) -> ForwardsOut:
    """Return the addresses that get copies of incoming mail, and those that were asked."""
    peers = peers_of(request)
    wanted = accounts_pb2.ListForwardsRequest(account_id=caller.account_id)
    found = await peers.accounts.ListForwards(wanted, timeout=peers.timeout)
    return ForwardsOut(forwards=[_forward(one) for one in found.forwards])


@router.post("/v1/forwarding", status_code=201, responses=errors(404, 409))
async def add_forward(given: ForwardIn, caller: InSession, request: Request) -> ForwardOut:
    """Ask an address, by mail, whether copies may go there; nothing does before it has agreed."""
    peers = peers_of(request)
    added = await peers.accounts.AddForward(
        accounts_pb2.AddForwardRequest(
            account_id=caller.account_id,
            current_authentication_key=given.current_authentication_key,
            address=given.address,
        ),
        timeout=peers.timeout,
    )
    question = delivery_pb2.SendForwardConfirmationRequest(
        account_id=caller.account_id,
        account_address=added.account_address,
        address=added.forward.address,
        token=added.token,
    )
    try:
        await peers.delivery.SendForwardConfirmation(question, timeout=peers.timeout)
    except SealpostError:
        taken_back = accounts_pb2.DeleteForwardRequest(
            account_id=caller.account_id, forward_id=added.forward.forward_id
        )
        await peers.accounts.DeleteForward(taken_back, timeout=peers.timeout)
        raise
    return ForwardOut(forward=_forward(added.forward))


@router.delete("/v1/forwarding/{forward_id}", status_code=204)
async def delete_forward(forward_id: str, caller: InSession, request: Request) -> None:
    """Forward nothing more to an address, within seconds; what is on its way already may still arrive."""
    peers = peers_of(request)
    wanted = accounts_pb2.DeleteForwardRequest(account_id=caller.account_id, forward_id=forward_id)
    await peers.accounts.DeleteForward(wanted, timeout=peers.timeout)


@router.get("/f/{token}", responses=_PAGES, response_class=HTMLResponse)
async def ask_about_forwarding(token: str) -> HTMLResponse:
    """Show a page with two buttons, the same for every token; nothing happens before one is pressed."""
    return page("Copies of mail", _ASK)


@router.post("/f/{token}", responses=_PAGES, response_class=HTMLResponse)
async def answer_about_forwarding(token: str, request: Request) -> HTMLResponse:
    """Begin to forward to the address that the link was sent to (`answer=yes`), or stop it (anything else)."""
    form = b""
    async for piece in pieces(request):
        form += piece[: _MOST_FORM - len(form)]
    agreed = form == b"answer=yes"
    peers = peers_of(request)
    wanted = accounts_pb2.ForwardTokenRequest(token=token)
    try:
        if agreed:
            await peers.accounts.ConfirmForward(wanted, timeout=peers.timeout)
        else:
            await peers.accounts.StopForward(wanted, timeout=peers.timeout)
    except (NotFoundError, InvalidError):
        return page("This link no longer works", _GONE) if agreed else page("Stopped", _NO)
    except UnavailableError:
        return page("Please try again", _LATER, 503)
    return page("Copies will come", _YES) if agreed else page("Stopped", _NO)


def _forward(found: accounts_pb2.Forward) -> Forward:
    return Forward.model_validate(
        {
            "id": found.forward_id,
            "address": found.address,
            "state": found.state,
            "created": translate.at(found.created_day * _DAY),
            "confirm_until": translate.at_or_never(found.confirm_until),
        }
    )
