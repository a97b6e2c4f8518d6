"""Certificates of people elsewhere, from the key directories of their domains.

First the advanced method, then the direct one (draft-koch-openpgp-webkey-service, section 3.1). The draft has the
second asked only where the host of the first does not exist; here it is asked wherever the first gave no answer of its
own (no host, no TLS, an error, a redirect), for many domains resolve any name to a web server that knows nothing. A
plain "not found" is an answer.

What a directory learns is what it must: that somebody here looks for this address, now and then. Who, and how often, it
does not learn: the request carries nothing of the member, and the answer is kept for everybody - a certificate for an
hour, its absence for ten minutes, and so every fault: a directory that does not answer is not asked again by each mail.
Memory is bounded in entries and bytes; looking for one address twice at the same time is one look-up. Whether an
address is ours is decided before (http/recipients.py); nothing of our own domains comes here.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import Protocol

from libs.net.http import Fetched
from libs.runtime.clock import Clock
from libs.runtime.errors import InvalidError, UnavailableError
from libs.telemetry import metrics
from services.gateway.certificates import MAX_BYTES, Certificate, usable
from services.gateway.wkd import canonical_address, urls_of

FOUND_SECONDS = 3600.0
ABSENT_SECONDS = 600.0
_FETCH_SECONDS = 4.0
_AT_ONCE = 32
_MAX_UNDER_WAY = 1000
_MAX_ENTRIES = 20_000
_MAX_KEPT_BYTES = 32 * 1024 * 1024
_ENTRY_BYTES = 200

_LOOKED_UP = metrics.counter(
    "sealpost_gateway_key_lookups_total",
    "Certificates looked up elsewhere.",
    {"outcome": ("found", "unusable", "absent", "unreachable")},
)


class Http(Protocol):
    """What asks the directories; libs.net.http.GuardedHttp."""

    async def fetch(self, method: str, url: str, *, max_bytes: int, seconds: float) -> Fetched:
        """Return the answer. Raises InvalidError, UnavailableError."""


@dataclass(frozen=True, slots=True)
class _Known:
    until: float
    certificate: Certificate | None

    @property
    def weight(self) -> int:
        return _ENTRY_BYTES + (len(self.certificate.data) if self.certificate else 0)


class KeyLookup:
    """Finds certificates of people elsewhere. For one event loop."""

    def __init__(self, http: Http, clock: Clock, port: int = 443) -> None:
        """Ask by `http`, at `port`."""
        self._http = http
        self._port = port
        self._clock = clock
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._kept_bytes = 0
        self._under_way: dict[str, asyncio.Task[Certificate | None]] = {}
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def find(self, address: str) -> Certificate | None:
        """Return the certificate that mail for `address` may be sealed to, None if its domain has none or is silent.

        Raises: UnavailableError("busy") where too much is looked up already; None would mean that there is none.
        """
        canonical = canonical_address(address)
        if canonical is None:
            return None
        local_part, domain = canonical
        key = f"{local_part}@{domain}"
        known = self._known.get(key)
        if known is not None and known.until > self._clock.monotonic():
            return known.certificate
        task = self._under_way.get(key)
        if task is None:
            if len(self._under_way) >= _MAX_UNDER_WAY:
                raise UnavailableError("busy")
            task = self._under_way[key] = asyncio.create_task(self._ask(local_part, domain))
            task.add_done_callback(lambda _: self._under_way.pop(key, None))
        # Shielded: others wait for it too, and what it finds is kept.
        return await asyncio.shield(task)

    async def aclose(self) -> None:
        """Give up what is under way."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, local_part: str, domain: str) -> Certificate | None:
        address = f"{local_part}@{domain}"
        async with self._slots:
            answer = await self._fetch(local_part, domain)
            found = None
            if answer is not None and answer.status == 200:
                found = await asyncio.to_thread(usable, answer.body, address, self._clock.now())
                _LOOKED_UP.inc(outcome="found" if found else "unusable")
            else:
                _LOOKED_UP.inc(outcome="unreachable" if answer is None else "absent")
        self._keep(address, found)
        return found

    async def _fetch(self, local_part: str, domain: str) -> Fetched | None:
        """Return the first answer of a directory, None if there is no directory that answers."""
        for url in urls_of(local_part, domain, self._port):
            try:
                answer = await self._http.fetch("GET", url, max_bytes=MAX_BYTES, seconds=_FETCH_SECONDS)
            except (InvalidError, UnavailableError):
                continue
            if answer.status in (200, 404):
                return answer
        return None

    def _keep(self, address: str, found: Certificate | None) -> None:
        self._forget(address)
        seconds = FOUND_SECONDS if found else ABSENT_SECONDS
        entry = self._known[address] = _Known(self._clock.monotonic() + seconds, found)
        self._kept_bytes += entry.weight
        while len(self._known) > _MAX_ENTRIES or self._kept_bytes > _MAX_KEPT_BYTES:
            self._forget(next(iter(self._known)))

    def _forget(self, address: str) -> None:
        entry = self._known.pop(address, None)
        if entry is not None:
            self._kept_bytes -= entry.weight
