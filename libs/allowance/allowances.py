"""Decides from memory whether an account may use something.

    allow ─▶ units leased and not used yet? ─▶ yes: taken, no more is done
                                             └▶ no: asked of billing for what is wanted, and some ahead; what other
                                                callers want of the same account meanwhile waits for the answer

A lease ends after minutes, and at midnight UTC, since allowances are of days. What is left of it is given back with the
next question about the account, or at the end of the process. So what a process can use beyond a plan is what it had
leased when the plan got smaller: at most 100 units of a meter, for ten minutes; and what plans fall short by is what
other processes hold ahead, at most a hundredth of the limit each (services/billing/allowance/grants.py).

While billing is away, a meter that is `open` goes on and its use is owed: at most MOST_OWED units of an account, told
to billing under a reference, so that they are charged once. A meter that is not fails: nobody sends on credit. What was
given back in a question that got no answer counts as used, for nobody knows whether it was heard.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol

from libs.runtime.batch import Batcher
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ExhaustedError, SealpostError, UnavailableError
from libs.runtime.ids import new_id
from libs.telemetry import metrics
from libs.telemetry.logs import get_logger

API_OPERATIONS = "api_operations"
SENDS = "sends"
MOST_OWED = 1000
UNSAID = -2

_DAY = 86400
_ACCOUNTS = 20_000
_LIMITS_SECONDS = 60.0
_REFUSED_SECONDS = 10
_BATCH = 500
_log = get_logger("allowance")
_ASKED = metrics.counter(
    "sealpost_allowance_asks_total",
    "Questions to billing about allowances, by what came of them.",
    {"outcome": ("granted", "refused", "away")},
)


@dataclass(frozen=True, slots=True)
class Account:
    """Whose use it is. `profile` as the policy names it; `mailbox_id` is "" where it is not known."""

    account_id: str
    profile: str
    mailbox_id: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a plan says of what is held; -1: no limit, UNSAID: other rules hold.

    `read_only`: nothing new is sent, for a bill is unpaid; `grace_until` (Unix seconds): it will be from then on.
    """

    storage_bytes: int
    addresses: int
    read_only: bool
    grace_until: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    """One item of Grant; see protos/billing/v1."""

    account: Account
    meter: str = ""
    wanted: int = 0
    returned: int = 0
    owed: int = 0
    day: int = 0
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it: units until a time, or why none; and what the plan says of what is held."""

    granted: int
    until: int
    refusal: str
    limits: Limits


class Granter(Protocol):
    """Billing."""

    async def grant(self, questions: Sequence[Question]) -> Sequence[Answer | Exception]:
        """Answer at most 500 questions, in order. Raises: UnavailableError."""


@dataclass(slots=True)
class _Lease:
    """What a process holds of one meter of an account."""

    left: int = 0
    until: int = 0
    day: int = 0
    # Until when it is known that there is no more, and why.
    refused_until: int = 0
    refusal: str = ""
    # Used while billing was away: not told yet, and told under a reference whose answer has not come.
    owed: int = 0
    owed_day: int = 0
    telling: tuple[int, int, str] | None = None
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)


class Allowances:
    """The leases of one process. For one event loop."""

    def __init__(self, granter: Granter, clock: Clock) -> None:
        """Ask `granter`."""
        self._clock = clock
        self._leases: OrderedDict[tuple[str, str], _Lease] = OrderedDict()
        self._accounts: dict[str, Account] = {}
        self._limits: OrderedDict[str, tuple[float, Limits]] = OrderedDict()
        self._batcher: Batcher[Question, Answer] = Batcher(
            granter.grant,
            max_items=_BATCH,
            max_weight=_BATCH,
            weigh=lambda question: 1,
            max_delay=0.0,
            concurrency=4,
            max_queued=20_000,
        )

    async def allow(self, account: Account, meter: str, units: int = 1, *, open_: bool = False) -> None:
        """Take units. Raises: ExhaustedError("allowance_used"), with the seconds until there are more;
        ExhaustedError("plan_lacks" | "read_only"); UnavailableError where billing is away and the meter is not `open_`.
        """
        lease = self._leases.get((account.account_id, meter))
        if lease is not None and lease.left >= units and lease.until > unix_seconds(self._clock):
            lease.left -= units
            return
        await self._ask(account, meter, units, open_)

    def give_back(self, account: Account, meter: str, units: int = 1) -> None:
        """Take back what was allowed and not used after all; what is not leased any more is lost."""
        lease = self._leases.get((account.account_id, meter))
        if lease is not None and lease.until > unix_seconds(self._clock):
            lease.left += units

    async def limits(self, account: Account) -> Limits | None:
        """Return what the plan says, at most a minute old; while billing is away what was known, None if nothing."""
        known = self._limits.get(account.account_id)
        if known is not None and known[0] > self._clock.monotonic():
            return known[1]
        try:
            return (await self._question(Question(account))).limits
        except SealpostError as error:
            _log.debug("limits_unknown", reason=error.reason)
            return known[1] if known is not None else None

    async def close(self) -> None:
        """Give back what is leased, as far as billing hears it, and end."""
        left = [(key, lease) for key, lease in self._leases.items() if lease.left or lease.owed or lease.telling]
        with suppress(SealpostError, TimeoutError):
            async with asyncio.timeout(5.0):
                asked = (self._exchange(self._accounts[key[0]], key[1], lease, 0) for key, lease in left)
                await asyncio.gather(*asked, return_exceptions=True)
        await self._batcher.close()

    async def _ask(self, account: Account, meter: str, units: int, open_: bool) -> None:
        lease = self._lease(account, meter)
        async with lease.asking:
            now = unix_seconds(self._clock)
            # Somebody else may have asked while this one waited.
            if lease.left >= units and lease.until > now:
                lease.left -= units
                return
            if lease.refused_until > now:
                raise _refused(lease.refusal, now)
            try:
                answer = await self._exchange(account, meter, lease, units)
            except UnavailableError:
                _ASKED.inc(outcome="away")
                untold = lease.owed + (lease.telling[0] if lease.telling is not None else 0)
                if not open_ or untold + units > MOST_OWED:
                    raise
                lease.owed, lease.owed_day = lease.owed + units, now // _DAY
                return
            if answer.refusal or answer.granted < units:
                _ASKED.inc(outcome="refused")
                lease.refusal, lease.refused_until = answer.refusal or "allowance_used", now + _REFUSED_SECONDS
                raise _refused(lease.refusal, now)
            _ASKED.inc(outcome="granted")
            lease.left, lease.until, lease.day = answer.granted - units, answer.until, now // _DAY

    async def _exchange(self, account: Account, meter: str, lease: _Lease, units: int) -> Answer:
        """Ask for units, giving back what is left. Raises: UnavailableError: what is owed is told again."""
        if lease.owed and lease.telling is None:
            lease.telling = (lease.owed, lease.owed_day, new_id())
            lease.owed = 0
        if lease.telling is not None:
            owed, day, reference = lease.telling
            told = Question(account, meter, owed=owed, day=day, reference=reference)
            await self._question(told)
            lease.telling = None
        returned, lease.left = lease.left, 0
        question = Question(account, meter, wanted=units, returned=returned, day=lease.day)
        return await self._question(question)

    async def _question(self, question: Question) -> Answer:
        answer = await self._batcher.submit(question)
        key = question.account.account_id
        self._limits[key] = (self._clock.monotonic() + _LIMITS_SECONDS, answer.limits)
        self._limits.move_to_end(key)
        if len(self._limits) > _ACCOUNTS:
            self._limits.popitem(last=False)
        return answer

    def _lease(self, account: Account, meter: str) -> _Lease:
        key = (account.account_id, meter)
        lease = self._leases.get(key)
        if lease is None:
            lease = self._leases[key] = _Lease()
            self._accounts[account.account_id] = account
            if len(self._leases) > _ACCOUNTS:
                # What it has left counts as used.
                (gone, _), _ = self._leases.popitem(last=False)
                if not any(account_id == gone for account_id, _ in self._leases):
                    self._accounts.pop(gone, None)
        self._leases.move_to_end(key)
        return lease


def _refused(refusal: str, now: int) -> ExhaustedError:
    tomorrow = (now // _DAY + 1) * _DAY - now
    return ExhaustedError(refusal, retry_after=float(tomorrow) if refusal == "allowance_used" else None)
