"""Pages behind links in mails: complete in themselves, no script, no file, their style allowed by its hash alone."""

from __future__ import annotations

import base64
import hashlib

from fastapi.responses import HTMLResponse

_STYLE = """
:root{color-scheme:light dark}
body{margin:0;min-height:100vh;display:grid;place-items:center;background:Canvas;color:CanvasText;
font:1.0625rem/1.6 system-ui,sans-serif}
main{box-sizing:border-box;max-width:34rem;padding:2rem}
h1{font-size:1.5rem;line-height:1.25;margin:0 0 1rem}
p{margin:0 0 1.25rem}
form{display:flex;flex-wrap:wrap;gap:.75rem}
button{font:inherit;font-weight:600;min-height:2.75rem;padding:.6rem 1.4rem;border:2px solid transparent;
border-radius:.6rem;background:light-dark(#1d4ed8,#93b4ff);color:light-dark(#fff,#0b1220);cursor:pointer}
button:hover{background:light-dark(#1e40af,#b3c9ff)}
button.second{background:transparent;color:inherit;border-color:currentColor}
button.second:hover{background:color-mix(in srgb,currentColor 10%,transparent)}
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


def page(title: str, content: str, status: int = 200) -> HTMLResponse:
    """Return a page; `title` and `content` are HTML of ours. With status 503 the client is told when to come again."""
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><main>{content}</main></body></html>"
    )
    headers = _HEADERS | ({"Retry-After": "60"} if status == 503 else {})
    return HTMLResponse(text, status, headers)
