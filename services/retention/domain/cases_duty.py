"""What happens to cases by themselves: they lapse, are closed, their subjects are told, and debts are settled.

A case that nobody approves in time lapses. An approved one that is left alone for as long is closed: a permission to
disclose does not lie about. The account's owner is told as soon as the order allows it, once, by a letter whose id
hangs on the case; from then on the page of the account shows it too, also to those who cannot be written to.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from libs.runtime.errors import ConflictError
from libs.telemetry.logs import get_logger
from services.retention.domain.cases import Case, CaseState, CaseStore
from services.retention.domain.cases_book import Cases, closed, lapsed, told
from services.retention.domain.ports import Numbers, TrustedTime
from services.retention.domain.versions import Letter, Letters, notice_id

LETTER = "disclosure"
_BATCH = 50

_log = get_logger("cases")


class CaseDuty:
    """What who leads does with cases."""

    def __init__(self, cases: Cases, store: CaseStore, letters: Letters, numbers: Numbers, time: TrustedTime) -> None:
        """Use what is given."""
        self._cases = cases
        self._store = store
        self._letters = letters
        self._numbers = numbers
        self._time = time

    async def step(self) -> None:
        """Do what is due, a bounded number of each. Raises: UnavailableError."""
        now = self._time.now()
        before = now - self._numbers.rule("case_lapse_seconds")
        for case in await self._store.idle(CaseState.OPEN, before, _BATCH):
            await self._put(lapsed(case, now))
        for state in (CaseState.APPROVED, CaseState.EXPORTED):
            for case in await self._store.idle(state, before, _BATCH):
                await self._put(closed(case, now))
        for case in await self._store.to_tell(now, _BATCH):
            await self._tell(case, now)
        for case in await self._store.owing(_BATCH):
            await self._cases.settle(case)

    async def _tell(self, case: Case, now: int) -> None:
        letter = Letter(notice_id("disclosure", case.case_id), case.subject.account_id, LETTER, _fields(case))
        await self._letters.send(letter)
        await self._put(told(case, now))

    async def _put(self, case: Case) -> None:
        try:
            await self._store.put(case)
        except ConflictError:
            # An officer was faster; what is due then is looked at in the next step.
            _log.info("case_changed")


def _fields(case: Case) -> Mapping[str, str]:
    days = {"decided": case.decided_at, "since": case.since, "until": case.until}
    fields = {name: datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d") for name, at in days.items()}
    return {**fields, "case": case.case_id, "legal_basis": case.legal_basis}
