"""The real service delivery in this process, behind real mutual TLS, in a world in which no name exists.

What it is told to send elsewhere therefore goes nowhere, and mail for those whom accounts knows arrives.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from libs.runtime.clock import SystemClock
from libs.runtime.context import Parts, ServiceContext, Stop
from libs.runtime.health import Health
from libs.runtime.secret import Secret
from libs.telemetry import logs
from services.delivery.main import build
from services.delivery.settings import Settings
from tests.support.dns import serve_dns
from tests.support.rpc import certificates


async def start_delivery(
    stack: AsyncExitStack, directory: Path, peers: Mapping[str, str], chosen: Mapping[str, Any]
) -> str:
    """Start it with its data in `directory` and without events; return its address.

    `peers` are the addresses of accounts, crypto and storage, which have to let it call them; `chosen` are settings of
    its own. It ends with `stack`.
    """
    resolvers = chosen.get("resolvers") or (stack.enter_context(serve_dns({})).address,)
    settings = Settings(
        kek=Secret("33" * 32),
        lookup_key=Secret(b"\x44" * 32),
        store=Secret(f"sqlite:{directory}"),
        tls_dir=certificates("delivery"),
        peers=peers,
        callers=("gateway", "ingest"),
        drain_seconds=3.0,
        **{**chosen, "resolvers": resolvers},
    )
    clock = SystemClock()
    health = Health(clock, logs.get_logger("delivery"))
    context = ServiceContext("delivery", settings, Parts(clock, stack, health, Stop()))
    await build(context)
    await context.server.start()
    stack.push_async_callback(context.server.stop, 0)
    return f"127.0.0.1:{context.server.port}"
