"""uvicorn inside our own process frame: it serves, we decide when it starts and stops."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn

from libs.runtime.limits import KeyedGauge
from libs.runtime.settings import listen_address
from services.gateway.http import connection
from services.gateway.http.guard import Guard
from services.gateway.settings import Settings

_BACKLOG = 512
_KEEP_ALIVE_SECONDS = 30
# Whoever acknowledges or reads nothing for so long is gone.
_UNREAD_SECONDS = 30
_SPARE_FILES = 256
_FRAMING_BYTES = 8 * 1024 * 1024


class _Server(uvicorn.Server):
    """uvicorn takes over the signals; the frame (libs.runtime.service) keeps them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield

    def drop_connections(self) -> None:
        """End what is still open."""
        for one in list(self.server_state.connections):
            one.transport.abort()


@contextlib.asynccontextmanager
async def serving(app: Guard, settings: Settings) -> AsyncIterator[tuple[asyncio.Task[None], int]]:
    """Serve `app` at settings.http_address for the time of the block; give the task that serves, and the port.

    Leaving the block lets requests under way end for at most settings.drain_seconds.
    Raises OSError where the address cannot be taken.
    """
    # Bound here, because uvicorn ends the whole process where it cannot bind.
    listener = listen(*listen_address("SEALPOST_HTTP_ADDRESS", settings.http_address))
    port = int(listener.getsockname()[1])
    allow_open_files(settings.max_connections + _SPARE_FILES)
    server = _Server(_config(app, settings))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn offers no event
            await asyncio.sleep(0.01)
        yield task, port
    finally:
        server.should_exit = True
        await task
        server.drop_connections()
        listener.close()


def _config(app: Guard, settings: Settings) -> connection.Config:
    config = connection.Config(
        app,
        http=connection.Connection,
        ws="none",
        interface="asgi3",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=max(1, int(settings.drain_seconds)),
    )
    config.bounds = connection.Bounds(
        most=settings.max_connections,
        body_bytes=lambda path: _framed_bytes(app.bounds.of(path).most_bytes),
        per_client=KeyedGauge(settings.connections_per_client, settings.max_connections),
        head_seconds=settings.head_timeout.total_seconds(),
        clients=app.clients,
        headers=app.headers,
    )
    return config


def _framed_bytes(most: int) -> int:
    """Return what a body of `most` bytes may be with its framing: in the smallest of chunks, six times its length.

    Nobody sends a whole mail like that.
    """
    return min(8 * most, most + _FRAMING_BYTES)


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; "::" takes IPv4 too. Its connections end when the other side takes nothing."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    dual = host == "::" and socket.has_dualstack_ipv6()
    listener = socket.create_server((host, port), family=family, backlog=_BACKLOG, dualstack_ipv6=dual)
    # Connections inherit both.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_SECONDS * 1000)
    return listener


def allow_open_files(wanted: int) -> None:
    """Raise this process's limit of open files to `wanted`, as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
