"""The knobs of the MX. The defaults suit the local platform; limits are for each worker where the help says so."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from libs.runtime.settings import CommonSettings, SettingsError, setting

MIB = 1024 * 1024
_HOSTNAME = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*\Z"
)


@dataclass(frozen=True, kw_only=True)
class Settings(CommonSettings):
    """What the MX takes."""

    smtp_address: str = setting("127.0.0.1:2525", help="listen address for mail, host:port; IPv6 in brackets")
    smtp_tls_dir: str = setting("", help="directory of tls.crt and tls.key for STARTTLS; empty: not offered")
    hostname: str = setting(
        "mx.sealpost.test", help="name in greeting and Received, and the id in Authentication-Results"
    )
    workers: int = setting(2, low=1, high=64, help="processes that share the port")

    max_message_bytes: int = setting(50 * MIB, low=64 * 1024, high=64 * MIB, help="largest mail")
    max_recipients: int = setting(100, low=100, high=1000, help="recipients of one mail (RFC 5321 wants at least 100)")
    admission_bytes: int = setting(192 * MIB, low=MIB, help="mail in memory at once, all workers together")
    room_seconds: float = setting(
        180.0, low=0, high=240, help="how long a mail of declared size waits for that room before it is told 452"
    )
    client_share_percent: int = setting(50, low=1, high=100, help="part of that room for the mails of one client")

    max_connections: int = setting(1000, low=1, help="connections at once, for each worker")
    connections_per_client: int = setting(50, low=1, help="connections at once from one client, for each worker")
    connects_per_minute: int = setting(600, low=1, help="new connections per minute from one client, for each worker")
    unknown_per_hour: int = setting(200, low=1, help="unknown recipients per hour from one client, for each worker")
    max_errors: int = setting(20, low=1, help="refused commands in one connection, before it is closed")
    max_idle_commands: int = setting(100, low=1, help="commands other than MAIL, RCPT and DATA for each mail")
    exempt_networks: tuple[str, ...] = setting(
        ("127.0.0.0/8", "::1/128"), help="clients without limits on connections, unknown recipients and their share"
    )

    idle_seconds: float = setting(300.0, low=0.1, help="longest wait for a command (RFC 5321 4.5.3.2.7: 5 minutes)")
    data_seconds: float = setting(900.0, low=0.1, help="longest time for the data of one mail")
    session_seconds: float = setting(3600.0, low=0.1, help="longest connection; a mail under way is finished")

    route_cache_seconds: float = setting(5.0, low=0, help="how long a known recipient is remembered")
    route_unknown_seconds: float = setting(1.0, low=0, help="how long an unknown recipient is remembered")

    authentication_seconds: float = setting(5.0, low=0, high=60, help="longest time for SPF, DKIM and DMARC; 0: off")
    max_signatures: int = setting(5, low=1, high=20, help="DKIM signatures looked at in one mail")
    resolvers: tuple[str, ...] = setting((), help="DNS servers, address or address:port; empty: the system's")

    def __post_init__(self) -> None:
        """Check what one field alone does not show. Raises SettingsError."""
        faults = [
            *([] if _HOSTNAME.match(self.hostname) else ["SEALPOST_HOSTNAME: must be a host name"]),
            *([] if _is_address(self.smtp_address) else ["SEALPOST_SMTP_ADDRESS: must be host:port"]),
            *(fault for network in self.exempt_networks for fault in _network_faults(network)),
        ]
        if self.admission_bytes // self.workers < self.max_message_bytes:
            faults.append("SEALPOST_ADMISSION_BYTES: one worker's part must hold at least SEALPOST_MAX_MESSAGE_BYTES")
        if faults:
            raise SettingsError(faults)


def split_address(address: str) -> tuple[str, int]:
    """Return host and port of "host:port"; an IPv6 host stands in brackets."""
    host, _, port = address.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _is_address(address: str) -> bool:
    host, _, port = address.rpartition(":")
    return bool(host) and port.isascii() and port.isdigit() and int(port) < 65536


def _network_faults(network: str) -> list[str]:
    try:
        ipaddress.ip_network(network)
    except ValueError:
        return ["SEALPOST_EXEMPT_NETWORKS: must be networks, address/length"]
    return []
