"""One click out of a list (RFC 8058): the page behind the link in a mail, and the POST that does it.

The link may be opened by anything that looks at links, so opening it does nothing; the button does. A POST needs
neither cookie nor origin: mail programs send it, and the token is all the proof there is. The answers are the same for
every token: who guesses one learns nothing, and who has an old one is not told more than that it is done. Only a token
under a key-encryption key that is not mounted now is told to come again, for an operator can bring the key back.

The page is complete in itself: no script, no file, its style allowed by its hash alone.
"""

from __future__ import annotations

import base64
import hashlib

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from libs.runtime.errors import InvalidError, NotFoundError, UnavailableError
from protos.delivery.v1 import delivery_pb2 as pb
from services.gateway.http.caller import peers_of
from services.gateway.http.frames import pieces
from services.gateway.http.openapi import binary

router = APIRouter(tags=["unsubscribing"])

_STYLE = """
:root{color-scheme:light dark}
body{margin:0;min-height:100vh;display:grid;place-items:center;background:Canvas;color:CanvasText;
font:1.0625rem/1.6 system-ui,sans-serif}
main{box-sizing:border-box;max-width:34rem;padding:2rem}
h1{font-size:1.5rem;line-height:1.25;margin:0 0 1rem}
p{margin:0 0 1.25rem}
button{font:inherit;font-weight:600;min-height:2.75rem;padding:.6rem 1.4rem;border:2px solid transparent;
border-radius:.6rem;background:light-dark(#1d4ed8,#93b4ff);color:light-dark(#fff,#0b1220);cursor:pointer}
button:hover{background:light-dark(#1e40af,#b3c9ff)}
button:focus-visible{outline:3px solid currentColor;outline-offset:3px}
@supports not (color:light-dark(#000,#fff)){button{background:#1d4ed8;color:#fff}}
@media (forced-colors:active){button{border-color:ButtonText}}
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_HEADERS = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Robots-Tag": "noindex, nofollow",
}
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
    return _page("Unsubscribe", _ASK)


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
        return _page("Please try again", _LATER, 503)
    return _page("Unsubscribed", _DONE)


def _page(title: str, content: str, status: int = 200) -> HTMLResponse:
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><main>{content}</main></body></html>"
    )
    headers = _HEADERS | ({"Retry-After": "60"} if status == 503 else {})
    return HTMLResponse(text, status, headers)
