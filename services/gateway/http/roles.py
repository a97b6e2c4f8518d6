"""Routes for holders of a role: to everybody else there is nothing at their paths.

Who calls is found out before anything of the request is read, so that neither a malformed body nor a wrong query tells
that something is there; and a method that a path does not take is answered as an unknown path is, to everybody. An API
key is nobody here: roles work in a session.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, ClassVar

from fastapi import Depends, Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Scope

from libs.runtime.errors import UnauthenticatedError
from services.gateway.http.caller import Caller, session_caller

OPERATOR, STATISTICS, SUPPORT, DISCLOSURE = "operator", "statistics", "support", "disclosure"


class RoleRoute(APIRoute):
    """A route that exists for those who hold one of `roles`."""

    roles: ClassVar[frozenset[str]] = frozenset()

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Match as routes do; another method is another path."""
        match, child = super().matches(scope)
        return (Match.NONE, {}) if match is Match.PARTIAL else (match, child)

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, behind the question who calls."""
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            caller = await holder(request, self.roles)
            if caller is None:
                raise HTTPException(404)
            request.state.holder = caller
            return await handle(request)

        return guarded


class OperatorRoute(RoleRoute):
    """For operators."""

    roles = frozenset({OPERATOR})


class StatisticsRoute(RoleRoute):
    """For those who may see statistics."""

    roles = frozenset({STATISTICS})


class StaffRoute(RoleRoute):
    """For both."""

    roles = frozenset({OPERATOR, STATISTICS})


class SupportRoute(RoleRoute):
    """For those who answer concerns."""

    roles = frozenset({OPERATOR, SUPPORT})


class DisclosureRoute(RoleRoute):
    """For officers who carry out orders."""

    roles = frozenset({DISCLOSURE})


async def holder(request: Request, roles: frozenset[str]) -> Caller | None:
    """Return who calls if he holds one of `roles`, None for everybody else. Raises UnavailableError."""
    try:
        caller = await session_caller(request)
    except UnauthenticatedError:
        return None
    return caller if caller.roles & roles else None


def _known(request: Request) -> Caller:
    caller: Caller = request.state.holder
    return caller


Holder = Annotated[Caller, Depends(_known)]
