"""Starts the processes of the platform, starts a dead one again, stops them in reverse.

A process that dies is started again after a pause that doubles with each death in a row (0.2 s to 5 s) and is forgotten
after a minute of life. On Linux the kernel ends the children should the supervisor itself be killed. What a process
prints goes to a file of its own, which is turned over at 8 MiB and kept once.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import shutil
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from libs.runtime.clock import Clock

_LOG_BYTES = 8 * 1024**2
_STOP_SECONDS = 15.0
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Program:
    """One process of the platform."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    log: Path
    ready: Callable[[], Awaitable[bool]]


@dataclass
class _Running:
    program: Program
    process: asyncio.subprocess.Process | None = None
    deaths: int = 0
    keeper: asyncio.Task[None] | None = None


@dataclass
class Supervisor:
    """Keeps a set of programs running."""

    clock: Clock
    tell: Callable[[str], None]
    _running: list[_Running] = field(default_factory=list)
    _stopping: bool = False

    async def start(self, program: Program, ready_seconds: float = 40.0) -> None:
        """Start `program` and wait until it is ready; TimeoutError if it is not in time."""
        entry = _Running(program)
        self._running.append(entry)
        await self._spawn(entry)
        entry.keeper = asyncio.create_task(self._keep(entry))
        async with asyncio.timeout(ready_seconds):
            while not await program.ready():  # noqa: ASYNC110 - another process tells no event
                await asyncio.sleep(0.05)

    async def watch_logs(self, seconds: float = 30.0) -> None:
        """Turn the logs over where they have grown too long, for ever."""
        while True:
            await asyncio.sleep(seconds)
            for entry in self._running:
                await asyncio.to_thread(turn_over, entry.program.log)

    def pids(self) -> dict[str, int]:
        """Return the process ids by name, of those that run now."""
        return {
            entry.program.name: entry.process.pid
            for entry in self._running
            if entry.process is not None and entry.process.returncode is None
        }

    async def stop(self) -> None:
        """Stop everything, the last started first; one that does not drain in time is killed."""
        self._stopping = True
        for entry in reversed(self._running):
            if entry.keeper is not None:
                entry.keeper.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await entry.keeper
            await self._end(entry)

    async def _end(self, entry: _Running) -> None:
        process = entry.process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            self.tell(f"{entry.program.name} did not stop in {_STOP_SECONDS:.0f} s and was killed")
            process.kill()
            await process.wait()

    async def _spawn(self, entry: _Running) -> None:
        program = entry.program
        program.log.parent.mkdir(parents=True, exist_ok=True)
        with _opened(program.log) as log:
            entry.process = await asyncio.create_subprocess_exec(
                *program.command, env=dict(program.environment), stdin=asyncio.subprocess.DEVNULL,
                stdout=log, stderr=log, preexec_fn=_die_with_parent,
            )  # fmt: skip

    async def _keep(self, entry: _Running) -> None:
        while not self._stopping:
            if entry.process is None:
                return
            born = self.clock.monotonic()
            code = await entry.process.wait()
            if self._stopping:
                return
            entry.deaths = 0 if self.clock.monotonic() - born > 60 else entry.deaths + 1
            pause = min(5.0, 0.1 * 2**entry.deaths)
            self.tell(
                f"{entry.program.name} ended with {code}; starting it again in {pause:.1f} s ({entry.program.log})"
            )
            await asyncio.sleep(pause)
            await self._spawn(entry)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        yield number
    finally:
        os.close(number)


def turn_over(path: Path) -> None:
    """Keep the log at `path` bounded: beyond 8 MiB it becomes the one old copy and begins anew.

    The writer holds the file open for appending, so the content is copied and the file cut, not moved.
    """
    if path.exists() and path.stat().st_size > _LOG_BYTES:
        shutil.copyfile(path, path.with_suffix(".1.log"))
        os.truncate(path, 0)


def _die_with_parent() -> None:
    # A new session, so that Ctrl-C reaches the supervisor alone and it can stop the rest in order.
    os.setsid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
