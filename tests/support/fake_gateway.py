"""A gateway in one process and in memory, at the HTTP contract of docs/architecture.md, for tests of the page alone.

It seals members' mail to the certificate that the page made (pysequoia), as the platform does, so the page is tested
with the same ciphertext; it checks no password beyond equality and keeps no limit. It sends the headers that the page
must live with: a policy without exceptions, Trusted Types, WebAssembly in the one worker that stretches passwords.
"""

from __future__ import annotations

import asyncio
import base64
import dataclasses
import datetime
import json
import re
import secrets
import threading
from collections.abc import AsyncIterator, Iterator, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pysequoia
import uvicorn
from fastapi import FastAPI, Request, Response
from starlette.responses import FileResponse, JSONResponse

from tests.support.fake_mail import envelope_of
from tests.support.fake_mailbox import add_mail_routes, add_public_routes
from tests.support.fake_outbox import Outbox, add_outbox_routes, received_at
from tests.support.fake_routes import add_account_routes

DIST = Path(__file__).parents[2] / "services/gateway/web/dist"
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; worker-src 'self'; frame-src 'self'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
TRUSTED_TYPES = "; require-trusted-types-for 'script'; trusted-types sealpost dompurify"
SCRIPT_POLICY = "default-src 'none'; script-src 'self'"
_NONE: frozenset[str] = frozenset()
_ARGON2 = re.compile(r"/assets/argon2-[\w-]+\.js")


@dataclasses.dataclass
class Stored:
    """One mail: `envelope` opened for public inboxes, sealed bytes for members."""

    id: str
    received: datetime.datetime
    size: int
    envelope: Any
    body: bytes
    folder: str = "inbox"
    flags: set[str] = dataclasses.field(default_factory=set)
    expires: datetime.datetime | None = None
    scheme: str = ""


class FakeGateway:
    """State of the fake; `deliver` takes a mail for a member or a public inbox and tells the open pages."""

    member_domain = "sealpost.test"
    public_domain = "public.sealpost.test"

    def __init__(self, *, defended: bool = True, trusted_types: bool = True) -> None:
        self.defended = defended
        self.page_policy = PAGE_POLICY + (TRUSTED_TYPES if trusted_types else "")
        self.accounts: dict[str, dict[str, Any]] = {}
        self.sessions: dict[str, str] = {}
        self.credentials: dict[str, dict[str, Any]] = {}
        self.folders: dict[str, str] = {}
        self.boxes: dict[str, list[Stored]] = {}
        self.requests: list[tuple[str, str]] = []
        self.outbox = Outbox()
        self.url = ""
        self._listeners: dict[str, list[asyncio.Queue[str]]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sequence = 0x66AA000000
        self.app = self._build()

    def deliver(self, raw: bytes, rcpt: str, folder: str = "inbox", age: float = 0) -> str:
        """Store `raw` for `rcpt`, received `age` seconds ago; return the message id."""
        self._sequence += 1
        message_id = f"{self._sequence:010x}{secrets.token_hex(11)}"
        received = datetime.datetime.now(datetime.UTC).replace(microsecond=0) - datetime.timedelta(seconds=age)
        envelope = envelope_of(raw, rcpt)
        stored = Stored(message_id, received, len(raw), envelope, raw, folder)
        if rcpt.endswith("@" + self.public_domain):
            stored.expires = received + datetime.timedelta(days=4)
        else:
            certificate = pysequoia.Cert.from_bytes(base64.b64decode(self.accounts[rcpt]["certificate"]))
            sealed = pysequoia.encrypt(recipients=[certificate], bytes=json.dumps(envelope).encode(), armor=False)
            stored.envelope = base64.b64encode(sealed).decode()
            stored.body = pysequoia.encrypt(recipients=[certificate], bytes=raw, armor=False)
        self.boxes.setdefault(rcpt, []).insert(0, stored)
        self._announce(rcpt, json.dumps({"id": message_id, "folder": folder}))
        return message_id

    def keep(
        self, owner: str, message_id: str, envelope: str, body: bytes, folder: str = "inbox", flags: Set[str] = _NONE
    ) -> None:
        """Store what a client has sealed for `owner`; the same id again changes nothing."""
        box = self.boxes.setdefault(owner, [])
        if any(stored.id == message_id for stored in box):
            return
        stored = Stored(message_id, received_at(message_id), len(body), envelope, body, folder, set(flags))
        stored.scheme = "openpgp-sender"
        box.insert(0, stored)
        self._announce(owner, json.dumps({"id": message_id, "folder": folder}))

    async def listen(self, address: str) -> AsyncIterator[str]:
        """Yield server-sent events for `address`."""
        queue: asyncio.Queue[str] = asyncio.Queue(1000)
        self._listeners.setdefault(address, []).append(queue)
        yield ": open\n\n"
        try:
            while True:
                yield f"event: stored\ndata: {await queue.get()}\n\n"
        finally:
            self._listeners[address].remove(queue)

    def _announce(self, address: str, data: str) -> None:
        if self._loop is not None:
            for queue in self._listeners.get(address, []):
                self._loop.call_soon_threadsafe(queue.put_nowait, data)

    def _build(self) -> FastAPI:
        app = FastAPI(openapi_url=None)

        @app.middleware("http")
        async def headers(request: Request, call_next: Any) -> Response:
            self._loop = asyncio.get_running_loop()
            self.requests.append((request.method, request.url.path))
            response: Response = await call_next(request)
            if self.defended:
                response.headers.update(headers_for(request.url.path, self.page_policy))
            return response

        add_account_routes(app, self)
        add_mail_routes(app, self)
        add_public_routes(app, self)
        add_outbox_routes(app, self)

        @app.get("/{path:path}")
        async def page(path: str) -> Response:
            if path.startswith("v1/"):
                return JSONResponse({"title": "Not found", "status": 404, "reason": "not_found"}, 404)
            file = (DIST / path).resolve()
            inside = file.is_file() and file.is_relative_to(DIST)
            return FileResponse(file if inside else DIST / "index.html")

        return app


def headers_for(path: str, policy: str) -> dict[str, str]:
    """Return the security headers of the file or page at `path`; `policy` is that of pages."""
    if path.startswith("/assets/") and path.endswith(".js"):
        policy = SCRIPT_POLICY + (" 'wasm-unsafe-eval'" if _ARGON2.fullmatch(path) else "")
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
    }


@contextmanager
def running(port: int = 0, *, defended: bool = True, trusted_types: bool = True) -> Iterator[FakeGateway]:
    """Serve a fresh fake on a loopback port (0: any) in a thread of its own; undefended, it sends no header of ours."""
    gateway = FakeGateway(defended=defended, trusted_types=trusted_types)
    config = uvicorn.Config(
        gateway.app, host="127.0.0.1", port=port, log_level="error", timeout_graceful_shutdown=1, lifespan="off"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    started = threading.Event()
    while not server.started and thread.is_alive():
        started.wait(0.02)
    gateway.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield gateway
    finally:
        server.should_exit = True
        thread.join(10)
