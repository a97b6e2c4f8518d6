"""Errors as problem details (RFC 9457). A detail never repeats input and never names a cause inside."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import Match

from libs.runtime.errors import SealpostError
from services.gateway.http.reasons import BUSY, DETAILS, FAULTS, FIELD_DETAIL, FIELD_DETAILS, FULL, TO_PAY

MEDIA_TYPE = "application/problem+json"
STATUS = {
    "invalid": 400,
    "unauthenticated": 401,
    "denied": 403,
    "not_found": 404,
    "conflict": 409,
    "exhausted": 429,
    "internal": 500,
    "unavailable": 503,
}
TITLES = {
    400: "Bad request",
    401: "Sign-in needed",
    402: "Payment needed",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    408: "Too slow",
    409: "Conflict",
    413: "Too large",
    422: "Some fields are not right",
    429: "Too many requests",
    431: "Header too large",
    500: "A fault on our side",
    503: "Not available right now",
}
_HTTP_REASONS = {400: "body_malformed", 404: "no_such_path", 405: "method", 408: "body_late", 413: "body_too_large"}
_RETRY_SECONDS = 5.0
_MOST_ERRORS = 20


def document(status: int, reason: str, errors: Sequence[Mapping[str, str]] = ()) -> bytes:
    """Return the problem document of `status` and the stable word `reason`."""
    title = TITLES.get(status, "Error")
    content: dict[str, object] = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": DETAILS.get(reason, title + "."),
        "reason": reason,
    }
    if errors:
        content["errors"] = errors
    return json.dumps(content, separators=(",", ":")).encode()


def problem(
    status: int,
    reason: str,
    *,
    retry_after: float | None = None,
    errors: Sequence[Mapping[str, str]] = (),
) -> Response:
    """Return the response for `status` and the stable word `reason`; `retry_after` in seconds."""
    headers = {}
    if retry_after is None and status in (429, 503):
        retry_after = _RETRY_SECONDS
    if retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(retry_after)))
    if status == 408:
        # RFC 9110, 15.5.9: the rest of the request is not waited for.
        headers["Connection"] = "close"
    return Response(document(status, reason, errors), status, headers, MEDIA_TYPE)


def of_error(error: SealpostError) -> Response:
    """Return the response for an error of the tree."""
    status, reason = STATUS[error.code], error.reason
    if reason in FAULTS:
        status = 500
    elif reason in BUSY:
        status, reason = 503, "busy"
    elif reason in TO_PAY and error.code == "exhausted":
        status = 402
    elif reason in FULL:
        status = 409
    if status == 500:
        reason = "internal"
    elif status == 503 and reason not in DETAILS:
        reason = "unavailable"
    return problem(status, reason, retry_after=error.retry_after)


def of_validation(error: RequestValidationError) -> Response:
    """Return the response for fields that are missing or malformed: where and what kind, nothing of the input."""
    errors = []
    for entry in error.errors()[:_MOST_ERRORS]:
        kind = str(entry["type"])
        place = entry["loc"][1:]
        if kind == "extra_forbidden":
            # The name of a field that is not ours is input.
            place = place[:-1]
        elif kind == "json_invalid":
            place = ()
        field = ".".join(str(part) for part in place)
        errors.append({"field": field, "problem": kind, "detail": FIELD_DETAILS.get(kind, FIELD_DETAIL)})
    return problem(422, "fields", errors=errors)


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem document."""

    @app.exception_handler(SealpostError)
    async def on_error(request: Request, error: SealpostError) -> Response:
        return of_error(error)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> Response:
        return of_validation(error)

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> Response:
        response = problem(error.status_code, _HTTP_REASONS.get(error.status_code, "http"))
        if error.status_code == 405:
            known = (error.headers or {}).get("Allow", "")
            response.headers["Allow"] = ", ".join(sorted(_methods(request))) or known
        return response


def _methods(request: Request) -> set[str]:
    """Return the methods that the path of `request` takes; the framework names those of its first route only."""
    methods: set[str] = set()
    for route in request.app.routes:
        match, _ = route.matches(request.scope)
        if match is not Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    return methods
