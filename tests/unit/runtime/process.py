"""Runs the tiny service as a process of its own and reads what it says."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[3]
_SECONDS = 30.0


@dataclass
class Service:
    """A running process; its output goes to files, so that no pipe can fill."""

    process: asyncio.subprocess.Process
    out: Path
    err: Path

    def lines(self) -> list[dict[str, Any]]:
        """Return the log so far; every line of it must be JSON."""
        return [json.loads(line) for line in self.out.read_text().splitlines()]

    def events(self) -> list[str]:
        """Return the names of the events so far."""
        return [line["event"] for line in self.lines()]

    def stderr(self) -> str:
        """Return what is on standard error."""
        return self.err.read_text()

    def port(self, listener: str) -> int:
        """Return the port of a listener."""
        (port,) = [line["port"] for line in self.lines() if line.get("listener") == listener]
        return int(port)

    async def until(self, event: str) -> None:
        """Wait for an event in the log."""
        async with asyncio.timeout(_SECONDS):
            while event not in self.events():
                if self.process.returncode is not None:
                    raise AssertionError(f"ended with {self.process.returncode}: {self.events()} {self.stderr()}")
                await asyncio.sleep(0.02)

    async def get(self, page: str) -> httpx.Response:
        """Ask the side door."""
        async with httpx.AsyncClient(trust_env=False) as client:
            return await client.get(f"http://127.0.0.1:{self.port('metrics')}{page}")

    def signal(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal."""
        self.process.send_signal(number)

    async def exit_code(self) -> int:
        """Wait for the end."""
        async with asyncio.timeout(_SECONDS):
            return await self.process.wait()

    def rss_mb(self) -> float:
        """Return the resident memory in MB (10^6 bytes)."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@asynccontextmanager
async def run(directory: Path, environ: dict[str, str], *arguments: str) -> AsyncIterator[Service]:
    """Start the tiny service with these variables; kill it at the end if it still runs."""
    out, err = directory / "stdout", directory / "stderr"
    with out.open("wb") as out_file, err.open("wb") as err_file:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.unit.runtime.tiny",
            *arguments,
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], **environ},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=out_file,
            stderr=err_file,
        )
    try:
        yield Service(process, out, err)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
