"""A channel to another service that outlives its certificates.

gRPC fixes credentials when a channel is made. So this one holds the real channel of the current certificates, and
makes another when the files have changed: calls that have begun end on the old one, which is closed after them; calls
from then on go to the new one, and wait for its connection as any first call does. Re-connecting after a loss is gRPC's
own business.

Errors of the tree come back as they were raised over there (libs.rpc.status). This is done around the calls, not by
gRPC's client interceptors, which cost a task for every call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from weakref import WeakSet

import grpc

from libs.rpc import tracing
from libs.rpc.calls import (
    Observer,
    RequestFailure,
    Response,
    StreamResponse,
    UnaryResponse,
    guarded_requests,
)
from libs.rpc.observer import ClientObserver
from libs.rpc.options import CLIENT_OPTIONS
from libs.rpc.tls import INTERNAL_DOMAIN, TlsFiles, TlsMaterial
from libs.runtime.errors import UnavailableError

# Longer than any deadline in use: whatever is left then hangs.
_RETIRED_SECONDS = 600.0
_RETIRED_LOOK_SECONDS = 0.5
# What gRPC says of a call on a closed channel.
_UsageError = grpc.aio.UsageError

_R = TypeVar("_R", bound=Response)


def connect(
    name: str,
    address: str,
    tls: TlsFiles,
    *,
    observer: Observer | None = None,
    options: tuple[tuple[str, int | str], ...] = (),
) -> PeerChannel:
    """Return a channel to service `name` at `address` ("host:port"); it connects with the first call.

    The other side must show a certificate for `<name>.sealpost.internal`, whatever its address is.

    Raises:
        UnavailableError: no usable certificates in the files ("tls_files").
    """
    return PeerChannel(name, address, tls, observer, options)


class PeerChannel(grpc.aio.Channel):
    """What generated stubs take for a `grpc.aio.Channel`; close it with `close` or leave its context."""

    def __init__(
        self,
        name: str,
        address: str,
        tls: TlsFiles,
        observer: Observer | None = None,
        options: tuple[tuple[str, int | str], ...] = (),
    ) -> None:
        """Make the first channel of the current certificates."""
        self._address = address
        self._tls = tls
        self.observer = observer or ClientObserver()
        self._options = (*CLIENT_OPTIONS, *options, ("grpc.ssl_target_name_override", name + INTERNAL_DOMAIN))
        self._current = self._open(tls.material())
        self._retiring: dict[asyncio.Task[None], Generation] = {}
        self._closed = False

    def current(self) -> Generation:
        """Return the channel of the newest certificates, opening it if they have changed."""
        material = self._tls.material()
        if material is not self._current.material and not self._closed:
            retired, self._current = self._current, self._open(material)
            task = asyncio.get_running_loop().create_task(retired.close_after_its_calls())
            self._retiring[task] = retired
            task.add_done_callback(self._retiring.pop)
        return self._current

    def _open(self, material: TlsMaterial) -> Generation:
        credentials = grpc.ssl_channel_credentials(material.authorities, material.key.reveal(), material.certificate)
        return Generation(material, grpc.aio.secure_channel(self._address, credentials, options=self._options))

    def unary_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Return what makes a call with one request and one response; used by generated stubs."""
        return _Unary(self, method, lambda channel: channel.unary_unary(method, *args, **kwargs))

    def stream_unary(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Return what makes a call with a stream of requests and one response; used by generated stubs."""
        return _StreamUnary(self, method, lambda channel: channel.stream_unary(method, *args, **kwargs))

    def unary_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Return what makes a call with one request and a stream of responses; used by generated stubs."""
        return _UnaryStream(self, method, lambda channel: channel.unary_stream(method, *args, **kwargs))

    def stream_stream(self, method: str, *args: Any, **kwargs: Any) -> Any:
        """Return what makes a call with streams both ways; used by generated stubs."""
        return _StreamStream(self, method, lambda channel: channel.stream_stream(method, *args, **kwargs))

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        """Return the state of the current channel."""
        return self.current().channel.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait until the current channel is in another state."""
        await self.current().channel.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Wait until the current channel is connected. Without end: put `asyncio.timeout` around it."""
        await self.current().channel.channel_ready()

    async def close(self, grace: float | None = None) -> None:
        """Let calls under way finish for `grace` seconds, cancel the rest, and close. Idempotent."""
        self._closed = True
        retiring = dict(self._retiring)
        for task in retiring:
            task.cancel()
        await asyncio.gather(*retiring, return_exceptions=True)
        await asyncio.gather(*(one.channel.close(grace) for one in (self._current, *retiring.values())))

    async def __aenter__(self) -> PeerChannel:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close without grace."""
        await self.close()


@dataclass(eq=False)
class Generation:
    """The real channel of one set of certificates, and the calls that began on it."""

    material: TlsMaterial
    channel: grpc.aio.Channel
    calls: WeakSet[Response] = field(default_factory=WeakSet)

    async def close_after_its_calls(self) -> None:
        """Close once no call is under way; gRPC's own `close(grace)` could not be hurried when the process stops."""
        for _ in range(int(_RETIRED_SECONDS / _RETIRED_LOOK_SECONDS)):
            if all(call.done() for call in self.calls):
                break
            await asyncio.sleep(_RETIRED_LOOK_SECONDS)
        await self.channel.close(None)


class _MultiCallable:
    """One method on whichever channel is current."""

    def __init__(self, owner: PeerChannel, method: str, make: Callable[[grpc.aio.Channel], Any]) -> None:
        self._owner = owner
        self._method = method
        self._make = make
        self._generation = owner.current()
        self._callable = make(self._generation.channel)
        owner.observer.declare(method)

    def _start(
        self,
        kind: type[_R],
        request: Any,
        timeout: float | None,
        options: dict[str, Any],
        failure: RequestFailure | None = None,
    ) -> _R:
        if timeout is None:
            raise ValueError(f"a call of {self._method} needs a timeout")
        generation = self._owner.current()
        if generation is not self._generation:
            self._generation, self._callable = generation, self._make(generation.channel)
        context = tracing.outgoing()
        if context is not None:
            options["metadata"] = (*(options.get("metadata") or ()), *context)
        try:
            call = self._callable(request, timeout=timeout, **options)
        except _UsageError as error:
            raise UnavailableError("channel_closed") from error
        response = kind(call, self._method, self._owner.observer, failure)
        generation.calls.add(response)
        return response


class _Unary(_MultiCallable):
    def __call__(self, request: Any, *, timeout: float | None = None, **options: Any) -> UnaryResponse:
        return self._start(UnaryResponse, request, timeout, options)


class _UnaryStream(_MultiCallable):
    def __call__(self, request: Any, *, timeout: float | None = None, **options: Any) -> StreamResponse:
        return self._start(StreamResponse, request, timeout, options)


class _StreamUnary(_MultiCallable):
    def __call__(self, request_iterator: Any = None, timeout: float | None = None, **options: Any) -> UnaryResponse:
        requests, failure = guarded_requests(request_iterator)
        return self._start(UnaryResponse, requests, timeout, options, failure)


class _StreamStream(_MultiCallable):
    def __call__(self, request_iterator: Any = None, timeout: float | None = None, **options: Any) -> StreamResponse:
        requests, failure = guarded_requests(request_iterator)
        return self._start(StreamResponse, requests, timeout, options, failure)
