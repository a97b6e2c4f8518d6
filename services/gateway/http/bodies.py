"""Bodies of mails on their way out: bounded in memory, whoever reads them however slowly.

A member's sealed body passes through in blocks: the next one is asked of storage when the client has taken the last.
A public mail has to be whole before crypto can open it, so it is admitted by its size: several times over while it is
being opened, once while it is sent. Large ones are opened one after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import cast

from starlette.types import Scope

from libs.runtime.errors import InternalError, NotFoundError, UnavailableError
from protos.crypto.v1 import crypto_pb2
from protos.storage.v1 import storage_pb2
from services.gateway.http.admission import Admission
from services.gateway.http.guard import CLIENT
from services.gateway.http.limits import Limits
from services.gateway.http.outgoing import Outgoing
from services.gateway.peers import Peers

# 50 MB at half a megabit per second.
BODY_SECONDS = 900.0
_BINARY = "application/octet-stream"
_BLOCK = 64 * 1024
# What a body in passing takes: a block here, some in gRPC, what the server has written ahead.
_PASSING_BYTES = 1024 * 1024
# The sealed body, the request and the answer, as messages and on the wire.
_OPENING_TIMES = 6
_LARGE_BYTES = 1024 * 1024


class Bodies:
    """What hands bodies out, in one process."""

    def __init__(self, peers: Peers, limits: Limits, memory_bytes: int) -> None:
        """Keep the bodies on their way out within `memory_bytes`."""
        self.peers = peers
        self.downloads = limits.downloads
        self.admission = Admission(memory_bytes)
        self.opening = asyncio.Semaphore(1)

    @asynccontextmanager
    async def stream(self, mailbox_id: str, message_id: str) -> AsyncIterator[AsyncIterator[storage_pb2.BodyBlock]]:
        """Give what storage sends: the message, then its body; leaving the block ends the call."""
        wanted = storage_pb2.GetMessageRequest(mailbox_id=mailbox_id, message_id=message_id)
        blocks = aiter(self.peers.storage.GetBody(wanted, timeout=BODY_SECONDS))
        async with aclosing(cast("AsyncGenerator[storage_pb2.BodyBlock, None]", blocks)) as closing:
            yield closing


class SealedBody(Outgoing):
    """The sealed body of a member's mail, as storage streams it."""

    def __init__(self, bodies: Bodies, mailbox_id: str, message_id: str) -> None:
        """Send the body of this message."""
        super().__init__(_BINARY, {"Content-Disposition": "attachment"}, BODY_SECONDS)
        self._bodies = bodies
        self._mailbox_id = mailbox_id
        self._message_id = message_id

    async def run(self, scope: Scope) -> None:
        """Send it. Raises NotFoundError, ExhaustedError, UnavailableError before the head is sent."""
        bodies = self._bodies
        with bodies.downloads.hold(scope[CLIENT]):
            async with (
                bodies.admission.hold(_PASSING_BYTES),
                bodies.stream(self._mailbox_id, self._message_id) as blocks,
            ):
                first = await anext(blocks)
                await self.begin(first.message.body_size)
                async for block in blocks:
                    await self.piece(block.data)
                await self.end()


class OpenedBody(Outgoing):
    """A mail of a public inbox, opened."""

    def __init__(self, bodies: Bodies, mailbox_id: str, message: storage_pb2.Message) -> None:
        """Send this mail; never as something that a browser would show."""
        disposition = f'attachment; filename="{message.message_id}.eml"'
        super().__init__(_BINARY, {"Content-Disposition": disposition}, BODY_SECONDS)
        self._bodies = bodies
        self._mailbox_id = mailbox_id
        self._message = message

    async def run(self, scope: Scope) -> None:
        """Send it. Raises NotFoundError, ExhaustedError, UnavailableError before the head is sent."""
        size, bodies = self._message.body_size, self._bodies
        with bodies.downloads.hold(scope[CLIENT]):
            async with bodies.admission.hold(_OPENING_TIMES * size + _BLOCK) as held:
                if size > _LARGE_BYTES:
                    async with bodies.opening:
                        plaintext = await self._open()
                else:
                    plaintext = await self._open()
                held.shrink(len(plaintext) + _BLOCK)
                await self.begin(len(plaintext))
                for start in range(0, len(plaintext), _BLOCK):
                    await self.piece(plaintext[start : start + _BLOCK])
                await self.end()

    async def _open(self) -> bytes:
        message, request = self._message, crypto_pb2.OpenRequest()
        async with self._bodies.stream(self._mailbox_id, message.message_id) as blocks:
            sealed = b"".join([block.data async for block in blocks])
        request.items.add(
            key_id=message.key_id,
            message_id=message.message_id,
            field=crypto_pb2.SEALED_FIELD_BODY,
            ciphertext=sealed,
        )
        del sealed
        answer = await self._bodies.peers.crypto.Open(request, timeout=BODY_SECONDS)
        return opened(answer.results[0])


def opened(result: crypto_pb2.OpenResult) -> bytes:
    """Return the plaintext of a public field.

    Raises: NotFoundError("key_destroyed") where its key is gone, and with it the mail, whatever is still stored of it;
    UnavailableError; InternalError for what is damaged.
    """
    if result.WhichOneof("result") == "plaintext":
        return result.plaintext
    code, reason = result.failure.code, result.failure.reason
    if code in ("not_found", "denied"):
        raise NotFoundError("key_destroyed")
    if code == "unavailable":
        raise UnavailableError(reason)
    raise InternalError(reason)
