"""A servicer with every kind of method, whose behaviour a test hands in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import grpc

from libs.rpc.interceptors import caller_of
from protos.storage.v1 import storage_pb2 as pb
from protos.storage.v1 import storage_pb2_grpc as storage

SERVICE = "sealpost.storage.v1.Storage"


if TYPE_CHECKING:
    # To mypy the generated class is abstract; here some methods are left out on purpose.
    _Servicer = object
else:
    _Servicer = storage.StorageServicer


class Storage(_Servicer):
    """Answers; raises `error` where there is one: in streams, after `blocks` messages."""

    def __init__(self, error: BaseException | None = None, blocks: int = 2) -> None:
        self.error = error
        self.blocks = blocks
        self.callers: list[str] = []
        self.hold: asyncio.Event | None = None
        self.entered = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def Append(self, request: Any, context: Any) -> Any:
        self.callers.append(caller_of(context))
        await self._wait()
        if self.error is not None:
            raise self.error
        return pb.AppendResponse(results=[pb.AppendResult(appended=pb.Appended()) for _ in request.deliveries])

    async def Stage(self, request_iterator: Any, context: Any) -> Any:
        size = seen = 0
        async for block in request_iterator:
            size += len(block.data)
            seen += 1
            if self.error is not None and seen == self.blocks:
                raise self.error
        return pb.StageResponse(size=size)

    async def GetBody(self, request: Any, context: Any) -> AsyncIterator[Any]:
        for number in range(self.blocks):
            yield pb.BodyBlock(data=bytes([number]))
        await self._wait()
        if self.error is not None:
            raise self.error

    async def _wait(self) -> None:
        self.entered.set()
        if self.hold is not None:
            try:
                await self.hold.wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise


def registration(servicer: object) -> tuple[Any, object, str]:
    """Return what tests.support.rpc.serve takes."""
    return storage.add_StorageServicer_to_server, servicer, SERVICE


def stub(channel: grpc.aio.Channel) -> storage.StorageAsyncStub:
    """Return the stub for `channel`."""
    return storage.StorageStub(channel)


ECHO = "sealpost.test.v1.Echo"


def register_echo(echo: Any, server: Any) -> None:
    """Register a method with streams both ways, of plain bytes; no protocol of ours has one yet."""
    handlers = {"Both": grpc.stream_stream_rpc_method_handler(echo)}
    server.add_registered_method_handlers(ECHO, handlers)
