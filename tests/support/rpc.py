"""A real server on the loopback for tests: mutual TLS, callers, deadlines, errors; only not in another process."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

from libs.rpc.channel import PeerChannel, connect
from libs.rpc.devca import ensure_dev_ca
from libs.rpc.server import RpcServer
from libs.rpc.tls import TlsFiles

# (add_XServicer_to_server, servicer, "package.Service")
Registration = tuple[Callable[[Any, Any], None], object, str]


@asynccontextmanager
async def serve(
    registration: Registration | list[Registration],
    caller: str = "gateway",
    callers: tuple[str, ...] = ("gateway",),
    name: str = "server",
) -> AsyncIterator[PeerChannel]:
    """Serve the registration(s) as service `name` and yield a channel to it whose certificate says `caller`."""
    tls = {who: TlsFiles(certificates(who)) for who in (name, caller)}
    server = RpcServer("127.0.0.1:0", tls[name], callers)
    for register, servicer, service in registration if isinstance(registration, list) else [registration]:
        server.add(register, servicer, service)
    await server.start()
    try:
        async with connect(name, f"127.0.0.1:{server.port}", tls[caller]) as channel:
            yield channel
    finally:
        await server.stop(0)


@cache
def certificates(name: str) -> Path:
    """Return a directory with a certificate for service `name`, of the one authority of this test process."""
    return ensure_dev_ca(_home(), [name])[name]


@cache
def _home() -> Path:
    directory = tempfile.TemporaryDirectory(prefix="sealpost-ca-")
    _KEEP.append(directory)
    return Path(directory.name)


# A TemporaryDirectory is removed when the last reference to it goes: here, when the process ends.
_KEEP: list[tempfile.TemporaryDirectory[str]] = []
