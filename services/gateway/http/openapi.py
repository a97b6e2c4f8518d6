"""The description of the API (OpenAPI 3.1), made from the routes and true to what they do.

What follows from a route's construction is derived, so that it cannot be forgotten: who may call it from the function
that finds the caller, and which errors it can answer with from its method, its input and its caller. A route itself
only names the errors that come of its meaning (`errors`). tests/unit/gateway/test_openapi.py compares answers with
this.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from services.gateway.http.caller import COOKIE, required_scope
from services.gateway.http.problems import MEDIA_TYPE, TITLES
from services.gateway.http.roles import RoleRoute

_SCHEMES = {
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": COOKIE,
        "description": "Set by sign-up and sign-in. Unsafe methods need the Origin of this site beside it.",
    },
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key (`sp_...`) with the scope that the operation names; what it gets stays sealed.",
    },
}
_PROBLEM: dict[str, Any] = {
    "title": "Problem",
    "description": "Problem details (RFC 9457).",
    "type": "object",
    "required": ["type", "title", "status", "detail", "reason"],
    "properties": {
        "type": {"const": "about:blank"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "A sentence for people."},
        "reason": {"type": "string", "pattern": "^[a-z0-9_.-]+$", "description": "A stable word for programs."},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "problem", "detail"],
                "properties": {
                    "field": {"type": "string", "description": "Where, with dots; empty for the request as a whole."},
                    "problem": {"type": "string"},
                    "detail": {"type": "string"},
                },
            },
        },
    },
}
_RETRY_AFTER = {"description": "Seconds to wait.", "required": True, "schema": {"type": "integer", "minimum": 1}}
_EVERY = {429, 500, 503}
_SAFE = {"GET", "HEAD"}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route for these statuses of error."""
    return {status: _response(status) for status in statuses}


def binary(media_type: str, description: str) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that answers with bytes or a stream."""
    return {200: {"description": description, "content": {media_type: {"schema": _schema_of(media_type)}}}}


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the description; it is made at the first call and kept, since no route comes or goes later."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            description=(
                "Bytes are base64 (standard alphabet, padded), times RFC 3339 in UTC. Members' mail comes sealed; "
                "only its owner opens it. Public inboxes are public."
            ),
            routes=app.routes,
            servers=[{"url": "/"}],
        )
        components = document.setdefault("components", {})
        components["securitySchemes"] = _SCHEMES
        schemas = components.setdefault("schemas", {})
        schemas["Problem"] = _PROBLEM
        for leftover in ("HTTPValidationError", "ValidationError"):
            schemas.pop(leftover, None)
        for route in api_routes(app.routes):
            for method in route.methods or ():
                _complete(document["paths"][route.path_format][method.lower()], route, method)
        app.openapi_schema = document
    return app.openapi_schema


def api_routes(routes: list[BaseRoute]) -> Iterator[APIRoute]:
    """Yield the routes that are described."""
    for route in routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            yield route


def _complete(operation: dict[str, Any], route: APIRoute, method: str) -> None:
    operation["operationId"] = route.name
    calls = [dependency.call for dependency in route.dependant.dependencies]
    scopes = [scope for call in calls if (scope := required_scope(call)) is not None]
    statuses, roles = set(_EVERY), route.roles if isinstance(route, RoleRoute) else frozenset[str]()
    if roles:
        statuses |= {404}
        needed = " or ".join(f"`{role}`" for role in sorted(roles))
        operation["description"] += f"\n\nFor holders of the role {needed}; to everybody else this path is not there."
    if method not in _SAFE:
        statuses |= {403}
    if scopes:
        statuses |= {401}
    if any(scopes):
        statuses |= {403}
        operation["description"] += f"\n\nAn API key needs the scope `{scopes[0]}`."
    if route.dependant.body_params or "requestBody" in (route.openapi_extra or {}):
        statuses |= {400, 408, 413, 422}
    if route.dependant.path_params:
        statuses |= {400, 404}
    if route.dependant.query_params:
        statuses |= {400, 422}
    operation["security"] = (
        [] if not (scopes or roles) else [{"session": []}] + ([{"apiKey": []}] if any(scopes) else [])
    )
    responses = operation["responses"]
    for status in statuses:
        # People who have followed a link get a page.
        page = {kind: media for kind, media in _own(route, status).items() if kind == "text/html"}
        responses[str(status)] = _response(status)
        responses[str(status)]["content"] |= page
    if str(422) in responses and 422 not in statuses:
        del responses["422"]
    operation["responses"] = dict(sorted(responses.items()))


def _own(route: APIRoute, status: int) -> dict[str, Any]:
    content: dict[str, Any] = route.responses.get(status, {}).get("content", {})
    return content


def _response(status: int) -> dict[str, Any]:
    response: dict[str, Any] = {
        "description": TITLES[status],
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if status in (429, 503):
        response["headers"] = {"Retry-After": _RETRY_AFTER}
    return response


def _schema_of(media_type: str) -> dict[str, Any]:
    # OpenAPI 3.1, 4.8.14.2: raw binary has no schema.
    return {"type": "string"} if media_type.startswith("text/") else {}
