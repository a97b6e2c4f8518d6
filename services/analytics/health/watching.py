"""Reads the metrics of every process, every ten seconds, and keeps what health is made from.

A target is a name that may stand for several processes (a headless Service of Kubernetes): it is looked up each time,
and each address is asked. Answers are bounded in bytes and time; who does not answer is not up. Nothing is stored.
"""

from __future__ import annotations

import asyncio
import socket
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import httpcore

from libs.runtime.clock import Clock
from libs.telemetry import metrics
from libs.telemetry.logs import get_logger
from services.analytics.health.history import SECONDS, History
from services.analytics.health.model import Report, signals_of
from services.analytics.health.samples import Change, Sample, change, read_sample

_ASK_SECONDS = 3.0
_MAX_BYTES = 8 * 1024 * 1024
_MAX_ADDRESSES = 64
_AT_ONCE = 8

_log = get_logger("health")
_scrapes = metrics.counter("sealpost_watch_scrapes_total", "Metrics asked for.", {"outcome": ("ok", "failed")})

Fetch = Callable[[str, int], Awaitable[str]]


@dataclass(frozen=True)
class Target:
    """Where a service shows its metrics."""

    service: str
    host: str
    port: int


def parse_targets(texts: Sequence[str]) -> list[Target]:
    """Return targets from "name=host:port". Raises: ValueError naming the place in the list."""
    targets = []
    for place, text in enumerate(texts, 1):
        service, equals, address = text.partition("=")
        host, colon, port = address.rpartition(":")
        if not (service and equals and host and colon and port.isdigit() and 0 < int(port) < 65536):
            raise ValueError(f"entry {place} is not name=host:port")
        targets.append(Target(service, host.strip("[]"), int(port)))
    return targets


class Watch:
    """Watches targets; `run` does it until cancelled, `report` tells what was seen."""

    def __init__(self, targets: Sequence[Target], clock: Clock, fetch: Fetch | None = None) -> None:
        """Prepare; `fetch` returns the exposition of an address."""
        self._targets = targets
        self._clock = clock
        self._fetch = fetch or fetch_text
        self._history = History(list(dict.fromkeys(target.service for target in targets)))
        self._last: dict[tuple[str, str, int], Sample] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)

    def report(self, minutes: int) -> Report:
        """Return the last `minutes`, at most an hour."""
        return self._history.report(minutes)

    async def run(self) -> None:
        """Look every ten seconds."""
        while True:
            began = self._clock.monotonic()
            await self.look()
            await asyncio.sleep(max(1.0, SECONDS - (self._clock.monotonic() - began)))

    async def look(self) -> None:
        """Ask everybody once and add a point."""
        places = [place for found in await asyncio.gather(*map(_look_up, self._targets)) for place in found]
        samples = await asyncio.gather(*(self._ask(*place) for place in places))
        changes: dict[str, list[Change]] = defaultdict(list)
        up: dict[str, tuple[int, int]] = {}
        now: dict[tuple[str, str, int], Sample] = {}
        for place, sample in zip(places, samples, strict=True):
            service = place[0]
            answered, expected = up.get(service, (0, 0))
            up[service] = (answered + (sample is not None), expected + 1)
            if sample is None:
                continue
            now[place] = sample
            before = self._last.get(place)
            if before is not None and (seen := change(before, sample)) is not None:
                changes[service].append(seen)
        self._last = now
        self._history.add(int(self._clock.now().timestamp()), changes, up)

    async def _ask(self, service: str, host: str, port: int) -> Sample | None:
        try:
            async with self._slots, asyncio.timeout(_ASK_SECONDS):
                text = await self._fetch(host, port)
                sample = read_sample(text, signals_of(service), self._clock.monotonic())
        except (OSError, TimeoutError, ValueError, LookupError, httpcore.NetworkError, httpcore.ProtocolError) as error:
            _scrapes.inc(outcome="failed")
            _log.debug("scrape_failed", service=service, error=error)
            return None
        _scrapes.inc(outcome="ok")
        return sample


async def _look_up(target: Target) -> list[tuple[str, str, int]]:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_ASK_SECONDS):
            found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError):
        # It is expected all the same: one process that does not answer.
        return [(target.service, target.host, target.port)]
    addresses = sorted({str(entry[4][0]) for entry in found})[:_MAX_ADDRESSES]
    return [(target.service, address, target.port) for address in addresses]


async def fetch_text(host: str, port: int) -> str:
    """Return what http://host:port/metrics says. Raises: as httpcore, ValueError for anything but a short 200."""
    name = f"[{host}]" if ":" in host else host
    async with (
        httpcore.AsyncConnectionPool(max_connections=1) as pool,
        pool.stream("GET", f"http://{name}:{port}/metrics") as answer,
    ):
        if answer.status != 200:
            raise ValueError("not 200")
        body = bytearray()
        async for piece in answer.aiter_stream():
            body += piece
            if len(body) > _MAX_BYTES:
                raise ValueError("too long")
        return body.decode()
