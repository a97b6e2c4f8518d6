"""Errors as problem details (RFC 9457). A detail never repeats input and never names a cause inside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from libs.runtime.errors import SealpostError

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
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Too large",
    415: "Unsupported media type",
    422: "Some fields are not right",
    429: "Too many requests",
    500: "A fault on our side",
    503: "Not available right now",
}
# What a person reads; a reason that is not here shows the title alone.
DETAILS = {
    "address_taken": "This address is taken.",
    "address_invalid": "This is not an address that can exist.",
    "address_reserved": "This address is reserved.",
    "domain_closed": "Nobody can sign up for an address at this domain.",
    "bad_proof": "Address and password do not match.",
    "not_public": "There is no public inbox at this address.",
    "origin": "The request did not come from this site.",
    "rate": "Too many requests from here; please wait.",
    "body_too_large": "The request is larger than allowed.",
    "session_missing": "There is no valid session; please sign in.",
    "scope_missing": "This key may not do that.",
    "too_many_streams": "Too many live streams are open from here.",
    "encoding": "A field is not valid base64.",
    "cursor_invalid": "The cursor is not one of ours.",
}
_HTTP_REASONS = {404: "no_such_path", 405: "method", 413: "body_too_large"}
_RETRY_SECONDS = 5


def problem(
    status: int,
    reason: str,
    *,
    retry_after: float | None = None,
    errors: Sequence[Mapping[str, str]] = (),
) -> JSONResponse:
    """Return the response for `status` and the stable word `reason`; `retry_after` in seconds."""
    title = TITLES.get(status, "Error")
    content: dict[str, object] = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": DETAILS.get(reason, title + "."),
        "reason": reason,
    }
    if errors:
        content["errors"] = list(errors)
    headers = {}
    if retry_after is not None:
        headers["Retry-After"] = str(max(1, round(retry_after + 0.5)))
    return JSONResponse(content, status_code=status, headers=headers, media_type="application/problem+json")


def of_error(error: SealpostError) -> JSONResponse:
    """Return the response for an error of the tree."""
    status = STATUS[error.code]
    retry = error.retry_after
    if retry is None and status in (429, 503):
        retry = _RETRY_SECONDS
    return problem(status, error.reason if status != 500 else "internal", retry_after=retry)


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem document."""

    @app.exception_handler(SealpostError)
    async def on_error(request: Request, error: SealpostError) -> JSONResponse:
        return of_error(error)

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        # Only where and what kind: the library's own text repeats the input.
        errors = [
            {"field": ".".join(str(part) for part in entry["loc"][1:]), "problem": str(entry["type"])}
            for entry in error.errors()[:20]
        ]
        return problem(422, "fields", errors=errors)

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, _HTTP_REASONS.get(error.status_code, "http"))

    @app.exception_handler(Exception)
    async def on_unknown(request: Request, error: Exception) -> JSONResponse:
        return problem(500, "internal")
