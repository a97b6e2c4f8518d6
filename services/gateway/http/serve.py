"""uvicorn inside our own process frame: it serves, we decide when it starts and stops."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

import uvicorn
from starlette.types import ASGIApp

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
    """Serve `app` at settings.http_address for the time of the block; give the task that serves."""
    host, _, port = settings.http_address.rpartition(":")
    server = _Server(
        uvicorn.Config(
            app,
            host=host.strip("[]"),
            port=int(port),
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
    task = asyncio.create_task(server.serve())
    try:
        while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn offers no event
            await asyncio.sleep(0.02)
        yield task
    finally:
        server.should_exit = True
        await task
