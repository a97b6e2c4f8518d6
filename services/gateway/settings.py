"""What an operator can set on the gateway."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from libs.net.addresses import parse_networks
from libs.net.dns import make_resolver
from libs.runtime.settings import CommonSettings, SettingsError, setting

_MIB = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Settings(CommonSettings):
    """Settings of the gateway; see CommonSettings for the rest."""

    http_address: str = setting(default="127.0.0.1:8080", help="where HTTP is served")
    public_url: str = setting(
        default="",
        help="scheme and host that browsers see, e.g. https://mail.example.org; empty: the Host header counts",
    )
    trusted_proxies: tuple[str, ...] = setting(
        default=(), help="addresses or networks of reverse proxies whose X-Forwarded-For is believed"
    )
    web_dir: Path = setting(
        default=Path(__file__).resolve().parent / "web" / "dist", help="the built page; absent: only the API is served"
    )
    name: str = setting(default="sealpost", help="what this installation calls itself")
    max_message_bytes: int = setting(default=50 * _MIB, low=1024, help="largest mail accepted, as ingest is told")

    submission_host: str = setting(
        default="", help="where mail programs hand in mail, as they are told; empty: they are told nothing"
    )
    submission_port: int = setting(default=587, low=1, high=65535, help="its port with STARTTLS, as seen from outside")
    submissions_port: int = setting(default=465, low=1, high=65535, help="its port over TLS, as seen from outside")

    requests_per_minute: int = setting(default=1200, low=1, help="requests per client address and minute")
    public_per_minute: int = setting(default=600, low=1, help="looks into public inboxes per client address and minute")
    proofs_per_minute: int = setting(
        default=30, low=1, help="sign-ins, recoveries and parameter look-ups per client address and minute"
    )
    proofs_per_address: int = setting(
        default=60, low=1, help="sign-ins, recoveries and parameter look-ups for one mail address and minute"
    )
    sign_ups_per_hour: int = setting(default=60, low=1, help="sign-ups per client address and hour")
    streams_per_client: int = setting(default=20, low=1, help="live streams open at once per client address")
    downloads_per_client: int = setting(default=8, low=1, help="bodies handed out at once per client address")
    connections_per_client: int = setting(default=200, low=1, help="connections open at once per client address")
    max_connections: int = setting(default=2000, low=1, high=100_000, help="connections open at once in all")
    max_body_bytes: int = setting(default=256 * 1024, low=80 * 1024, help="largest request body, in bytes")
    upload_memory_bytes: int = setting(
        default=128 * _MIB, low=_MIB, help="memory for mails that are being brought, in bytes; more has to wait"
    )
    uploads_per_client: int = setting(default=8, low=1, help="mails brought at once per client address")
    recipients_per_minute: int = setting(default=600, low=50, help="addresses looked up per account and minute")
    body_memory_bytes: int = setting(
        default=224 * _MIB, low=_MIB, help="memory for bodies of mails being handed out, in bytes; more has to wait"
    )

    resolvers: tuple[str, ...] = setting(
        default=(),
        help="DNS servers for key directories of other domains, address or address:port; empty: the system's",
    )
    allowed_networks: tuple[str, ...] = setting(
        default=(), help="networks that key directories may be in although they are not public"
    )
    fetch_ports: tuple[int, ...] = setting(
        default=(443,), low=1, high=65535, help="port that key directories are asked at; 443 outside of tests"
    )
    ca_file: str = setting(default="", help="certificates of authorities trusted by key look-ups, besides the system's")

    call_timeout: timedelta = setting(
        default=timedelta(seconds=10), low=0.1, high=60, help="deadline of a call to another service, in seconds"
    )
    heartbeat: timedelta = setting(
        default=timedelta(seconds=15), low=0.05, high=60, help="pause between heartbeats of a live stream, in seconds"
    )
    stream_check: timedelta = setting(
        default=timedelta(seconds=60),
        low=0.05,
        high=600,
        help="seconds after which a live stream looks whether its session or key is still valid",
    )
    head_timeout: timedelta = setting(
        default=timedelta(seconds=15), low=0.1, high=120, help="seconds until the header of a request has arrived"
    )
    body_timeout: timedelta = setting(
        default=timedelta(seconds=30),
        low=0.1,
        high=600,
        help="seconds until the body of a request, or a piece of a mail, has arrived",
    )
    upload_timeout: timedelta = setting(
        default=timedelta(seconds=900), low=0.1, high=3600, help="seconds until a whole mail has arrived"
    )

    @property
    def max_upload_bytes(self) -> int:
        """The largest request that carries a mail: armoured, or in base64, with what goes around it."""
        return self.max_message_bytes * 7 // 5 + _MIB

    def __post_init__(self) -> None:
        """Check what a wrong value would only show much later. Raises: SettingsError."""
        url = self.public_url.rstrip("/")
        scheme, _, host = url.partition("://")
        if url and (scheme not in ("http", "https") or not host or set(host) & set("/?#@ ")):
            raise SettingsError(["SEALPOST_PUBLIC_URL: expected http://host or https://host, without a path"])
        if not self.fetch_ports:
            raise SettingsError(["SEALPOST_FETCH_PORTS: expected a port"])
        try:
            parse_networks(self.allowed_networks)
            make_resolver(self.resolvers)
        except ValueError:
            raise SettingsError(
                ["SEALPOST_ALLOWED_NETWORKS, SEALPOST_RESOLVERS: expected networks, and addresses of servers"]
            ) from None
