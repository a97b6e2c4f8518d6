"""The platform's processes seen from outside: who they are, whether they answer, what they hold open; and their end."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.platform import RunningPlatform

_EVERY = 0.05


def wait_for(what: str, true: Callable[[], object], seconds: float = 60.0) -> float:
    """Return how many seconds it took until `true` was; AssertionError naming `what` if it took too long."""
    began = time.monotonic()
    while not true():
        if time.monotonic() - began > seconds:
            raise AssertionError(f"{what}: not within {seconds:.0f} s")
        time.sleep(_EVERY)
    return time.monotonic() - began


def children(pid: int) -> list[int]:
    """Return the processes that `pid` has started and that live."""
    found: list[int] = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(child) for child in (task / "children").read_text().split()]
    return sorted(pid for pid in found if is_alive(pid))


def is_alive(pid: int) -> bool:
    """Tell whether `pid` runs; one that is dead and not yet waited for does not."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    return False


def family(pid: int) -> list[int]:
    """Return `pid` and all its descendants."""
    return [pid, *(one for child in children(pid) for one in family(child))]


def pids(platform: RunningPlatform) -> dict[str, int]:
    """Return the processes of the platform by name, those that live now."""
    return {name: pid for name, pid in platform.pids().items() if is_alive(pid)}


def environment(pid: int) -> dict[str, str]:
    """Return the environment that a process was started with."""
    parts = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return dict(part.split("=", 1) for part in parts if "=" in part)


def metrics(platform: RunningPlatform, name: str) -> str:
    """Return the metrics page of a service."""
    address = environment(pids(platform)[name])["SEALPOST_METRICS_ADDRESS"]
    return _page(f"http://{address}/metrics")[1].decode()


def is_ready(platform: RunningPlatform, name: str) -> bool:
    """Tell whether the service `name`, or nats, takes work; False while it is dead."""
    try:
        if name == "nats":
            return _page(f"{nats_monitor(platform)}/healthz")[0] == 200
        address = environment(pids(platform)[name])["SEALPOST_METRICS_ADDRESS"]
        return _page(f"http://{address}/readyz")[0] == 200
    except (OSError, KeyError, ValueError):
        return False


def nats_monitor(platform: RunningPlatform) -> str:
    """Return where nats-server tells about itself."""
    config = json.loads((platform.home / "nats.conf").read_text(encoding="utf-8"))
    return f"http://{config['http']}"


def stream_messages(platform: RunningPlatform) -> int:
    """Return how many events the stream of mail holds, -1 if nobody answers."""
    try:
        page = json.loads(_page(f"{nats_monitor(platform)}/jsz?streams=1")[1])
        streams = [stream for account in page.get("account_details", []) for stream in account.get("stream_detail", [])]
        return sum(stream["state"]["messages"] for stream in streams if stream["name"] == "MAIL")
    except (OSError, ValueError):
        return -1


def kill(pid: int) -> None:
    """End `pid` as a crash would."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Keep `pid` from doing anything for the time of the block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def files_open_for_writing(root: int) -> dict[str, int]:
    """Return the regular files that `root` and its descendants can write to, each with one process that holds it.

    One that is deleted already is named with what the kernel says of it.
    """
    found: dict[str, int] = {}
    for pid in family(root):
        with suppress(FileNotFoundError, ProcessLookupError):
            for entry in Path(f"/proc/{pid}/fd").iterdir():
                with suppress(FileNotFoundError, ProcessLookupError):
                    flags = int(
                        (Path(f"/proc/{pid}/fdinfo") / entry.name).read_text().split("flags:\t")[1].split()[0], 8
                    )
                    target = os.readlink(entry)
                    if target.startswith("/") and flags & os.O_ACCMODE and entry.is_file():
                        found[target] = pid
    return found


def command_lines(root: int) -> bytes:
    """Return the arguments and environments of `root` and all its descendants, which any user may read or inherit."""
    text = b""
    for pid in family(root):
        with suppress(FileNotFoundError, ProcessLookupError):
            text += Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
    return text


def _page(url: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(url, timeout=2.0) as answer:  # noqa: S310 - our own loopback address
            return answer.status, answer.read()
    except urllib.error.HTTPError as refused:
        return refused.code, b""
