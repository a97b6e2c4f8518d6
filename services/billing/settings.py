"""Every knob of this service; the defaults suit the local platform."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from libs.runtime.secret import Secret
from libs.runtime.settings import CommonSettings, setting

_DAY = 86400
_NONE: Secret[str] = Secret("")


@dataclass(frozen=True, kw_only=True)
class Settings(CommonSettings):
    """SEALPOST_* of the billing service."""

    kek: Secret[str] = setting(
        help="key-encryption key: 64 hexadecimal digits, or lines of version:digits, the highest version wraps"
    )
    lookup_key: Secret[bytes] = setting(help="key of the hashes by which a counted event is known again, 32 bytes")
    catalogue: Path = setting(help="what is offered and what it costs, YAML")

    hold_seconds: int = setting(
        7 * _DAY, low=60, high=90 * _DAY, help="how long credits stay set aside for a job that nobody ends"
    )
    public_url: str = setting("http://127.0.0.1:8080", help="where browsers find this installation")
    stripe_key: Secret[str] = setting(_NONE, help="key of the payment provider Stripe; without it, by transfer")
    stripe_webhook_secret: Secret[str] = setting(_NONE, help="what Stripe signs its messages with")
    stripe_api_base: str = setting("", help="where Stripe is; empty: where its library says")
    upkeep_seconds: float = setting(
        30.0, low=0.1, high=3600, help="longest time between two looks for what billing has to do by itself"
    )
