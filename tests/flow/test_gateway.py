"""The gateway as a process of the platform: from SMTP to the live stream, NATS away and back, stopping, size."""

from __future__ import annotations

import os
import queue
import signal
import smtplib
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import httpx
import pytest

from tests.support.ledger_procs import is_alive, is_ready, kill, metrics, pids, wait_for
from tests.support.platform import RunningPlatform, running_platform

# Modules and code: with OpenPGP, DNS and HTTP to look up keys of people elsewhere, and families of browsers (9 MiB).
_BUDGET_MIB = 118.0


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    """A platform of our own, for parts of it are killed here."""
    with running_platform(tmp_path_factory.mktemp("gateway")) as running:
        yield running


def send(platform: RunningPlatform, address: str) -> None:
    """Send a small mail."""
    with smtplib.SMTP(platform.smtp_host, platform.smtp_port, timeout=30) as smtp:
        smtp.sendmail("ada@example.org", [address], f"From: ada@example.org\r\nTo: {address}\r\n\r\nhello\r\n")


@contextmanager
def stream(platform: RunningPlatform, address: str) -> Iterator[queue.Queue[str]]:
    """Give the lines of the live stream of a public inbox as they come; "" is its end."""
    lines: queue.Queue[str] = queue.Queue()
    connection = HTTPConnection("127.0.0.1", platform.http_port, timeout=60)
    connection.request("GET", f"/v1/public/{address}/events")
    response = connection.getresponse()
    assert response.status == 200

    def read() -> None:
        try:
            for line in response:
                if line.strip():
                    lines.put(line.decode().rstrip())
        except (OSError, HTTPException):
            pass
        lines.put("")

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        await_line(lines, ": connected")
        yield lines
    finally:
        if connection.sock is not None:
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)
        reader.join(20)
        response.close()
        connection.close()


def await_line(lines: queue.Queue[str], start: str, seconds: float = 30.0) -> str:
    """Return the next line that begins with `start`; fail at the end of the stream, or of the time."""
    deadline = time.monotonic() + seconds
    while True:
        line = lines.get(timeout=max(0.1, deadline - time.monotonic()))
        if line.startswith(start):
            return line
        assert line, f"the stream ended before {start!r}"


def await_end(lines: queue.Queue[str], seconds: float = 10.0) -> None:
    """Return when the stream has ended."""
    deadline = time.monotonic() + seconds
    while lines.get(timeout=max(0.1, deadline - time.monotonic())):
        pass


def listed(platform: RunningPlatform, address: str) -> list[str]:
    """Return the ids in a public inbox."""
    page = httpx.get(f"{platform.url}/v1/public/{address}/messages").json()
    return [entry["id"] for entry in page["messages"]]


def test_a_mail_by_smtp_shows_in_the_stream(broken: RunningPlatform) -> None:
    address = f"live@{broken.public_domain}"
    with stream(broken, address) as lines:
        send(broken, address)
        assert await_line(lines, "event:") == "event: stored"
        data = await_line(lines, "data:")
        (message_id,) = listed(broken, address)
        assert data == f'data: {{"id": "{message_id}", "folder": "inbox"}}'
    assert 'sealpost_gateway_request_seconds_count{area="public",outcome="ok"}' in metrics(broken, "gateway")


def test_when_nats_was_away_streams_are_told_to_load_anew(broken: RunningPlatform) -> None:
    address = f"away@{broken.public_domain}"
    with stream(broken, address) as lines:
        kill(pids(broken)["nats"])
        send(broken, address)
        assert await_line(lines, "event:", 60) == "event: resync"
        # The end: a browser connects again by itself, and loads the list then.
        await_end(lines)
    assert len(listed(broken, address)) == 1
    wait_for("nats is back", lambda: is_ready(broken, "nats"))
    with stream(broken, address) as lines:
        send(broken, address)
        assert await_line(lines, "event: stored")


def test_a_service_that_is_away_is_told_and_nothing_hangs(broken: RunningPlatform) -> None:
    with httpx.Client(base_url=broken.url, timeout=30) as client:
        kill(pids(broken)["accounts"])
        answer = client.get(f"/v1/public/fresh{time.monotonic_ns()}@{broken.public_domain}/messages")
        assert answer.status_code in (200, 503)
        if answer.status_code == 503:
            assert answer.json()["reason"] in ("unavailable", "deadline") and int(answer.headers["retry-after"]) >= 1
        assert client.get("/").status_code == 200
        wait_for("accounts is back", lambda: is_ready(broken, "accounts"))
        wait_for("it is asked again", lambda: client.get(f"/v1/public/x@{broken.public_domain}/messages").is_success)


def test_stopping_with_open_streams_takes_less_than_five_seconds(broken: RunningPlatform) -> None:
    address = f"stop@{broken.public_domain}"
    with stream(broken, address) as first, stream(broken, address) as second:
        pid = pids(broken)["gateway"]
        os.kill(pid, signal.SIGTERM)
        assert wait_for("the gateway has ended", lambda: not is_alive(pid)) < 5.0
        for lines in (first, second):
            await_end(lines)
    wait_for("another gateway serves", lambda: pids(broken).get("gateway", pid) != pid and is_ready(broken, "gateway"))
    assert httpx.get(f"{broken.url}/v1/info").status_code == 200


def test_an_idle_gateway_is_small(broken: RunningPlatform) -> None:
    wait_for("a gateway serves", lambda: is_ready(broken, "gateway"))
    status = Path(f"/proc/{pids(broken)['gateway']}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    assert int(line.split()[1]) / 1024 < _BUDGET_MIB
