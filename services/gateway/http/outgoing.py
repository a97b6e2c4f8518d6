"""Answers that are sent piece by piece, and what becomes of them when nobody takes the pieces.

The server's `send` waits while the client reads too slowly, and returns as if nothing were the matter once he has
gone. So beside the sender runs a listener that hears of his going, and every piece has its time: whoever takes
nothing for that long loses the connection. Everything an answer needs is taken within its call and given back when
the call ends, also if it is cancelled or never sends a byte; a generator would only do so once it has been started.
"""

from __future__ import annotations

import asyncio
import math
from abc import ABC, abstractmethod

from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from services.gateway.http.guard import ABORT, ClientGoneError

_STUCK_SECONDS = 20.0


class Outgoing(Response, ABC):
    """An answer in pieces; a subclass says in `run` what they are."""

    def __init__(self, media_type: str, headers: dict[str, str], seconds: float = math.inf) -> None:
        """Send for at most `seconds`."""
        self.status_code = 200
        self.media_type = media_type
        self.background = None
        self.init_headers(headers)
        self.stuck_seconds = _STUCK_SECONDS
        self._seconds = seconds
        self._deadline = math.inf
        self._gone = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all of it."""
        self._scope, self._send = scope, send
        listener = asyncio.create_task(self._listen(receive))
        try:
            await self.run(scope)
        finally:
            listener.cancel()

    @abstractmethod
    async def run(self, scope: Scope) -> None:
        """Send the head with `begin`, each piece with `piece`, and `end`; errors of the tree only before `begin`."""

    def gone(self) -> None:
        """Hear that the client has gone."""
        self._gone = True

    async def begin(self, length: int | None = None) -> None:
        """Send the head; `length` of the body in bytes, where it is known."""
        if length is not None:
            self.headers["Content-Length"] = str(length)
        self._deadline = asyncio.get_running_loop().time() + self._seconds
        await self._send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})

    async def piece(self, data: bytes) -> None:
        """Send a piece. Raises ClientGoneError, and the connection is ended, where the client does not take it."""
        if self._gone:
            raise ClientGoneError
        try:
            latest = asyncio.get_running_loop().time() + self.stuck_seconds
            async with asyncio.timeout_at(min(self._deadline, latest)):
                await self._send({"type": "http.response.body", "body": data, "more_body": True})
        except TimeoutError:
            abort = self._scope.get("extensions", {}).get(ABORT)
            if abort is not None:
                abort["abort"]()
                # The server hears of it before we return.
                await asyncio.sleep(0)
            raise ClientGoneError from None

    async def end(self) -> None:
        """Say that this was all."""
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _listen(self, receive: Receive) -> None:
        try:
            while (await receive())["type"] != "http.disconnect":
                pass
        except HTTPException:
            # A request that should have no body brings one, too large or too slow.
            pass
        self.gone()
