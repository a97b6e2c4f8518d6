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
from typing import Any

import grpc

from libs.rpc.calls import ClientObserver, StreamResponse, UnaryResponse, guarded_requests
from libs.rpc.options import CLIENT_OPTIONS
from libs.rpc.tls import INTERNAL_DOMAIN, TlsFiles, TlsMaterial

# Longer than any deadline in use: whatever is left then hangs.
_RETIRED_SECONDS = 600.0


def connect(
    name: str,
    address: str,
    tls: TlsFiles,
    *,
    observer: ClientObserver | None = None,
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
        observer: ClientObserver | None = None,
        options: tuple[tuple[str, int | str], ...] = (),
    ) -> None:
        """Make the first channel of the current certificates."""
        self._address = address
        self._tls = tls
        self.observer = observer
        self._options = (*CLIENT_OPTIONS, *options, ("grpc.ssl_target_name_override", name + INTERNAL_DOMAIN))
        self._material = tls.material()
        self._current = self._open(self._material)
        self._retiring: dict[asyncio.Task[None], grpc.aio.Channel] = {}
        self._closed = False

    def current(self) -> grpc.aio.Channel:
        """Return the channel of the newest certificates, opening it if they have changed."""
        material = self._tls.material()
        if material is not self._material and not self._closed:
            retired, self._current = self._current, self._open(material)
            self._material = material
            task = asyncio.get_running_loop().create_task(retired.close(_RETIRED_SECONDS))
            self._retiring[task] = retired
            task.add_done_callback(self._retiring.pop)
        return self._current

    def _open(self, material: TlsMaterial) -> grpc.aio.Channel:
        credentials = grpc.ssl_channel_credentials(material.authorities, material.key.reveal(), material.certificate)
        return grpc.aio.secure_channel(self._address, credentials, options=self._options)

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
        return self.current().get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        """Wait until the current channel is in another state."""
        await self.current().wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        """Wait until the current channel is connected. Without end: put `asyncio.timeout` around it."""
        await self.current().channel_ready()

    async def close(self, grace: float | None = None) -> None:
        """Let calls under way finish for `grace` seconds, cancel the rest, and close. Idempotent."""
        self._closed = True
        retiring = dict(self._retiring)
        for task in retiring:
            task.cancel()
        # Cancelled, these leave their channels unclosed; closing one from two sides at once would free it twice.
        await asyncio.gather(*retiring, return_exceptions=True)
        await asyncio.gather(*(channel.close(grace) for channel in (self._current, *retiring.values())))

    async def __aenter__(self) -> PeerChannel:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close without grace."""
        await self.close()


class _MultiCallable:
    """One method on whichever channel is current."""

    def __init__(self, owner: PeerChannel, method: str, make: Callable[[grpc.aio.Channel], Any]) -> None:
        self._owner = owner
        self._method = method
        self._make = make
        self._channel = owner.current()
        self._callable = make(self._channel)

    def _start(self, request: Any, timeout: float | None, options: dict[str, Any]) -> Any:
        if timeout is None:
            raise ValueError(f"a call of {self._method} needs a timeout")
        channel = self._owner.current()
        if channel is not self._channel:
            self._channel, self._callable = channel, self._make(channel)
        return self._callable(request, timeout=timeout, **options)


class _Unary(_MultiCallable):
    def __call__(self, request: Any, *, timeout: float | None = None, **options: Any) -> UnaryResponse:
        call = self._start(request, timeout, options)
        return UnaryResponse(call, self._method, self._owner.observer)


class _UnaryStream(_MultiCallable):
    def __call__(self, request: Any, *, timeout: float | None = None, **options: Any) -> StreamResponse:
        call = self._start(request, timeout, options)
        return StreamResponse(call, self._method, self._owner.observer)


class _StreamUnary(_MultiCallable):
    def __call__(self, request_iterator: Any = None, timeout: float | None = None, **options: Any) -> UnaryResponse:
        requests, failure = guarded_requests(request_iterator)
        call = self._start(requests, timeout, options)
        return UnaryResponse(call, self._method, self._owner.observer, failure)


class _StreamStream(_MultiCallable):
    def __call__(self, request_iterator: Any = None, timeout: float | None = None, **options: Any) -> StreamResponse:
        requests, failure = guarded_requests(request_iterator)
        call = self._start(requests, timeout, options)
        return StreamResponse(call, self._method, self._owner.observer, failure)
