"""Memory: what each process holds at rest, and all of them together while fifty large mails arrive at once.

What is told is the resident memory of all processes of the platform, NATS and the supervisor included, sampled
while the mails come in; pages shared between forked workers count once for each, so the sum errs upwards. Mails refused
with 452 are told as such: refusing is how memory is kept.
"""

from __future__ import annotations

import resource
import smtplib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.bench.cpu import children
from tests.support.platform import RunningPlatform

_MB = 1024**2
_PAGE = resource.getpagesize()


def resident(platform: RunningPlatform) -> dict[str, Any]:
    """Return the resident MiB of each process at rest, of a service with workers its parent's first."""
    return {
        name: [round(_resident(found) / _MB, 1) for found in (pid, *children(pid))]
        for name, pid in sorted(platform.pids().items())
    }


def burst(platform: RunningPlatform, mails: int = 50, size: int = 25 * _MB) -> dict[str, Any]:
    """Send `mails` of `size` bytes at once; return the peak MiB of all processes and how the mails fared."""
    line = b"X" * 76 + b"\r\n"
    mail = b"Subject: large\r\n\r\n" + line * (size // len(line))
    peak = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.05):
            peak = max(peak, _resident(platform.process.pid) + sum(_family(pid) for pid in platform.pids().values()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.monotonic()
    try:
        with ThreadPoolExecutor(mails) as pool:
            codes = list(pool.map(lambda turn: _send(platform, turn, mail), range(mails)))
    finally:
        done.set()
        watcher.join()
    counts = {str(code): codes.count(code) for code in sorted(set(codes))}
    return {"peak_mib": round(peak / _MB), "replies": counts, "seconds": round(time.monotonic() - started, 1)}


def _send(platform: RunningPlatform, turn: int, mail: bytes) -> int:
    try:
        with smtplib.SMTP(platform.smtp_host, platform.smtp_port, timeout=240) as client:
            client.sendmail("bench@client.test", [f"large{turn}@{platform.public_domain}"], mail)
    except smtplib.SMTPResponseException as refused:
        return int(refused.smtp_code)
    except (smtplib.SMTPServerDisconnected, ConnectionError):
        return 0
    return 250


def _family(pid: int) -> int:
    """Return the resident bytes of a service's process and of the workers below it."""
    return sum(_resident(found) for found in (pid, *children(pid)))


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (FileNotFoundError, ProcessLookupError):
        return 0
