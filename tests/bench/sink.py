"""Where relayed mail ends: Postfix's smtp-sink, which takes everything and counts; and a host that never speaks."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from libs.local.plan import free_ports
from tests.bench.postfix import wait_for_port
from tests.support.tools import find_tool

_COUNT = re.compile(rb"mesg=(\d+)\s*\r")
DEAD_HOST = "127.0.0.2"


@dataclass(frozen=True)
class Sink:
    """A running sink."""

    port: int
    counters: Path

    def received(self) -> int:
        """Return how many mails it has taken."""
        with self.counters.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 200))
            found = _COUNT.findall(file.read())
        return int(found[-1]) if found else 0

    def wait_for(self, total: int, seconds: float) -> float:
        """Return the monotonic time at which it had taken `total`. Raises RuntimeError if not within `seconds`."""
        deadline = time.monotonic() + seconds
        while self.received() < total:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{total - self.received()} of {total} mails did not arrive in time")
            time.sleep(0.005)
        return time.monotonic()


@contextmanager
def running_sink() -> Iterator[Sink]:
    """Start a sink, and stop it afterwards."""
    program = find_tool("smtp-sink")
    if program is None:
        raise RuntimeError("smtp-sink is not installed")
    (port,) = free_ports(1)
    as_root = ["-u", "nobody"] if os.geteuid() == 0 else []
    with tempfile.NamedTemporaryFile(prefix="sealpost-sink-") as counters:
        process = subprocess.Popen(
            [program, "-c", *as_root, f"127.0.0.1:{port}", "1000"], stdout=counters, stdin=subprocess.DEVNULL
        )
        try:
            wait_for_port(port)
            yield Sink(port, Path(counters.name))
        finally:
            process.terminate()
            process.wait(10)


@contextmanager
def dead_host(port: int) -> Iterator[str]:
    """Give the address of a host that takes connections on `port` and never greets."""
    with socket.create_server((DEAD_HOST, port), backlog=1000):
        yield DEAD_HOST
