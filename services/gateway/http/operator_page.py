"""The operators' page, `/operator` and what is under it.

It is shown to who holds a role, and to who is not signed in, since it has the form to sign in with. To everybody else
who is signed in it does not exist: the answer is that of the page for a path that it has no view for, with 404. What
the page shows comes from the API, which asks for the role again each time; while it cannot be found out who somebody
is, he gets the page, which has nothing in it.
"""

from __future__ import annotations

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from libs.runtime.errors import SealpostError
from services.gateway.http.caller import session_caller
from services.gateway.http.page import Page
from services.gateway.http.roles import DISCLOSURE, OPERATOR, STATISTICS, SUPPORT

_ROLES = frozenset({OPERATOR, STATISTICS, SUPPORT, DISCLOSURE})
_PATH = "/operator"
_FILE = "/operator.html"


class OperatorPage:
    """What is served where no route of the API is: the operators' page, or else the page."""

    def __init__(self, page: Page) -> None:
        """Serve the files of `page`."""
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what no route of the API has taken."""
        path = scope["path"]
        if path == _FILE:
            # Behind its own path only.
            raise HTTPException(404)
        if (path == _PATH or path.startswith(_PATH + "/")) and await _may_see(Request(scope)):
            path = _FILE
        await self._page.serve(path, scope, receive, send)


async def _may_see(request: Request) -> bool:
    try:
        caller = await session_caller(request)
    except SealpostError:
        # Nobody, or not to be found out.
        return True
    return bool(caller.roles & _ROLES)
