"""A real nats-server on the loopback, configured as in production: TLS, users, permissions, JetStream on disk."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from libs.events.server_config import NatsServer, Rights, server_config
from libs.local.plan import free_ports
from libs.rpc.devca import ensure_dev_ca
from libs.runtime.secret import Secret
from tests.support.tools import require_tool

RIGHTS: Mapping[str, Rights] = {
    "storage": Rights(publishes=("mail.stored.v1", "mail.other.v1")),
    "gateway": Rights(listens=("mail.stored.v1",)),
    "billing": Rights(consumes={"billing": "mail.stored.v1"}),
}


@dataclass
class NatsProcess:
    """One server; it may be stopped and started again on the same port and store."""

    directory: Path
    port: int
    tls: Mapping[str, Path]
    passwords: Mapping[str, Secret[str]]
    rights: Mapping[str, Rights] = field(default_factory=lambda: RIGHTS)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"tls://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start the server and wait until it answers."""
        config = self.directory / "nats.conf"
        server = NatsServer(self.port, self.directory / "store", self.tls["nats"], self.passwords, rights=self.rights)
        config.touch(mode=0o600)
        config.write_text(server_config(server))
        with (self.directory / "nats.log").open("ab") as log:
            self.process = subprocess.Popen(
                [nats_server(), "-c", str(config)], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        async with asyncio.timeout(10):
            while not _answers(self.port):
                if self.process.poll() is not None:
                    raise RuntimeError(f"nats-server ended:\n{(self.directory / 'nats.log').read_text()[-2000:]}")
                await asyncio.sleep(0.02)

    async def stop(self, *, kill: bool = False) -> None:
        """Stop the server (SIGTERM, or SIGKILL) and wait for its end."""
        if self.process is None:
            return
        if kill:
            self.process.kill()
        else:
            self.process.terminate()
        await asyncio.to_thread(self.process.wait, 15)
        self.process = None


def nats_server() -> str:
    """Return the nats-server of the lock, else the one in PATH."""
    beside = Path(sys.executable).parent / "nats-server"
    return str(beside) if os.access(beside, os.X_OK) else require_tool("nats-server")


@asynccontextmanager
async def run_nats(directory: Path, rights: Mapping[str, Rights] = RIGHTS) -> AsyncIterator[NatsProcess]:
    """Run a server with its files in `directory` for the time of the block."""
    directory.mkdir(parents=True, exist_ok=True)
    tls = ensure_dev_ca(directory / "tls", ["nats", *rights])
    passwords = {name: Secret(f"password-of-{name}-0123456789") for name in rights}
    server = NatsProcess(directory, free_ports(1)[0], tls, passwords, rights)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.2) as connection:
            return connection.recv(5) == b"INFO "
    except OSError:
        return False
