"""Charges what was granted, day by day, once each.

Six hours after a day's end nothing of it is given back any more (counts.RETURNED_WITHIN), so its count stands. It is
told to metering under an id made of account, meter and day, and then the document says which day is next. Whoever dies
in between, or does it at the same time, tells the same once more, and metering counts it once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from libs.docstore.fields import number, text
from libs.docstore.store import Document, Patch, Query, Store
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import NotFoundError, SealpostError
from libs.telemetry.logs import get_logger
from services.billing.allowance.counts import GRANTS, charged, first_open, month_of, settles
from services.billing.allowance.model import Recorder
from services.billing.domain.model import DAY
from services.billing.metering.intake import Use

# At most 31 days of two meters each: within what metering takes at once.
_PAGE = 200
_PAUSE = 60.0
_log = get_logger(__name__)


class Settling:
    """Charges the days of `store`, opened with GRANTS."""

    def __init__(self, store: Store, recorder: Recorder, clock: Clock) -> None:
        """Take where grants are counted, and who counts uses."""
        self._store = store
        self._recorder = recorder
        self._clock = clock

    async def step(self) -> bool:
        """Charge the days of some documents; return whether there may be more. Raises: SealpostError."""
        now = unix_seconds(self._clock)
        page = await self._store.find(Query(GRANTS, "settle", upper=now, limit=_PAGE))
        if not page:
            return False
        await self._recorder.take([use for document in page for use in _uses(document, now)])
        done = [Patch(GRANTS, document.key, {"settle": _next(document, now)}) for document in page]
        for result in await self._store.write_many(done):
            # Erased meanwhile.
            if isinstance(result, Exception) and not isinstance(result, NotFoundError):
                raise result
        return len(page) == _PAGE

    async def run(self) -> None:
        """Charge for ever, what is due each minute."""
        while True:
            try:
                while await self.step():
                    pass
            except SealpostError as error:
                _log.warning("allowances_not_charged", reason=error.reason)
            await asyncio.sleep(_PAUSE)


def _uses(document: Document, now: int) -> Sequence[Use]:
    account_id = text(document.body, "account")
    uses = []
    for day in range(first_open(document.body) or 0, _upto(document, now)):
        for meter, units in charged(document.body, day).items():
            uses.append(Use(f"granted/{account_id}/{meter}/{day}", account_id, meter, day, units))
    return uses


def _upto(document: Document, now: int) -> int:
    """Return the first day that is not charged at `now`."""
    first = first_open(document.body) or 0
    end = month_of(first).next_first
    due = max(0, now - number(document.body, "settle")) // DAY + 1
    return min(end, first + due)


def _next(document: Document, now: int) -> int | None:
    upto = _upto(document, now)
    return settles(upto) if upto < month_of(first_open(document.body) or 0).next_first else None
