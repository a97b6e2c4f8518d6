"""Settings of the storage service."""

from __future__ import annotations

from dataclasses import dataclass

from libs.runtime.settings import CommonSettings, setting


@dataclass(frozen=True, kw_only=True)
class Settings(CommonSettings):
    """What storage takes beside the common settings."""

    max_body_bytes: int = setting(72 * 1024 * 1024, low=1024 * 1024, help="largest sealed body, in bytes")
    staging_streams: int = setting(64, low=1, high=1000, help="bodies that are staged at the same time")
    trim_seconds: float = setting(
        0.2, low=0.01, high=60, help="from a mail to a public inbox to its trimming, in seconds"
    )
    compact_seconds: float = setting(60.0, low=1, high=86400, help="longest time deleted data may stay in the log file")
