"""What every request passes: rate, origin, size and time; what every answer carries; what happens when all else fails.

Plain ASGI around the application, because it stands on every request and because live streams must pass through
unbuffered. It is the outermost layer, so that no answer can leave without its headers.

HEAD is answered as GET is, without the body, but for streams: what they send has no end or is expensive to begin; and
for links that are counted, which must know that nobody follows them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import perf_counter

from fastapi import FastAPI
from fastapi.responses import Response
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from libs.runtime.errors import ExhaustedError
from libs.telemetry import metrics, traces
from libs.telemetry.logs import get_logger
from services.gateway.http.clients import Clients
from services.gateway.http.headers import SecurityHeaders
from services.gateway.http.limits import Limits, spend
from services.gateway.http.problems import of_error, problem
from services.gateway.http.recording import NOTED, Noted, Recording

CLIENT = "sealpost.client"
# The extension of ASGI by which an answer ends its connection.
ABORT = "sealpost.abort"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_PROOFS = frozenset(
    {
        "/v1/kdf",
        "/v1/session",
        "/v1/recovery",
        "/v1/recovery/complete",
        "/v1/account/password",
        "/v1/account/recovery",
        "/v1/account/erasure",
        "/v1/forwarding",
    }
)
_STREAMS = ("/events", "/body", "/raw")
_OUTBOUND = (
    "/v1/recipients",
    "/v1/outbox/",
    "/v1/send",
    "/v1/suppressions",
    "/v1/webhooks",
    "/v1/campaigns/",
    "/u/",
    "/f/",
    "/m/",
    "/o/",
)
_COUNTED = "/m/"
_MAILBOX = ("/v1/messages", "/v1/mailbox", "/v1/folders", "/v1/objects/")
# What their URLs carry is the only proof there is, and no cookie counts: mail programs of all kinds send the ones, and
# for the others browsers name no origin, for our pages tell them not to say where one comes from.
_ANY_ORIGIN = ("/u/", "/f/", "/m/", "/o/")
# Whole mails come here.
_UPLOADS = ("/v1/outbox/sealed", "/v1/outbox/own", "/v1/send")
# What a provider of payments tells.
_WEBHOOK, _WEBHOOK_BYTES = "/v1/billing/webhook", 256 * 1024
# A sealed object of 256 KiB, in base64.
_OBJECT_BYTES = 384 * 1024
_UNREADABLE = "\N{REPLACEMENT CHARACTER}"
_AREAS = ("page", "accounts", "mailbox", "public", "events", "directory", "outbound")
_OUTCOMES = ("ok", "refused", "failed", "unfinished")

_log = get_logger("http")
_SECONDS = metrics.histogram(
    "sealpost_gateway_request_seconds",
    "Time to answer a request; of a live stream, how long it lasted.",
    {"area": _AREAS, "outcome": _OUTCOMES},
)


class ClientGoneError(Exception):
    """Nobody is there to take the answer."""


@dataclass(frozen=True)
class Bound:
    """Of one request's body: bytes, seconds until all of it has arrived, and until the next piece has."""

    most_bytes: int
    seconds: float
    piece_seconds: float


@dataclass(frozen=True)
class Bounds:
    """Of the bodies of requests: ordinary ones, and those that carry a whole mail."""

    max_body_bytes: int
    body_seconds: float
    max_upload_bytes: int
    upload_seconds: float

    def of(self, path: str) -> Bound:
        """Return what a request for `path` may bring."""
        if path in _UPLOADS:
            return Bound(self.max_upload_bytes, self.upload_seconds, self.body_seconds)
        if path == _WEBHOOK:
            return Bound(_WEBHOOK_BYTES, self.body_seconds, self.body_seconds)
        most = self.max_body_bytes
        if path.startswith("/v1/objects/"):
            most = max(most, _OBJECT_BYTES)
        return Bound(most, self.body_seconds, self.body_seconds)


class Guard:
    """The application as the server sees it."""

    def __init__(self, app: FastAPI, limits: Limits, clients: Clients, bounds: Bounds, public_url: str) -> None:
        """Guard `app`; `public_url` is what browsers see, or empty where the Host header says it."""
        self.app = app
        self.limits = limits
        self.clients = clients
        self.bounds = bounds
        self._public_url = public_url.rstrip("/").lower()
        self.headers = SecurityHeaders(https=public_url.startswith("https://"))
        self.recording: Recording | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request pass, or answer it."""
        if scope["type"] != "http":
            raise RuntimeError("only HTTP is served")
        began, area = perf_counter(), area_of(scope["path"])
        scope[CLIENT] = self.clients.key_of(scope)
        scope[NOTED] = noted = Noted(scope, scope[CLIENT])
        answer = _Answer(self.headers, noted, send, self.recording)
        try:
            with traces.span("http", kind=area):
                await self._pass(scope, _Request(receive, self.bounds.of(scope["path"])), answer)
        except ClientGoneError:
            return
        except Exception as error:  # of the unknown the log is told where it happened, the client only that
            _log.error("request_failed", error=error, kind=area)
            if answer.status == 0:
                await problem(500, "internal")(scope, receive, answer)
        finally:
            _SECONDS.observe(perf_counter() - began, area=area, outcome=answer.outcome)

    async def _pass(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, answer)
            return
        if scope["method"] == "HEAD" and not scope["path"].endswith(_STREAMS) | scope["path"].startswith(_COUNTED):
            # A copy: the server itself must know that it was HEAD.
            scope = scope[NOTED].scope = {**scope, "method": "GET"}
        await self.app(scope, receive, answer)

    def _refusal(self, scope: Scope) -> Response | None:
        try:
            self._count(scope)
        except ExhaustedError as error:
            return of_error(error)
        if _UNREADABLE in scope["path"]:
            # The server has put it in place of bytes that are not UTF-8: many paths would be one.
            return problem(404, "no_such_path")
        headers = Headers(scope=scope)
        if not scope["path"].startswith(_ANY_ORIGIN) and not self._is_same_origin(scope["method"], headers):
            return problem(403, "origin")
        declared, most = headers.get("content-length", "0"), self.bounds.of(scope["path"]).most_bytes
        if not (declared.isascii() and declared.isdigit()) or int(declared[:19]) > most:
            return problem(413, "body_too_large")
        return None

    def _count(self, scope: Scope) -> None:
        client, method, path = scope[CLIENT], scope["method"], scope["path"]
        spend(self.limits.requests, client)
        if method not in _SAFE and path in _PROOFS:
            spend(self.limits.proofs, client)
        elif method == "POST" and path == "/v1/accounts":
            spend(self.limits.sign_ups, client)
        elif path.startswith("/v1/public/"):
            spend(self.limits.public, client)

    def _is_same_origin(self, method: str, headers: Headers) -> bool:
        # A browser names the origin on every unsafe request; a program that sends a cookie names it too.
        if method in _SAFE:
            return True
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return False
        origin = headers.get("origin")
        if origin is None:
            return "cookie" not in headers
        if self._public_url:
            return origin.lower() == self._public_url
        host = headers.get("host", "").lower()
        # Compared as text: what a parser makes of a strange origin is nothing to rely on.
        return host != "" and origin.lower() in (f"http://{host}", f"https://{host}")


class _Answer:
    """The way back: completes the headers, and cuts the body off where only the head was asked for."""

    def __init__(self, headers: SecurityHeaders, noted: Noted, send: Send, recording: Recording | None) -> None:
        self._headers = headers
        self._noted = noted
        self._recording = recording
        self._path = noted.scope["path"]
        self._head_only = noted.scope["method"] == "HEAD"
        self._send = send
        self._complete = False
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = self._headers.added_to(self._path, list(message.get("headers", ())))
            if self._recording is not None:
                self._recording.answered(self._noted, self.status, head_only=self._head_only)
        elif message["type"] == "http.response.body":
            if self._head_only:
                message["body"] = b""
            self._complete = not message.get("more_body", False)
        await self._send(message)

    @property
    def outcome(self) -> str:
        if self.status >= 500 or self.status == 0:
            return "failed"
        if self.status >= 400:
            return "refused"
        return "ok" if self._complete else "unfinished"


class _Request:
    """The way in: a body that is too large or too slow ends in the framework's own error, which passes through it."""

    def __init__(self, receive: Receive, bound: Bound) -> None:
        self._receive = receive
        self._bound = bound
        self._received = 0
        self._deadline = 0.0
        self._whole = False

    async def __call__(self) -> Message:
        if self._whole:
            # What comes now is that the client has gone, whenever that may be.
            return await self._receive()
        now = asyncio.get_running_loop().time()
        self._deadline = self._deadline or now + self._bound.seconds
        try:
            async with asyncio.timeout_at(min(self._deadline, now + self._bound.piece_seconds)):
                message = await self._receive()
        except TimeoutError:
            raise HTTPException(408) from None
        self._received += len(message.get("body", b""))
        if self._received > self._bound.most_bytes:
            raise HTTPException(413)
        self._whole = not message.get("more_body", False)
        return message


def area_of(path: str) -> str:
    """Return the word that stands for `path` in metrics and traces."""
    if not path.startswith(("/v1/", *_ANY_ORIGIN)):
        return "directory" if path.startswith("/.well-known/") else "page"
    if path.endswith("/events"):
        return "events"
    if path.startswith("/v1/public/"):
        return "public"
    if path.startswith(_OUTBOUND):
        return "outbound"
    return "mailbox" if path.startswith(_MAILBOX) else "accounts"
