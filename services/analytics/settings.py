"""What can be set of analytics."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from libs.runtime.secret import Secret
from libs.runtime.settings import CommonSettings, setting


@dataclass(frozen=True)
class Settings(CommonSettings):
    """Settings of analytics."""

    kek: Secret[str] = setting(
        help="key-encryption key of open windows: 64 hexadecimal digits, or version:digits lines"
    )
    hour_seconds: int = setting(3600, low=10, high=3600, help="length of the short window in seconds; divides 3600")
    grace: timedelta = setting(timedelta(minutes=3), help="how long after its end a window waits for late facts")
    lease: timedelta = setting(timedelta(seconds=15), help="how long a replica owns partitions without renewing")
    tick: timedelta = setting(timedelta(seconds=1), help="how often counts are committed")
    targets: tuple[str, ...] = setting(
        (), help="metrics addresses of all services, as name=host:port; names may repeat"
    )
