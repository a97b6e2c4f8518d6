"""The whole platform as users start it, on free ports and in a folder of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from libs.local.plan import free_ports
from libs.local.settings import BOUNCE_DOMAIN, MEMBER_DOMAIN, PUBLIC_DOMAIN, RELAY_DOMAIN

ROOT = Path(__file__).resolve().parents[2]
_READY_SECONDS = 60.0
_STOP_SECONDS = 40.0


@dataclass
class RunningPlatform:
    """A platform that is ready. `output` grows with the lines that it prints."""

    home: Path
    http_port: int
    smtp_port: int
    process: subprocess.Popen[str]
    output: list[str] = field(default_factory=list)
    smtp_host: str = "127.0.0.1"
    member_domain: str = MEMBER_DOMAIN
    public_domain: str = PUBLIC_DOMAIN
    relay_domain: str = RELAY_DOMAIN
    bounce_domain: str = BOUNCE_DOMAIN
    submission_port: int = 0
    submissions_port: int = 0

    @property
    def url(self) -> str:
        """Where the page and the API are."""
        return f"http://127.0.0.1:{self.http_port}"

    def pids(self) -> dict[str, int]:
        """Return the process ids of NATS and the services, as they are now."""
        found: dict[str, int] = json.loads((self.home / "pids.json").read_text(encoding="utf-8"))
        return found

    def stop(self) -> int:
        """Stop as Ctrl-C does; return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


def platform_environment(home: Path, http_port: int, smtp_port: int, **extra: str) -> dict[str, str]:
    """Return the environment that starts a platform in `home` on these ports; `extra` are SEALPOST_ settings."""
    base = {name: text for name, text in os.environ.items() if not name.startswith("SEALPOST_")}
    own = {"HOME": str(home), "HTTP_PORT": str(http_port), "SMTP_PORT": str(smtp_port)}
    if not extra.keys() >= {"SUBMISSION_PORT", "SUBMISSIONS_PORT"}:
        first, second = free_ports(2)
        own |= {"SUBMISSION_PORT": str(first), "SUBMISSIONS_PORT": str(second)}
    own |= extra
    return base | {"PYTHONPATH": str(ROOT)} | {f"SEALPOST_{name}": text for name, text in own.items()}


@contextmanager
def running_platform(home: Path, *, program: Sequence[str] = ("services",), **extra: str) -> Iterator[RunningPlatform]:
    """Start a platform in `home`, give it when it is ready, and stop it afterwards.

    `program` is the module to run and its arguments, for tests that start the platform in a way of their own.
    """
    http_port, smtp_port, submission_port, submissions_port = free_ports(4)
    extra = {"SUBMISSION_PORT": str(submission_port), "SUBMISSIONS_PORT": str(submissions_port)} | extra
    process = subprocess.Popen(
        [sys.executable, "-m", *program],
        cwd=ROOT,
        env=platform_environment(home, http_port, smtp_port, **extra),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    platform = RunningPlatform(home, http_port, smtp_port, process)
    platform.submission_port, platform.submissions_port = submission_port, submissions_port
    ready = threading.Event()
    reader = threading.Thread(target=_read, args=(platform, ready), daemon=True)
    reader.start()
    try:
        _wait_ready(platform, ready)
        yield platform
    finally:
        platform.stop()
        reader.join(5)
        if process.stdout is not None:
            process.stdout.close()


def _read(platform: RunningPlatform, ready: threading.Event) -> None:
    if platform.process.stdout is None:
        return
    for line in platform.process.stdout:
        platform.output.append(line.rstrip("\n"))
        if line.strip() == "sealpost is ready":
            ready.set()


def _wait_ready(platform: RunningPlatform, ready: threading.Event) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while not ready.wait(0.1):
        if platform.process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("the platform did not become ready:\n" + "\n".join(platform.output))
