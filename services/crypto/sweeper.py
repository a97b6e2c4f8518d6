"""Destroys the keys of public days whose time has come, and wraps keys anew after the key-encryption key has changed.

In bounded batches with a breath between them, so that sealing never waits for it. Every process sweeps; two that meet
at one key do no harm, for destroying is idempotent and wrapping anew is conditional on the version.
"""

from __future__ import annotations

import asyncio

from libs.runtime.errors import SealpostError
from libs.telemetry import metrics
from libs.telemetry.logs import get_logger
from services.crypto.domain.keys import DataKeys

_DESTROYED = metrics.counter(
    "sealpost_crypto_day_keys_destroyed_total", "Keys of public days destroyed by the sweeper."
)
_REWRAPPED = metrics.counter("sealpost_crypto_keys_rewrapped_total", "Data keys wrapped under a newer key.")
_FAILED = metrics.counter("sealpost_crypto_sweeps_failed_total", "Sweeps that failed and are tried again.")

_BREATH_SECONDS = 0.05

_log = get_logger("sweeper")


class Sweeper:
    """The task that ends keys in time."""

    def __init__(self, keys: DataKeys, interval: float, batch: int) -> None:
        """Look every `interval` seconds, handle at most `batch` keys at a time."""
        self._keys = keys
        self._interval = interval
        self._batch = batch

    async def run(self) -> None:
        """Sweep until cancelled; a failure waits for the next look."""
        while True:
            try:
                await self.sweep()
            except SealpostError as error:
                _FAILED.inc()
                _log.warning("sweep_failed", error=error)
            await asyncio.sleep(self._interval)

    async def sweep(self) -> None:
        """Do all that is due now."""
        destroyed = rewrapped = failed = 0
        while (count := await self._keys.sweep(self._batch)) > 0:
            destroyed += count
            _DESTROYED.inc(count)
            await asyncio.sleep(_BREATH_SECONDS)
        while True:
            done, failed = await self._keys.rewrap(self._batch)
            rewrapped += done
            _REWRAPPED.inc(done)
            if not done:
                break
            await asyncio.sleep(_BREATH_SECONDS)
        if destroyed or rewrapped or failed:
            _log.info("swept", deleted=destroyed, count=rewrapped, failed=failed)
