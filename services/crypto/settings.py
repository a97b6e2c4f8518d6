"""What crypto takes from its environment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from libs.runtime.secret import Secret
from libs.runtime.settings import CommonSettings, setting


@dataclass(frozen=True, kw_only=True)
class Settings(CommonSettings):
    """The settings of crypto."""

    kek: Secret[str] = setting(
        help="key-encryption key, 32 bytes in hexadecimal digits; while one is rotated, lines of version:key"
    )
    lookup_key: Secret[bytes] = setting(help="key of the look-up hashes, 32 bytes in hexadecimal digits")
    certificate_cache: int = setting(4096, low=1, high=1_000_000, help="certificates held ready, about 5 KiB each")
    certificate_cache_time: timedelta = setting(
        timedelta(minutes=5), low=0, high=3600, help="how long a certificate is held, in seconds"
    )
    key_cache: int = setting(
        4096, low=1, high=1_000_000, help="data keys of each kind held unwrapped, and domains whose DKIM keys are"
    )
    key_cache_time: timedelta = setting(
        timedelta(minutes=1),
        low=0,
        high=3600,
        help="how long a data key is held, in seconds; so long may another process use one that was destroyed here "
        "(not those of mails on their way out, which are never held)",
    )
    max_in_flight_bytes: int = setting(
        128 * 1024 * 1024,
        low=1024,
        help="plaintext taken on at once, in bytes; more is told to come back. Memory needed is about five times this",
    )
    sweep_interval: timedelta = setting(
        timedelta(minutes=1),
        low=0.01,
        high=86400,
        help="seconds between two looks for keys to destroy or to wrap anew; what was destroyed in between leaves the "
        "files then",
    )
    sweep_batch: int = setting(100, low=1, high=1000, help="keys destroyed or wrapped anew at a time")
