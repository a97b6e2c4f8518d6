"""How often and how much one client may ask; everything here is bounded, and forgotten within the window.

Counted are clients (their addresses, see `clients`) and, for proofs, also the address that somebody claims to be: a
guess spread over many clients still meets a limit. The counters keep keyed hashes only (libs.runtime.limits).
accounts counts wrong proofs for itself, over longer windows; the limits here keep what is cheap to ask from being
asked without end.
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.runtime.clock import Clock
from libs.runtime.errors import ExhaustedError
from libs.runtime.limits import KeyedGauge, KeyedLimiter
from services.gateway.settings import Settings

_CAPACITY = 100_000


@dataclass(frozen=True)
class Limits:
    """The limits of one process. Rates: requests, proofs, sign-ups, looks into public inboxes; by claimed address:
    targets; by account: addresses looked up. At once: streams, downloads and uploads."""

    requests: KeyedLimiter
    proofs: KeyedLimiter
    sign_ups: KeyedLimiter
    public: KeyedLimiter
    targets: KeyedLimiter
    recipients: KeyedLimiter
    streams: KeyedGauge
    downloads: KeyedGauge
    uploads: KeyedGauge

    def target(self, address: str) -> None:
        """Count a proof claimed for `address`, in whatever spelling; ExhaustedError("too_many_attempts")."""
        local, at, domain = address.strip().casefold().rpartition("@")
        spend(self.targets, local.partition("+")[0] + at + domain, "too_many_attempts")


def make_limits(settings: Settings, clock: Clock) -> Limits:
    """Return the limits that the settings ask for."""
    return Limits(
        requests=KeyedLimiter(settings.requests_per_minute, 60.0, _CAPACITY, clock),
        proofs=KeyedLimiter(settings.proofs_per_minute, 60.0, _CAPACITY, clock),
        sign_ups=KeyedLimiter(settings.sign_ups_per_hour, 3600.0, _CAPACITY, clock),
        public=KeyedLimiter(settings.public_per_minute, 60.0, _CAPACITY, clock),
        targets=KeyedLimiter(settings.proofs_per_address, 60.0, _CAPACITY, clock),
        recipients=KeyedLimiter(settings.recipients_per_minute, 60.0, _CAPACITY, clock),
        streams=KeyedGauge(settings.streams_per_client, _CAPACITY),
        downloads=KeyedGauge(settings.downloads_per_client, _CAPACITY),
        uploads=KeyedGauge(settings.uploads_per_client, _CAPACITY),
    )


def spend(limiter: KeyedLimiter, key: str, reason: str = "rate", weight: int = 1) -> None:
    """Count one, or `weight`; ExhaustedError(`reason`) with the seconds to wait where that is over the limit."""
    wait = limiter.allow(key, weight)
    if wait > 0:
        raise ExhaustedError(reason, retry_after=wait)
