"""Live updates as server-sent events (WHATWG HTML, 9.2).

A stream takes its place among those of its client, and begins to watch, before the first byte of the answer is sent: a
refusal is a proper 429, and whoever loads a list after the head has come misses nothing. Both are given back when the
call ends, however it ends.

A browser reconnects by itself. So a stream is ended, not mended, where something may have been missed: the client loads
anew and watches again. The pause before that is drawn at random, for many streams end at the same moment.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from starlette.types import Scope

from services.gateway.http.caller import Caller, peers_of, scoped_caller, still_valid
from services.gateway.http.guard import CLIENT
from services.gateway.http.limits import Limits
from services.gateway.http.openapi import binary, errors
from services.gateway.http.outgoing import Outgoing
from services.gateway.http.public import public_route
from services.gateway.push import END, RESYNC, Hub, Update
from services.gateway.settings import Settings

router = APIRouter(prefix="/v1", tags=["live updates"])
_RETRY_MILLISECONDS = (1000, 5000)
_STREAM = binary(
    "text/event-stream",
    "`stored` with the id and folder of a message; `resync`, then the end, where something may have been missed.",
)

Check = Callable[[], Awaitable[bool]]


@router.get("/events", response_class=Response, responses=_STREAM)
async def member_events(caller: Annotated[Caller, Depends(scoped_caller("mail:read"))], request: Request) -> Response:
    """Stream what arrives in this mailbox, for as long as the session or key is valid."""

    async def check() -> bool:
        return await still_valid(peers_of(request), caller)

    return _stream(request, caller.mailbox_id, check)


@router.get("/public/{address:path}/events", response_class=Response, responses=_STREAM | errors(404))
async def public_events(address: str, request: Request) -> Response:
    """Stream what arrives in a public inbox."""
    route = await public_route(request, address)
    return _stream(request, route.mailbox_id, _always)


def _stream(request: Request, mailbox_id: str, check: Check) -> EventStream:
    state = request.app.state
    settings: Settings = state.settings
    pace = Pace(settings.heartbeat.total_seconds(), settings.stream_check.total_seconds(), check)
    return EventStream(state.hub, state.limits, mailbox_id, pace)


class Pace:
    """When a stream says that it is alive, and when it looks whether it still may be."""

    def __init__(self, heartbeat_seconds: float, check_seconds: float, check: Check) -> None:
        """Call `check` every `check_seconds`, to the next heartbeat; False ends the stream."""
        self.heartbeat_seconds = heartbeat_seconds
        self._check_seconds = check_seconds
        self._check = check
        self._next = asyncio.get_running_loop().time() + check_seconds

    async def may_go_on(self) -> bool:
        """Tell whether the stream may go on."""
        now = asyncio.get_running_loop().time()
        if now < self._next:
            return True
        self._next = now + self._check_seconds
        return await self._check()


class EventStream(Outgoing):
    """One stream of one client."""

    def __init__(self, hub: Hub, limits: Limits, mailbox_id: str, pace: Pace) -> None:
        """Tell what `hub` knows of `mailbox_id`."""
        super().__init__("text/event-stream", {"X-Accel-Buffering": "no"})
        self._hub = hub
        self._limits = limits
        self._mailbox_id = mailbox_id
        self._pace = pace
        self._queue: asyncio.Queue[Update] | None = None

    async def run(self, scope: Scope) -> None:
        """Send updates until the client is gone, may not listen any more, or the server stops."""
        with self._limits.streams.hold(scope[CLIENT]), self._hub.watch(self._mailbox_id) as queue:
            self._queue = queue
            await self.begin()
            retry = random.randint(*_RETRY_MILLISECONDS)
            await self.piece(f"retry: {retry}\n: connected\n\n".encode())
            await self._tell(queue)
            await self.end()

    def gone(self) -> None:
        """Stop waiting for updates."""
        super().gone()
        if self._queue is not None:
            self._hub.end(self._queue)

    async def _tell(self, queue: asyncio.Queue[Update]) -> None:
        while True:
            update = await _next(queue, self._pace.heartbeat_seconds)
            if update == END or not await self._pace.may_go_on():
                return
            await self.piece(text_of(update).encode())
            if update == RESYNC:
                return


def text_of(update: Update | None) -> str:
    """Return `update` in the text form of server-sent events; a comment where there is none."""
    if update is None:
        return ": alive\n\n"
    if update == RESYNC:
        return "event: resync\ndata: {}\n\n"
    return f"event: stored\ndata: {json.dumps({'id': update.message_id, 'folder': update.folder})}\n\n"


async def _next(queue: asyncio.Queue[Update], seconds: float) -> Update | None:
    try:
        async with asyncio.timeout(seconds):
            return await queue.get()
    except TimeoutError:
        return None


async def _always() -> bool:
    return True
