"""Live updates as server-sent events (WHATWG HTML, "Server-sent events")."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse

from services.gateway.http.caller import Caller, peers_of, scoped_caller
from services.gateway.http.guard import client_key
from services.gateway.http.public import public_route
from services.gateway.push import Hub, Update

router = APIRouter(prefix="/v1", tags=["live updates"])


@router.get("/events", response_class=StreamingResponse)
async def member_events(
    caller: Annotated[Caller, Depends(scoped_caller("mail:read"))], request: Request
) -> StreamingResponse:
    """Stream what arrives in this mailbox."""
    return _stream(request, caller.mailbox_id)


@router.get("/public/{address}/events", response_class=StreamingResponse)
async def public_events(address: str, request: Request) -> StreamingResponse:
    """Stream what arrives in a public inbox."""
    route = await public_route(peers_of(request), address)
    return _stream(request, route.mailbox_id)


def _stream(request: Request, mailbox_id: str) -> StreamingResponse:
    state = request.app.state
    # Taken before the answer starts, so that the refusal is a proper 429.
    place = state.streams.hold(client_key(request.scope))
    place.__enter__()

    async def lines() -> AsyncIterator[str]:
        try:
            async for line in updates(state.hub, mailbox_id, state.heartbeat_seconds):
                yield line
        finally:
            place.__exit__(None, None, None)

    return StreamingResponse(lines(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def updates(hub: Hub, mailbox_id: str, heartbeat_seconds: float) -> AsyncIterator[str]:
    """Yield the events of `mailbox_id` in the text form of server-sent events, with heartbeats in between."""
    with hub.watch(mailbox_id) as queue:
        yield ": connected\n\n"
        while True:
            update = await _next(queue, heartbeat_seconds)
            if update is None:
                yield ": alive\n\n"
            elif update.kind == "end":
                return
            elif update.kind == "resync":
                yield "event: resync\ndata: {}\n\n"
            else:
                yield f"event: stored\ndata: {json.dumps({'id': update.message_id, 'folder': update.folder})}\n\n"


async def _next(queue: asyncio.Queue[Update], seconds: float) -> Update | None:
    try:
        async with asyncio.timeout(seconds):
            return await queue.get()
    except TimeoutError:
        return None
