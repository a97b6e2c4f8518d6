"""What the transport takes: the settings of the service that concern it, and the bounds that RFCs and sense give."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


class TransportSettings(Protocol):
    """The part of the service's settings that is looked at here; see services.delivery.settings for the meanings."""

    @property
    def hostname(self) -> str: ...
    @property
    def resolvers(self) -> tuple[str, ...]: ...
    @property
    def mx_port(self) -> int: ...
    @property
    def smarthost(self) -> str: ...
    @property
    def allowed_networks(self) -> tuple[str, ...]: ...
    @property
    def fetch_ports(self) -> tuple[int, ...]: ...
    @property
    def ca_file(self) -> str: ...
    @property
    def per_destination(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Patience:
    """Longest waits in seconds. The defaults of the commands are those of RFC 5321 4.5.3.2.

    `attempt` bounds a whole `send`, so its caller must hold on to the mail for longer than that.
    """

    attempt: float = 1500.0
    slot: float = 60.0
    dns: float = 10.0
    connect: float = 30.0
    greeting: float = 300.0
    hello: float = 300.0
    handshake: float = 60.0
    mail: float = 300.0
    rcpt: float = 300.0
    data: float = 120.0
    block: float = 180.0
    content: float = 600.0
    policy: float = 10.0
    close: float = 2.0


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of everything.

    `pause_*`: seconds for which a destination that does not answer is left alone, at first and at most.
    """

    hosts: int = 10
    addresses_per_host: int = 4
    connects_per_attempt: int = 8
    recipients_per_transaction: int = 100
    mails_per_connection: int = 100
    idle_seconds: float = 10.0
    idle_connections: int = 200
    remembered: int = 10_000
    pause_first: float = 10.0
    pause_most: float = 600.0


@dataclass(frozen=True, slots=True)
class Tuning:
    """Both, for tests to shorten."""

    patience: Patience = Patience()
    bounds: Bounds = Bounds()
