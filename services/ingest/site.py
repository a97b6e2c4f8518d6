"""What all connections of one process share: the limits, the open connections, the clock that watches them.

Clients are told apart by address, IPv6 ones by /64, because that is what one customer gets. The counters are keyed and
forget (libs.runtime.limits). Clients in the exempt networks, by default the machine itself, are not counted.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

from libs.mailbox.model import Accounts
from libs.runtime.clock import Clock
from libs.runtime.errors import ExhaustedError
from libs.runtime.limits import KeyedGauge, KeyedLimiter
from services.ingest import replies
from services.ingest.admission import Admission
from services.ingest.domain import Authenticator
from services.ingest.receive import Inbound
from services.ingest.settings import Settings
from services.ingest.tls import CertificateFiles

_KEYS = 100_000


@dataclass(frozen=True, slots=True)
class Parts:
    """What the edge hands its mail to. `tls` is None where STARTTLS is not offered."""

    accounts: Accounts
    authenticator: Authenticator
    inbound: Inbound
    tls: CertificateFiles | None
    clock: Clock


class Connection(Protocol):
    """What the site needs to know of a connection."""

    deadline: float

    @property
    def waits_for_command(self) -> bool:
        """Whether nothing is under way."""

    def expire(self) -> None:
        """End the present wait."""


class Site:
    """The MX of one process."""

    def __init__(self, settings: Settings, parts: Parts) -> None:
        """Divide what is for the whole service by the number of workers."""
        room = settings.admission_bytes // settings.workers
        self.settings = settings
        self.parts = parts
        self.admission = Admission(room, room * settings.client_share_percent // 100)
        self.connections: set[Connection] = set()
        self.closing = False
        self._empty = asyncio.Event()
        self._exempt = [ipaddress.ip_network(network) for network in settings.exempt_networks]
        self._at_once = KeyedGauge(settings.connections_per_client, _KEYS)
        self._connects = KeyedLimiter(settings.connects_per_minute, 60.0, _KEYS, parts.clock)
        self._unknown = KeyedLimiter(settings.unknown_per_hour, 3600.0, _KEYS, parts.clock)

    def client_key(self, address: str) -> str:
        """Return what a client is counted under; "" for one that is not."""
        parsed = ipaddress.ip_address(address)
        if any(parsed in network for network in self._exempt):
            return ""
        if parsed.version == 6:
            return str(ipaddress.ip_network((parsed, 64), strict=False).network_address)
        return address

    def admit(self, key: str, lifetime: ExitStack) -> str:
        """Count a new connection for as long as `lifetime` lasts; return the reply that refuses it, or ""."""
        if self.closing:
            return replies.CLOSING
        if len(self.connections) >= self.settings.max_connections:
            return replies.BUSY
        if not key:
            return ""
        if self._connects.allow(key) > 0:
            return replies.TOO_FAST
        try:
            lifetime.enter_context(self._at_once.hold(key))
        except ExhaustedError:
            return replies.TOO_MANY_CONNECTIONS
        return ""

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
