"""What all connections of one kind in one process share: the limits, the open ones, the clock that watches them.

The MX and submission have a site each, so that a flood at the one does not fill the places of the other; the room for
mail is the process's, and one.

Clients are told apart by address, IPv6 ones by /64, because that is what one customer gets. The counters are keyed and
forget (libs.runtime.limits). Clients in the exempt networks, by default the machine itself, are not counted.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Protocol

from libs.net.addresses import network_of
from libs.runtime.clock import Clock
from libs.runtime.errors import ExhaustedError
from libs.runtime.limits import KeyedGauge, KeyedLimiter
from libs.telemetry.facts import NoFacts, Recorder
from services.ingest import replies
from services.ingest.admission import Admission
from services.ingest.settings import Settings
from services.ingest.tls import CertificateFiles

_KEYS = 100_000


class Connection(Protocol):
    """What the site needs to know of a connection."""

    deadline: float

    @property
    def waits_for_command(self) -> bool:
        """Whether nothing is under way."""

    def expire(self) -> None:
        """End the present wait."""


def make_admission(settings: Settings) -> Admission:
    """Return the room of one process: what is for the whole service is divided by the number of workers."""
    room = settings.admission_bytes // settings.workers
    return Admission(room, room * settings.client_share_percent // 100)


class Site:
    """One kind of service, MX or submission, in one process."""

    def __init__(
        self,
        settings: Settings,
        admission: Admission,
        tls: CertificateFiles | None,
        clock: Clock,
        facts: Recorder | None = None,
    ) -> None:
        """Take the room, which is that of the whole process, and the certificate; None where TLS is not offered."""
        self.facts = facts or NoFacts()
        self.settings = settings
        self.admission = admission
        self.tls = tls
        self.connections: set[Connection] = set()
        self.closing = False
        self._empty = asyncio.Event()
        self._admitted = 0
        self._exempt = [ipaddress.ip_network(network) for network in settings.exempt_networks]
        self._at_once = KeyedGauge(settings.connections_per_client, _KEYS)
        self._connects = KeyedLimiter(settings.connects_per_minute, 60.0, _KEYS, clock)
        self._unknown = KeyedLimiter(settings.unknown_per_hour, 3600.0, _KEYS, clock)

    def client_key(self, address: str) -> str:
        """Return what a client is counted under; "" for one that is not."""
        parsed = ipaddress.ip_address(address)
        if any(parsed in network for network in self._exempt):
            return ""
        return network_of(address)

    def admit(self, key: str, lifetime: ExitStack) -> str:
        """Count a new connection for as long as `lifetime` lasts; return the reply that refuses it, or ""."""
        if self.closing:
            return replies.CLOSING
        if self._admitted >= self.settings.max_connections:
            return replies.BUSY
        if key:
            if self._connects.allow(key) > 0:
                return replies.TOO_FAST
            try:
                lifetime.enter_context(self._at_once.hold(key))
            except ExhaustedError:
                return replies.TOO_MANY_CONNECTIONS
        self._admitted += 1
        lifetime.callback(self._release)
        return ""

    def _release(self) -> None:
        self._admitted -= 1

    def leave(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self.connections.discard(connection)
        if not self.connections:
            self._empty.set()

    def count_unknown(self, key: str) -> bool:
        """Count a recipient that does not exist; return whether the client has asked for too many of them."""
        return bool(key) and self._unknown.allow(key) > 0

    async def watch(self) -> None:
        """End waits whose deadline has passed; runs until cancelled."""
        shortest = min(self.settings.idle_seconds, self.settings.data_seconds, self.settings.session_seconds)
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(min(1.0, shortest / 4))
            now = loop.time()
            _expire(connection for connection in self.connections if connection.deadline < now)

    async def drain(self, seconds: float) -> None:
        """Take no more mail: close connections between commands now, the others when their mail is done."""
        self.closing = True
        self.admission.turn_away()
        _expire(connection for connection in self.connections if connection.waits_for_command)
        if self.connections:
            self._empty.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._empty.wait()
            except TimeoutError:
                _expire(self.connections)


async def drain(sites: Iterable[Site], seconds: float) -> None:
    """Drain several sites at the same time."""
    await asyncio.gather(*(site.drain(seconds) for site in sites))


def _expire(connections: Iterable[Connection]) -> None:
    for connection in list(connections):
        connection.expire()


def client_address(peername: object) -> str:
    """Return the address of a transport's peer without zone, IPv4 as such; "0.0.0.0" where it is not known."""
    host = str(peername[0]) if isinstance(peername, tuple) and peername else ""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return "0.0.0.0"  # noqa: S104 - not listened on
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)
