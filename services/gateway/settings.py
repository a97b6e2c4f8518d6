"""What an operator can set on the gateway."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from libs.runtime.settings import CommonSettings, setting


@dataclass(frozen=True, kw_only=True)
class Settings(CommonSettings):
    """Settings of the gateway; see CommonSettings for the rest."""

    http_address: str = setting(default="127.0.0.1:8080", help="where HTTP is served")
    public_url: str = setting(
        default="",
        help="scheme and host that browsers see, e.g. https://mail.example.org; empty: the Host header counts",
    )
    trusted_proxies: tuple[str, ...] = setting(
        default=(), help="addresses of reverse proxies whose X-Forwarded-For is believed"
    )
    web_dir: Path = setting(
        default=Path(__file__).resolve().parent / "web" / "dist", help="the built page; absent: only the API is served"
    )
    name: str = setting(default="sealpost", help="what this installation calls itself")
    requests_per_minute: int = setting(default=1200, help="requests per client address and minute")
    proofs_per_minute: int = setting(
        default=30, help="sign-ins, recoveries and parameter look-ups per client and minute"
    )
    sign_ups_per_hour: int = setting(default=60, help="sign-ups per client address and hour")
    streams_per_client: int = setting(default=20, help="live streams open at once per client address")
    max_body_bytes: int = setting(default=256 * 1024, help="largest request body, in bytes")
    call_timeout: timedelta = setting(default=timedelta(seconds=10), help="deadline of a call to another service")
    heartbeat: timedelta = setting(default=timedelta(seconds=15), help="pause between heartbeats of a live stream")
    max_message_bytes: int = setting(
        default=50 * 1024 * 1024, help="largest mail accepted, as ingest is told; shown only"
    )
