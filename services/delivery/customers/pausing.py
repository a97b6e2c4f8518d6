"""Tells accounts that their sending is paused: what happened, what that means, what to do."""

from __future__ import annotations

from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import SealpostError, UnavailableError
from libs.telemetry.logs import get_logger
from services.delivery.customers.standing import Standing, Standings
from services.delivery.domain.limits import per_mille, total
from services.delivery.domain.ports import Letters, PlatformLetter

_AT_ONCE = 20
_AGAIN_SECONDS = 300

_log = get_logger("pausing")


class PauseNotices:
    """Sends the letters that are due."""

    def __init__(self, standings: Standings, letters: Letters, clock: Clock) -> None:
        """Take who is paused, and how they are told."""
        self._standings = standings
        self._letters = letters
        self._clock = clock

    async def send(self) -> int:
        """Send at most 20 that are due; return how many there were. One that cannot be sent is tried again later."""
        due = await self._standings.due_notices(_AT_ONCE)
        for standing in due:
            again = 0
            try:
                await self._letters.send(letter_of(standing))
            except UnavailableError as error:
                again = unix_seconds(self._clock) + _AGAIN_SECONDS
                _log.warning("notice_failed", error=error)
            except SealpostError as error:
                # The account is gone, or takes no mail: there is nobody to tell.
                _log.warning("notice_dropped", error=error)
            await self._standings.told(standing, again)
        return len(due)


def letter_of(standing: Standing) -> PlatformLetter:
    """Return the letter that tells an account why it is paused."""
    settled, bounced, complained = total(standing.ring)
    count = complained if standing.paused == "complaints" else bounced
    fields = {
        "reason": standing.paused,
        "settled": f"{settled:,}",
        "count": f"{count:,}",
        "percent": f"{per_mille(count, settled) / 10:g}",
    }
    return PlatformLetter(standing.notice_id, standing.account_id, "service", "sending_paused", fields)
