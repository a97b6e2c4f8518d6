"""The knobs of the MX and of submission.

The defaults suit the local platform; limits are for each worker where the help says so.
"""

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
    """What the MX and submission take."""

    smtp_address: str = setting("127.0.0.1:2525", help="listen address for mail, host:port; IPv6 in brackets")
    submission_address: str = setting(
        "", help="listen address for submission with STARTTLS (RFC 6409), host:port; empty: not offered"
    )
    submissions_address: str = setting(
        "", help="listen address for submission over TLS from the start (RFC 8314), host:port; empty: not offered"
    )
    smtp_tls_dir: str = setting("", help="directory of tls.crt and tls.key; empty: no STARTTLS, and no submission")
    hostname: str = setting(
        "mx.sealpost.test", help="name in greeting and Received, and the id in Authentication-Results"
    )
    bounce_domain: str = setting("", help="domain of return paths, whose mail goes to delivery; empty: none is taken")
    workers: int = setting(2, low=1, high=64, help="processes that share the port")

    max_message_bytes: int = setting(50 * MIB, low=64 * 1024, high=64 * MIB, help="largest mail")
    max_recipients: int = setting(100, low=100, high=1000, help="recipients of one mail (RFC 5321 wants at least 100)")
    relay_recipients: int = setting(
        1000, low=100, high=1000, help="recipients of one mail that a relay account submits"
    )
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
    connections_per_account: int = setting(
        50, low=1, help="connections at once that one account has signed in on, for each worker"
    )
    messages_per_minute: int = setting(60, low=1, help="mails per minute that a member submits, for each worker")
    relay_messages_per_minute: int = setting(
        3000, low=1, help="mails per minute that a relay account submits, for each worker"
    )
    wrong_proofs_per_client: int = setting(
        30, low=1, help="wrong passwords from one client in ten minutes, for each worker"
    )
    wrong_proof_seconds: float = setting(
        1.0, low=0, high=30, help="how long a refused AUTH takes at least, whatever is wrong with it"
    )
    proof_seconds: float = setting(
        60.0, low=0, high=3600, help="how long a password that was right is believed within one connection"
    )
    exempt_networks: tuple[str, ...] = setting(
        ("127.0.0.0/8", "::1/128"),
        help="clients without limits on connections, unknown recipients, wrong passwords and their share",
    )

    idle_seconds: float = setting(300.0, low=0.1, help="longest wait for a command (RFC 5321 4.5.3.2.7: 5 minutes)")
    data_seconds: float = setting(900.0, low=0.1, help="longest time for the data of one mail")
    session_seconds: float = setting(3600.0, low=0.1, help="longest connection; a mail under way is finished")

    route_cache_seconds: float = setting(
        5.0, low=0, help="how long a known recipient or an allowed sender is remembered"
    )
    route_unknown_seconds: float = setting(
        1.0, low=0, help="how long an unknown recipient or a refused sender is remembered"
    )

    authentication_seconds: float = setting(5.0, low=0, high=60, help="longest time for SPF, DKIM and DMARC; 0: off")
    max_signatures: int = setting(5, low=1, high=20, help="DKIM signatures looked at in one mail")
    resolvers: tuple[str, ...] = setting((), help="DNS servers, address or address:port; empty: the system's")

    def __post_init__(self) -> None:
        """Check what one field alone does not show. Raises SettingsError."""
        faults = [
            *([] if _HOSTNAME.match(self.hostname) else ["SEALPOST_HOSTNAME: must be a host name"]),
            *([] if _is_address(self.smtp_address) else ["SEALPOST_SMTP_ADDRESS: must be host:port"]),
            *_submission_faults("SUBMISSION_ADDRESS", self.submission_address, self.smtp_tls_dir),
            *_submission_faults("SUBMISSIONS_ADDRESS", self.submissions_address, self.smtp_tls_dir),
            *([] if _is_domain(self.bounce_domain) else ["SEALPOST_BOUNCE_DOMAIN: must be a host name or empty"]),
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


def _is_domain(name: str) -> bool:
    return not name or _HOSTNAME.match(name) is not None


def _submission_faults(name: str, address: str, tls_dir: str) -> list[str]:
    if not address:
        return []
    if not _is_address(address):
        return [f"SEALPOST_{name}: must be host:port or empty"]
    return [] if tls_dir else [f"SEALPOST_{name}: needs SEALPOST_SMTP_TLS_DIR"]


def _network_faults(network: str) -> list[str]:
    try:
        ipaddress.ip_network(network)
    except ValueError:
        return ["SEALPOST_EXEMPT_NETWORKS: must be networks, address/length"]
    return []
