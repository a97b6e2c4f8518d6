"""What every request passes: size, rate, origin, and the headers of every answer.

Plain ASGI, because it stands on every request and because live streams must pass through unbuffered.

The content security policy has no exceptions. One file has a policy of its own: the worker that derives keys compiles
WebAssembly, and a worker's policy is that of its own response, so the page's stays strict.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

from fastapi.responses import Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.runtime.errors import ExhaustedError
from libs.runtime.limits import KeyedLimiter
from services.gateway.http.problems import of_error, problem

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "font-src 'self'",
        "connect-src 'self'",
        "worker-src 'self'",
        "frame-src 'self'",
        "manifest-src 'self'",
        "form-action 'none'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types sealpost dompurify",
    )
)
WORKER_POLICY = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'"
WORKER_PREFIX = "/assets/argon2-"
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_SAFE = {"GET", "HEAD", "OPTIONS"}
_PROOFS = {
    "/v1/kdf",
    "/v1/session",
    "/v1/recovery",
    "/v1/recovery/complete",
    "/v1/account/password",
    "/v1/account/recovery",
}


@dataclass(frozen=True)
class Limits:
    """The rates of one client address, and the largest request body in bytes."""

    requests: KeyedLimiter
    proofs: KeyedLimiter
    sign_ups: KeyedLimiter
    max_body_bytes: int


class Guard:
    """The middleware around the application."""

    def __init__(self, app: ASGIApp, limits: Limits, public_url: str) -> None:
        """Guard `app`; `public_url` is what browsers see, or empty where the Host header says it."""
        self._app = app
        self._limits = limits
        self._public_url = public_url.rstrip("/")
        self._hsts = public_url.startswith("https://")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request pass, or answer it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        send = self._with_headers(scope["path"], send)
        refusal = self._refuse(scope)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        await self._app(scope, _bounded(receive, self._limits.max_body_bytes), send)

    def _refuse(self, scope: Scope) -> Response | None:
        client = client_key(scope)
        limiters = [self._limits.requests]
        if scope["method"] not in _SAFE and scope["path"] in _PROOFS:
            limiters.append(self._limits.proofs)
        if scope["method"] == "POST" and scope["path"] == "/v1/accounts":
            limiters.append(self._limits.sign_ups)
        for limiter in limiters:
            wait = limiter.allow(client)
            if wait > 0:
                return of_error(ExhaustedError("rate", retry_after=wait))
        headers = Headers(scope=scope)
        if not self._same_origin(scope, headers):
            return problem(403, "origin")
        declared = headers.get("content-length", "0")
        if not declared.isdigit() or int(declared) > self._limits.max_body_bytes:
            return problem(413, "body_too_large")
        return None

    def _same_origin(self, scope: Scope, headers: Headers) -> bool:
        # A browser names the origin on every unsafe request; a program that sends a cookie names it too.
        if scope["method"] in _SAFE:
            return True
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return False
        origin = headers.get("origin")
        if origin is None:
            return "cookie" not in headers
        if self._public_url:
            return origin == self._public_url
        parts = urlsplit(origin)
        return parts.scheme in ("http", "https") and parts.netloc != "" and parts.netloc == headers.get("host")

    def _with_headers(self, path: str, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, text in _HEADERS.items():
                    headers[name] = text
                worker = path.startswith(WORKER_PREFIX)
                headers["Content-Security-Policy"] = WORKER_POLICY if worker else CONTENT_SECURITY_POLICY
                if self._hsts:
                    headers["Strict-Transport-Security"] = "max-age=63072000; includeSubDomains"
                if path.startswith("/v1/"):
                    headers["Cache-Control"] = "no-store"
            await send(message)

        return sending


def client_key(scope: Scope) -> str:
    """Return what limits are counted by: the client's address, of IPv6 its /64."""
    host = scope["client"][0] if scope.get("client") else "unknown"
    try:
        address = ip_address(host)
    except ValueError:
        return str(host)
    if isinstance(address, IPv6Address):
        mapped = address.ipv4_mapped
        return str(mapped) if mapped else str(IPv6Address(int(address) >> 64 << 64))
    return str(address)


def _bounded(receive: Receive, bound: int) -> Receive:
    received = 0

    async def receiving() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > bound:
            # The framework's own kind passes through its reading of the body as it is.
            raise HTTPException(413)
        return message

    return receiving


def guarded(limits: Limits, public_url: str) -> Callable[[ASGIApp], Guard]:
    """Return a function that puts the guard around an application."""
    return lambda app: Guard(app, limits, public_url)
