"""What is behind the links of mails that are counted: a picture of one dot, a way on, and a way not to be counted.

Where a link leads stands sealed in the link itself; this service sends on to nothing else, so it is no open redirect:
whatever was not made here, was changed, or is too old, gets a page that leads nowhere. Of whoever follows a link
nothing is noted but the fact that delivery records without him. Who only looks ahead is not counted.
"""

from __future__ import annotations

import base64
import string
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from libs.runtime.errors import InvalidError, NotFoundError, UnavailableError
from protos.delivery.v1 import delivery_pb2 as pb
from services.gateway.http.caller import peers_of
from services.gateway.http.frames import pieces
from services.gateway.http.openapi import binary
from services.gateway.http.plain_page import page

router = APIRouter(tags=["measuring"])

# The smallest picture that all mail programs show: one transparent dot.
_DOT = base64.b64decode("R0lGODlhAQABAPAAAAAAAAAAACH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==")
# The picture is loaded from pages of other sites, which a web mail program is.
_DOT_HEADERS = {"Cross-Origin-Resource-Policy": "cross-origin"}
# Of every answer already: nothing is stored, and no referrer is passed on (services/gateway/http/headers.py).
_ON_HEADERS = {"X-Robots-Tag": "noindex, nofollow"}
_PURPOSES = ("sec-purpose", "purpose", "x-purpose", "x-moz")
_AHEAD = ("prefetch", "prerender", "preview")
# All of ASCII stands in a target as it is; it was looked at before it was sealed.
_AS_IT_IS = string.printable.strip()
_LONGEST = 4000

_NOWHERE = """<h1>This link leads nowhere</h1>
<p>It is not complete, or it is older than 60 days.</p>"""
_LATER = """<h1>Not now, sorry</h1>
<p>This cannot be done right now. Please open the link in the mail once more in a few minutes.</p>"""
_ASK = """<h1>Not be counted?</h1>
<p>Senders can count how many people open their mails and follow links in them. They are never told who.
Press the button, and you are not counted any more, whoever of this service writes to you.</p>
<form method="post"><button type="submit">Do not count me</button></form>"""
_DONE = """<h1>Done</h1>
<p>Mails to you count nothing from now on. You can close this page.</p>"""
_ANSWERS = binary("text/html", "A page for people.")
_FOLLOWED: dict[int | str, dict[str, Any]] = {
    200: {"description": "A picture of one dot.", "content": {"image/gif": {"schema": {}}}},
    302: {"description": "On to where the link leads."},
    404: {"description": "There is no such link.", "content": {"text/html": {"schema": {"type": "string"}}}},
}


@router.get("/m/{token}", responses=_FOLLOWED, response_class=Response)
async def follow_link(token: str, request: Request) -> Response:
    """Send on to where a link of a mail leads, or show the dot that tells of a mail that was opened.

    Counted is a GET by whoever does not say that he only looks ahead.
    """
    return await _follow(token, request, count=not _looks_ahead(request))


@router.head("/m/{token}", include_in_schema=False)
async def look_at_link(token: str, request: Request) -> Response:
    """Answer as to GET, and count nothing."""
    return await _follow(token, request, count=False)


@router.get("/o/{token}", responses=_ANSWERS, response_class=HTMLResponse)
async def ask_not_to_count(token: str) -> HTMLResponse:
    """Show a page with one button; nothing happens before it is pressed."""
    return page("Not be counted", _ASK)


@router.post("/o/{token}", responses=_ANSWERS, response_class=HTMLResponse)
async def count_no_more(token: str, request: Request) -> HTMLResponse:
    """Count the recipient whom the link was made for no more, whichever sender of this installation asks for it.

    The answer is the same for every token: who guesses one learns nothing.
    """
    async for _ in pieces(request):
        continue
    peers = peers_of(request)
    try:
        await peers.delivery.CountNoMore(pb.CountNoMoreRequest(token=token), timeout=peers.timeout)
    except (NotFoundError, InvalidError):
        pass
    except UnavailableError:
        return page("Please try again", _LATER, 503)
    return page("Not counted", _DONE)


async def _follow(token: str, request: Request, *, count: bool) -> Response:
    peers, wanted = peers_of(request), token.removesuffix(".gif")
    if len(wanted) > _LONGEST:
        return page("No such link", _NOWHERE, 404)
    try:
        asked = pb.FollowLinkRequest(token=wanted, count=count)
        found = await peers.delivery.FollowLink(asked, timeout=peers.timeout)
    except (NotFoundError, InvalidError):
        return page("No such link", _NOWHERE, 404)
    except UnavailableError:
        return page("Please try again", _LATER, 503)
    if not found.target:
        return Response(_DOT, 200, _DOT_HEADERS, "image/gif")
    return Response(status_code=302, headers=_ON_HEADERS | {"Location": quote(found.target, safe=_AS_IT_IS)})


def _looks_ahead(request: Request) -> bool:
    said = [request.headers.get(name, "").lower() for name in _PURPOSES]
    return any(word in text for text in said for word in _AHEAD)
