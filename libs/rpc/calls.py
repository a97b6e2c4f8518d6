"""Calls under way on the side of the client: the objects that stubs return, around those of gRPC.

They behave as gRPC's own (await, iterate, read, write, cancel, metadata), but for two things: a failure is raised as
the error of the tree that it stands for, and an exception in a stream of requests comes out of the call as itself,
where gRPC would cancel the call and leave a CancelledError that looks as if the caller had been cancelled.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Generator, Iterable
from time import perf_counter
from typing import Any, Protocol

import grpc

from libs.rpc.status import from_rpc_error

_EOF: Any = vars(grpc.aio)["EOF"]


class Observer(Protocol):
    """Where outcomes of calls to others go."""

    def declare(self, method: str) -> None:
        """Make `method` ("/package.Service/Method") known, before its first call."""

    def finished(self, method: str, outcome: str, seconds: float) -> None:
        """Count one call of `method` with the outcome "ok", a code of the tree, or "cancelled" (by the caller)."""


class RequestFailure:
    """What a stream of requests raised, if it did."""

    __slots__ = ("error",)

    def __init__(self) -> None:
        """Hold nothing yet."""
        self.error: Exception | None = None


def guarded_requests(
    requests: AsyncIterable[Any] | Iterable[Any] | None,
) -> tuple[AsyncIterator[Any] | None, RequestFailure]:
    """Return the same requests as an asynchronous stream that remembers what it raised."""
    failure = RequestFailure()
    return (None if requests is None else _remembering(requests, failure)), failure


async def _remembering(requests: AsyncIterable[Any] | Iterable[Any], failure: RequestFailure) -> AsyncIterator[Any]:
    try:
        if isinstance(requests, AsyncIterable):
            async for request in requests:
                yield request
        else:
            for request in requests:
                yield request
    except Exception as error:
        failure.error = error
        raise


class Response:
    """What both kinds of call share; anything not defined here is gRPC's call object's own."""

    __slots__ = ("__weakref__", "_call", "_failure", "_method", "_observer", "_started")

    def __init__(self, call: Any, method: str, observer: Observer, failure: RequestFailure | None = None) -> None:
        """Go around `call`, which gRPC has begun already."""
        self._call = call
        self._method = method
        self._observer = observer
        self._failure = failure
        self._started = perf_counter()

    def done(self) -> bool:
        """Tell whether it has ended."""
        return bool(self._call.done())

    def __getattr__(self, name: str) -> Any:
        """Return what gRPC's call object has under this name."""
        return getattr(self._call, name)

    def _translated(self, error: grpc.aio.AioRpcError) -> Exception:
        if self._failure is not None and self._failure.error is not None:
            return self._failure.error
        translated = from_rpc_error(error)
        self._finished(translated.code)
        return translated

    def _cancelled(self) -> Exception | None:
        """Return the exception of the stream of requests if it is what cancelled the call."""
        return self._failure.error if self._failure is not None else None

    def _finished(self, outcome: str) -> None:
        self._observer.finished(self._method, outcome, perf_counter() - self._started)


class UnaryResponse(Response):
    """A call with one response: await it."""

    __slots__ = ()

    def __await__(self) -> Generator[Any, None, Any]:
        """Return the response.

        Raises:
            SealpostError: whatever the other side raised, or what kept the call from getting there.
        """
        try:
            response = yield from self._call.__await__()
        except grpc.aio.AioRpcError as error:
            raise self._translated(error) from error
        except asyncio.CancelledError:
            if (cause := self._cancelled()) is not None:
                raise cause from None
            self._finished("cancelled")
            raise
        self._finished("ok")
        return response


class StreamResponse(Response):
    """A call with a stream of responses: iterate over it, or `read` until `grpc.aio.EOF`."""

    __slots__ = ()

    async def __aiter__(self) -> AsyncIterator[Any]:
        """Yield the responses; raises as `UnaryResponse` does. Leaving the loop early cancels the call."""
        try:
            async for response in self._call:
                yield response
        except grpc.aio.AioRpcError as error:
            raise self._translated(error) from error
        except asyncio.CancelledError:
            if (cause := self._cancelled()) is not None:
                raise cause from None
            self._finished("cancelled")
            raise
        finally:
            if not self._call.done():
                self._call.cancel()
        self._finished("ok")

    async def read(self) -> Any:
        """Return the next response, or `grpc.aio.EOF`."""
        try:
            response = await self._call.read()
        except grpc.aio.AioRpcError as error:
            raise self._translated(error) from error
        if response is _EOF:
            self._finished("ok")
        return response
