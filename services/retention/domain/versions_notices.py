"""Tells everybody affected of a version, each exactly once, from wherever the telling was left off.

accounts knows who has not been told; so much of them as fits a batch is written to and then marked as told. Whoever
dies between the two writes again, under the same id of the letter, and delivery sends one. The time of notice counts
from the marking: from there on the portal shows the banner, also to those who cannot be written to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from libs.runtime.errors import SealpostError
from libs.telemetry import metrics
from libs.telemetry.logs import get_logger
from services.retention.domain.ports import TrustedTime
from services.retention.domain.versions import Letter, Letters, Marking, NoticeBook, PolicyVersion, notice_id

LETTER = "policy_change"
_BATCH = 200
_BATCHES = 10
_AT_ONCE = 16

_log = get_logger("notices")
_TOLD = metrics.counter(
    "sealpost_retention_notices_total", "Accounts told of a policy version.", {"how": ("mail", "banner")}
)


@dataclass(frozen=True)
class Periods:
    """Of the version in force: how long notice is given, and how long old terms last for who refuses, in seconds."""

    notice: int
    refusal: int


class Notices:
    """Tells accounts."""

    def __init__(self, book: NoticeBook, letters: Letters, time: TrustedTime) -> None:
        """Use the accounts' book, and letters."""
        self._book = book
        self._letters = letters
        self._time = time

    async def step(self, version: PolicyVersion, periods: Periods) -> int:
        """Tell at most some thousands; return when the last of them was told, 0 where nobody was left.

        Raises: UnavailableError, after whoever could be told has been.
        """
        last = 0
        if not version.noticed_at:
            last = self._time.now()
            await self._book.mark(_marking(version, periods, last), ())
        for _ in range(_BATCHES):
            accounts = await self._book.unnoticed(version.number, version.profiles, _BATCH)
            if not accounts:
                break
            last = await self._tell(version, accounts, periods)
        return last

    async def _tell(self, version: PolicyVersion, accounts: Sequence[str], periods: Periods) -> int:
        now = self._time.now()
        marking = _marking(version, periods, now)
        fields = {
            "version": str(version.number),
            "effective": _day(marking.effective),
            "old_terms_until": _day(marking.old_terms_until),
            "from": str(version.replaces),
        }
        slots = asyncio.Semaphore(_AT_ONCE)

        async def write_to(account_id: str) -> bool:
            async with slots:
                letter = Letter(notice_id("policy", version.number, account_id), account_id, LETTER, fields)
                return await self._letters.send(letter)

        results = await asyncio.gather(*map(write_to, accounts), return_exceptions=True)
        told = [one for one, result in zip(accounts, results, strict=True) if not isinstance(result, BaseException)]
        if told:
            await self._book.mark(marking, told)
            mailed = sum(result is True for result in results)
            _TOLD.inc(mailed, how="mail")
            _TOLD.inc(len(told) - mailed, how="banner")
        for result in results:
            if isinstance(result, BaseException):
                if isinstance(result, SealpostError):
                    _log.warning("notice_not_sent", error=result)
                raise result
        return now


def _marking(version: PolicyVersion, periods: Periods, now: int) -> Marking:
    effective = now + periods.notice
    return Marking(version.number, version.profiles, now, effective, effective + periods.refusal)


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
