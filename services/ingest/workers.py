"""The parent: keeps a number of worker processes on the same ports, and speaks for all of them.

Python uses one core per process, so the service is several; the kernel spreads connections over them (SO_REUSEPORT).
The parent holds each address with a socket that never listens, starts the workers, starts them again with growing
pauses when they die, tells them to drain, and shows their metrics as one. Each worker is tied to its parent by a socket
pair: its reports come over it, and its end tells a worker whose parent was killed that it is time to go.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from libs.runtime.backoff import Backoff
from libs.runtime.clock import Clock
from libs.runtime.errors import UnavailableError
from libs.telemetry.logs import Logger
from services.ingest.settings import split_address
from services.ingest.totals import Totals

CHANNEL_VARIABLE = "SEALPOST_WORKER_CHANNEL"
_COMMAND = (sys.executable, "-m", "services.ingest.worker")
_MAX_REPORT = 4 * 1024 * 1024
_STABLE_SECONDS = 30.0
_MAX_SHORT_LIVES = 10
# run_service: the settings are wrong, and will be the next time.
_MISUSED = 2
_START_SECONDS = 60.0
# What a worker may take to close on top of its drain, before it is killed.
_CLOSING_SECONDS = 3.0
# glibc moves its threshold up to the largest block freed, and from then on large mails stay in the heap. Fixed, each
# goes back to the system when it is done with.
_MALLOC = {"MALLOC_MMAP_THRESHOLD_": "262144", "MALLOC_TRIM_THRESHOLD_": "1048576", "MALLOC_ARENA_MAX": "2"}


class Workers:
    """The workers of one MX."""

    def __init__(
        self, count: int, environ: Mapping[str, str], log: Logger, clock: Clock, command: Sequence[str] = _COMMAND
    ) -> None:
        """Prepare to run `command` `count` times with `environ`."""
        self.totals = Totals()
        self._count = count
        self._environ = {**_MALLOC, **environ}
        self._log = log
        self._clock = clock
        self._command = command
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._ready: set[int] = set()
        self._all_ready = asyncio.Event()
        self._stopping = False

    async def all_ready(self) -> bool:
        """Tell whether every worker takes mail."""
        return len(self._ready) == self._count

    async def started(self) -> None:
        """Return when every worker has been ready once. Raises UnavailableError("workers") if that takes a minute."""
        try:
            async with asyncio.timeout(_START_SECONDS):
                await self._all_ready.wait()
        except TimeoutError:
            raise UnavailableError("workers") from None

    async def run(self) -> None:
        """Keep the workers alive until `stop`. Raises UnavailableError("workers") if one cannot live."""
        async with asyncio.TaskGroup() as group:
            for number in range(1, self._count + 1):
                group.create_task(self._keep(number))

    async def stop(self, drain_seconds: float) -> None:
        """Tell all workers to drain, wait for them, and kill those that do not end in time."""
        self._stopping = True
        processes = list(self._processes.values())
        for process in processes:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        ends = [asyncio.ensure_future(process.wait()) for process in processes]
        if ends:
            await asyncio.wait(ends, timeout=drain_seconds + _CLOSING_SECONDS)
        for process in processes:
            if process.returncode is None:
                process.kill()
        await asyncio.gather(*ends)

    async def _keep(self, number: int) -> None:
        backoff = Backoff(first=0.2, ceiling=10.0)
        short_lives = 0
        while not self._stopping:
            began = self._clock.monotonic()
            exit_code = await self._live(number)
            if self._stopping:
                return
            self._log.error("worker_died", worker=number, exit_code=exit_code)
            short_lives = 0 if self._clock.monotonic() - began > _STABLE_SECONDS else short_lives + 1
            if exit_code == _MISUSED or short_lives >= _MAX_SHORT_LIVES:
                raise UnavailableError("workers")
            # One that was killed once comes back at once; one that cannot live does not burn the machine.
            await asyncio.sleep(backoff.pause(short_lives) if short_lives > 1 else 0.0)

    async def _live(self, number: int) -> int:
        """Run one worker from start to end and return its exit code."""
        ours, theirs = socket.socketpair()
        with theirs, _closed_on_failure(ours):
            process = await self._start(theirs.fileno())
        self._processes[number] = process
        self._log.info("worker_started", worker=number, pid=process.pid)
        try:
            with _closed_on_failure(ours):
                reader, writer = await asyncio.open_connection(sock=ours, limit=_MAX_REPORT)
            try:
                await self._listen(number, reader)
                return await process.wait()
            finally:
                writer.close()
        finally:
            await _end(process)
            self._ready.discard(number)
            self.totals.forget(number)
            self._processes.pop(number, None)

    async def _start(self, channel: int) -> asyncio.subprocess.Process:
        """Start a process; if that is cancelled, none is left behind."""
        environ = {**self._environ, CHANNEL_VARIABLE: str(channel)}
        starting = asyncio.ensure_future(
            asyncio.create_subprocess_exec(
                *self._command, env=environ, stdin=asyncio.subprocess.DEVNULL, pass_fds=(channel,)
            )
        )
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            await _end(await starting)
            raise

    async def _listen(self, number: int, reader: asyncio.StreamReader) -> None:
        """Take reports, one JSON document per line, until the worker closes the channel by ending."""
        with suppress(ConnectionError, asyncio.LimitOverrunError, ValueError):
            while line := await reader.readline():
                self.totals.update(number, json.loads(line))
                self._ready.add(number)
                if len(self._ready) == self._count:
                    self._all_ready.set()


@contextmanager
def _closed_on_failure(ours: socket.socket) -> Iterator[None]:
    """Close a socket if the block fails before a connection owns it."""
    try:
        yield
    except BaseException:
        ours.close()
        raise


async def _end(process: asyncio.subprocess.Process) -> None:
    """Make sure that a process is no more."""
    if process.returncode is None:
        process.kill()
        await process.wait()


def reserve(address: str) -> socket.socket:
    """Return a socket that holds `address` ("host:port", port 0 picks one) for listeners with SO_REUSEPORT.

    Raises:
        OSError: somebody listens there, or the address is not of this machine.
    """
    family, host = _family_of(address)
    # With SO_REUSEPORT a bind succeeds beside listeners of the same user that set it too, another MX for one.
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, split_address(address)[1]))
    return bind(address)


def bind(address: str) -> socket.socket:
    """Return a socket bound to `address` with SO_REUSEPORT. Raises OSError."""
    family, host = _family_of(address)
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(host != "::"))
        bound.bind((host, split_address(address)[1]))
        bound.setblocking(False)
    except OSError:
        bound.close()
        raise
    return bound


def address_of(bound: socket.socket) -> str:
    """Return "host:port" of a bound socket."""
    host, port = bound.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def worker_environment(addresses: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a worker on these addresses, named as in the settings ("smtp" for SMTP_ADDRESS).

    It is the parent's, without what only the parent serves.
    """
    listening = {f"SEALPOST_{name.upper()}_ADDRESS": address for name, address in addresses.items()}
    return {**os.environ, **listening, "SEALPOST_METRICS_ADDRESS": "", "SEALPOST_GRPC_ADDRESS": ""}


def _family_of(address: str) -> tuple[socket.AddressFamily, str]:
    host, port = split_address(address)
    family, _, _, _, found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    return family, str(found[0])
