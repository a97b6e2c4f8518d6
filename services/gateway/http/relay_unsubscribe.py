"""One click out of a list (RFC 8058): the page behind the link in a mail, and the POST that does it.

The link may be opened by anything that looks at links, so opening it does nothing; the button does. A POST needs
neither cookie nor origin: mail programs send it, and the token is all the proof there is. The answers are the same for
every token: who guesses one learns nothing, and who has an old one is not told more than that it is done. Only a token
under a key-encryption key that is not mounted now is told to come again, for an operator can bring the key back.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from libs.runtime.errors import InvalidError, NotFoundError, UnavailableError
from protos.delivery.v1 import delivery_pb2 as pb
from services.gateway.http.caller import peers_of
from services.gateway.http.frames import pieces
from services.gateway.http.openapi import binary
from services.gateway.http.plain_page import page

router = APIRouter(tags=["unsubscribing"])

_ASK = """<h1>Unsubscribe?</h1>
<p>Press the button, and this sender no longer reaches you through this service.</p>
<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click">
<button type="submit">Unsubscribe</button></form>"""
_DONE = """<h1>Done</h1>
<p>This sender no longer reaches you through this service. You can close this page.</p>"""
_LATER = """<h1>Not now, sorry</h1>
<p>This cannot be done right now. Please open the link in the mail once more in a few minutes.</p>"""
_ANSWERS = binary("text/html", "A page for people.")


@router.get("/u/{token}", responses=_ANSWERS, response_class=HTMLResponse)
async def ask_to_unsubscribe(token: str) -> HTMLResponse:
    """Show a page with one button; nothing happens before it is pressed."""
    return page("Unsubscribe", _ASK)


@router.post("/u/{token}", responses=_ANSWERS, response_class=HTMLResponse)
async def unsubscribe(token: str, request: Request) -> HTMLResponse:
    """Take the recipient whom the link was made for off the sender's list."""
    async for _ in pieces(request):
        # `List-Unsubscribe=One-Click`, or what a program makes of it; it says nothing that the token does not.
        continue
    peers = peers_of(request)
    try:
        await peers.delivery.Unsubscribe(pb.UnsubscribeRequest(token=token), timeout=peers.timeout)
    except (NotFoundError, InvalidError):
        pass
    except UnavailableError:
        return page("Please try again", _LATER, 503)
    return page("Unsubscribed", _DONE)
