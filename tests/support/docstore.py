"""The engines under the contract suite: SQLite on a file, MongoDB over the wire.

MongoDB is the server of SEALPOST_TEST_MONGODB_URI, else nx-27017, a MongoDB-wire server on SQLite. That one has gaps;
a test that needs what it lacks calls `Engine.lacks`, and is skipped there and nowhere else.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from libs.docstore.mongo import MongoStore
from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Collection, Store
from libs.local.plan import free_ports
from tests.support.tools import require_tool

ENGINES = ("sqlite", "mongodb")


@dataclass(frozen=True)
class Engine:
    """One engine with a place of its own for this test; every `open` opens the same data."""

    name: str
    url: str
    database: str
    is_nx: bool = False

    async def open(self, collections: Sequence[Collection]) -> Store:
        """Open the store; the caller closes it."""
        if self.name == "sqlite":
            return await SqliteStore.open(Path(self.url) / "store.db", collections)
        return await MongoStore.open(self.url, self.database, collections)

    def lacks(self, what: str) -> None:
        """Skip the calling test on nx-27017, which lacks `what`."""
        if self.is_nx:
            pytest.skip(f"nx-27017 lacks {what}")


@contextlib.contextmanager
def mongodb_server(directory: Path) -> Iterator[tuple[str, bool]]:
    """Give the URI of a MongoDB server, and whether it is nx-27017, which then runs for the time of the block."""
    given = os.environ.get("SEALPOST_TEST_MONGODB_URI")
    if given:
        yield given, False
        return
    beside = Path(sys.executable).parent / "nx-27017"
    program = str(beside) if beside.exists() else require_tool("nx-27017")
    port = free_ports(1)[0]
    directory.mkdir(parents=True, exist_ok=True)
    command = [program, "--data-dir", str(directory / "data"), "--port", str(port)]
    command += ["--log-file", str(directory / "log"), "--pid-file", str(directory / "pid")]
    with (directory / "out").open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    try:
        _wait_for(port, process)
        yield f"mongodb://127.0.0.1:{port}/?directConnection=true", True
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def make_engine(name: str, directory: Path, mongodb: tuple[str, bool] | None) -> Engine:
    """Return engine `name` with an empty place of its own."""
    if name == "sqlite" or mongodb is None:
        return Engine("sqlite", str(directory), "")
    return Engine("mongodb", mongodb[0], f"sealpost_test_{secrets.token_hex(6)}", is_nx=mongodb[1])


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError("nx-27017 ended at once")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("nx-27017 does not answer")
