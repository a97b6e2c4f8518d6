"""Wraps keys anew after the key-encryption key has changed, and pays the compaction that every destruction owes.

In bounded batches with a breath between them, so that sealing never waits for it. Every process looks; two that meet
at one key do no harm, for wrapping anew is conditional on the version. Keys whose time has come are destroyed when
retention asks (held.py).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

from libs.runtime.errors import SealpostError
from libs.telemetry import metrics
from libs.telemetry.logs import get_logger
from services.crypto.domain.dkim import DkimKeys
from services.crypto.domain.keys import DataKeys
from services.crypto.domain.mail_keys import MailKeys

_REWRAPPED = metrics.counter("sealpost_crypto_keys_rewrapped_total", "Data keys wrapped under a newer key.")
_FAILED = metrics.counter("sealpost_crypto_sweeps_failed_total", "Sweeps that failed and are tried again.")

_BREATH_SECONDS = 0.05

_log = get_logger("sweeper")


class KeyFamily(Protocol):
    """Keys of one kind, wrapped under the key-encryption key."""

    async def rewrap(self, limit: int) -> tuple[int, int]:
        """Wrap at most `limit` keys under the newest key-encryption key; return how many were, and how many failed."""


@dataclass(frozen=True)
class KeyFamilies:
    """All keys that are kept here."""

    data: DataKeys
    mail: MailKeys
    dkim: DkimKeys


class Sweeper:
    """The task that keeps wrappings new and files without what is gone."""

    def __init__(self, keys: KeyFamilies, interval: float, batch: int) -> None:
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
        rewrapped = failed = 0
        for family in (self._keys.data, self._keys.mail, self._keys.dkim):
            counts = await self._rewrap(family)
            rewrapped, failed = rewrapped + counts[0], failed + counts[1]
        if rewrapped:
            # The old wrappings go from the files, too.
            self._keys.data.compaction.owe()
        await self._keys.data.compaction.pay()
        if rewrapped or failed:
            _log.info("swept", count=rewrapped, failed=failed)

    async def _rewrap(self, family: KeyFamily) -> tuple[int, int]:
        rewrapped = 0
        while True:
            done, failed = await family.rewrap(self._batch)
            if not done:
                return rewrapped, failed
            rewrapped += done
            _REWRAPPED.inc(done)
            await asyncio.sleep(_BREATH_SECONDS)
