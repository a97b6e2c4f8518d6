"""uvicorn inside our own process frame: it serves, we decide when it starts and stops."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator

import uvicorn
from starlette.types import ASGIApp

from libs.runtime.settings import listen_address
from services.gateway.settings import Settings

_DRAIN_SECONDS = 5


class _Server(uvicorn.Server):
    """uvicorn takes over the signals; the frame (libs.runtime.service) keeps them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, settings: Settings) -> AsyncIterator[asyncio.Task[None]]:
    """Serve `app` at settings.http_address for the time of the block; give the task that serves.

    Raises OSError where the address cannot be taken.
    """
    host, port = listen_address("SEALPOST_HTTP_ADDRESS", settings.http_address)
    # Bound here, because uvicorn ends the whole process where it cannot bind.
    listener = socket.create_server(
        (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=512
    )
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=bool(settings.trusted_proxies),
            forwarded_allow_ips=list(settings.trusted_proxies),
            timeout_keep_alive=30,
            timeout_graceful_shutdown=_DRAIN_SECONDS,
            h11_max_incomplete_event_size=32 * 1024,
            limit_concurrency=2000,
            lifespan="off",
        )
    )
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn offers no event
            await asyncio.sleep(0.02)
        yield task
    finally:
        server.should_exit = True
        await task
        listener.close()
