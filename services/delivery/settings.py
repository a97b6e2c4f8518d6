"""Every knob of this service; the defaults suit the local platform."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from libs.runtime.secret import Secret
from libs.runtime.settings import CommonSettings, SettingsError, setting
from services.delivery.domain.limits import Allowance, LimitRules
from services.delivery.domain.schedule import PAUSES

_DAY = 86400
_MIB = 1024 * 1024
_HOSTNAME = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*\Z"
)


@dataclass(frozen=True, kw_only=True)
class Settings(CommonSettings):
    """SEALPOST_* of the delivery service."""

    kek: Secret[str] = setting(
        help="key-encryption key: 64 hexadecimal digits, or lines of version:digits, the highest version wraps"
    )
    lookup_key: Secret[bytes] = setting(help="key of look-up hashes and of return paths, 32 bytes")

    hostname: str = setting("mx.sealpost.test", help="name in EHLO, Received and reports")
    bounce_domain: str = setting("bounces.sealpost.test", help="domain of the return paths of outgoing mail")
    public_url: str = setting("http://127.0.0.1:8080", help="where browsers find this installation, for links in mails")

    resolvers: tuple[str, ...] = setting((), help="DNS servers, address or address:port; empty: the system's")
    mx_port: int = setting(25, low=1, high=65535, help="port of the mail servers of the world")
    smarthost: str = setting(
        "", help="host:port that all mail for elsewhere goes through; empty: to the MX of each domain"
    )
    allowed_networks: tuple[str, ...] = setting(
        (), help="private and loopback networks that mail servers, webhooks and policies may be in; all else is refused"
    )
    fetch_ports: tuple[int, ...] = setting((443,), help="ports of webhooks and policies")
    ca_file: str = setting("", help="certificates trusted besides the system's, PEM")

    max_concurrency: int = setting(200, low=1, high=10_000, help="mails under way at once")
    max_held_mails: int = setting(5_000, low=1, help="mails in memory at once, under way or waiting for their turn")
    max_held_bytes: int = setting(128 * _MIB, low=_MIB, help="content of these mails in memory, in bytes")
    max_message_bytes: int = setting(50 * _MIB, low=64 * 1024, high=64 * _MIB, help="largest mail")
    per_destination: int = setting(20, low=1, high=1000, help="transactions at once with one domain")
    lease_seconds: float = setting(
        300.0, low=5, high=3600, help="how long a mail belongs to the process that has begun it; it renews this in time"
    )
    poll_seconds: float = setting(1.0, low=0.05, high=60, help="longest time between two looks for mail that is due")
    retry_seconds: tuple[int, ...] = setting(
        PAUSES, help="seconds between the attempts at a mail, each give or take a little; the last one repeats"
    )
    delay_notice_seconds: int = setting(
        4 * 3600, low=1, high=5 * _DAY, help="seconds after which the sender is told that a mail still waits"
    )
    route_cache_seconds: float = setting(5.0, low=0, high=60, help="how long an address of ours is remembered")

    forward_hold_seconds: int = setting(
        5, low=0, high=60, help="how long a forwarded copy waits, in which the MX can still take it back"
    )
    forward_per_day: int = setting(1000, low=1, help="mails of one account that are forwarded in a day")

    member_per_message: int = setting(100, low=1, high=1000, help="recipients of one mail of a member")
    member_per_day: int = setting(500, low=1, help="recipients of a member in a day, from the tenth day on")
    member_per_minute: int = setting(60, low=1, help="recipients of a member in a minute, per process")
    relay_per_message: int = setting(1000, low=1, high=1000, help="recipients of one mail of a relay account")
    relay_per_day: int = setting(50_000, low=1, help="recipients of a relay account in a day, from the tenth day on")
    relay_per_minute: int = setting(3000, low=1, help="recipients of a relay account in a minute, per process")

    def limit_rules(self) -> LimitRules:
        """Return what accounts may send."""
        return LimitRules(
            member=Allowance(self.member_per_message, self.member_per_day, self.member_per_minute),
            relay=Allowance(self.relay_per_message, self.relay_per_day, self.relay_per_minute),
        )

    def __post_init__(self) -> None:
        """Check what one field alone does not show. Raises: SettingsError."""
        faults = [
            f"SEALPOST_{name.upper()}: must be a host name"
            for name in ("hostname", "bounce_domain")
            if not _HOSTNAME.match(getattr(self, name))
        ]
        if not self.public_url.startswith(("http://", "https://")):
            faults.append("SEALPOST_PUBLIC_URL: must be a URL")
        host, _, port = self.smarthost.rpartition(":")
        if self.smarthost and not (host and port.isascii() and port.isdigit() and 0 < int(port) < 65536):
            faults.append("SEALPOST_SMARTHOST: must be host:port")
        faults += [fault for network in self.allowed_networks for fault in _network_faults(network)]
        if not self.retry_seconds or min(self.retry_seconds) < 1:
            faults.append("SEALPOST_RETRY_SECONDS: must be at least one number, none below 1")
        if self.max_held_mails < self.max_concurrency:
            faults.append("SEALPOST_MAX_HELD_MAILS: must not be less than SEALPOST_MAX_CONCURRENCY")
        if faults:
            raise SettingsError(faults)


def _network_faults(network: str) -> list[str]:
    try:
        ipaddress.ip_network(network)
    except ValueError:
        return ["SEALPOST_ALLOWED_NETWORKS: must be networks, address/length"]
    return []
