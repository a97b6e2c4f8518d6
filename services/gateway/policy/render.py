"""Templates into HTML: everything from a document or from evidence is escaped, and no page has a script or a file.

The style stands in the page and is allowed by its hash, so that a page is one answer and nothing else can style it.
"""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_FOLDER = Path(__file__).with_name("templates")
_STYLE = (_FOLDER / "style.css").read_text(encoding="utf-8")
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"

_TEMPLATES = Environment(
    loader=FileSystemLoader(_FOLDER),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)


def rendered(template: str, **values: object) -> str:
    """Return the page made of `template` with `values`; each page needs `title`, `name` and `here`."""
    return _TEMPLATES.get_template(f"{template}.html").render(style=Markup(_STYLE), **values)  # noqa: S704 - our file


def answer(page: str, status: int = 200, *, private: bool = False) -> HTMLResponse:
    """Return `page` as an answer; a `private` one may be kept by nobody."""
    headers = {"Content-Security-Policy": _POLICY, "Cache-Control": "no-store" if private else "public, max-age=30"}
    if private:
        headers["X-Robots-Tag"] = "noindex, nofollow"
    return HTMLResponse(page, status, headers)
