"""ingest, put together: the parent of the workers. What takes mail is in worker.py."""

from __future__ import annotations

import socket

from libs.runtime.backoff import Backoff
from libs.runtime.context import ServiceContext
from libs.runtime.service import run_service
from libs.telemetry import metrics
from services.ingest.settings import Settings
from services.ingest.workers import Workers, address_of, reserve, worker_environment


async def build(ctx: ServiceContext[Settings]) -> None:
    """Hold the addresses, start the workers, return when all of them take mail."""
    settings = ctx.settings
    asked = {
        "smtp": settings.smtp_address,
        "submission": settings.submission_address,
        "submissions": settings.submissions_address,
    }
    held = {name: ctx.stack.enter_context(await _reserve(address)) for name, address in asked.items() if address}
    addresses = {name: address_of(one) for name, one in held.items()}
    workers = Workers(settings.workers, worker_environment(addresses), ctx.log, ctx.clock)
    metrics.show(workers.totals.collect)
    ctx.health.add("workers", workers.all_ready)
    ctx.spawn("workers", workers.run())
    ctx.stack.push_async_callback(workers.stop, settings.drain_seconds)
    await workers.started()
    for name, one in held.items():
        ctx.log.info("listening", listener=name, port=one.getsockname()[1])


async def _reserve(address: str) -> socket.socket:
    """Hold the address; workers of a parent that was killed may need a moment to leave it."""
    attempts = 8
    async for attempt in Backoff(first=0.1, ceiling=1.0, attempts=attempts):
        try:
            return reserve(address)
        except OSError:
            if attempt == attempts:
                raise
    raise AssertionError("not reached")


if __name__ == "__main__":
    run_service("ingest", Settings, build)
