"""Grants units ahead, so that whoever meters them decides from memory.

    asks ─▶ plans ─▶ owed: charged by reference ─▶ one write of all that is given back, owed and granted
                                                     └▶ where wanted + ahead is too much: wanted alone

What is granted counts as used until it is given back; ceilings are part of the write (counts), so all processes
together are never granted more than a plan has. Beyond a plan goes only:
- what is used while billing is away, which is owed: at most MOST_OWED (libs.allowance) of each account, meter, process;
- what was leased before a plan got smaller or unpaid: at most 100 units for each process, for ten minutes.
Short of a plan falls, until it is given back, what other processes hold ahead: each at most a hundredth of the limit,
and never more than 100 units. A process that is killed has used, as far as anybody knows, what it held.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from libs.docstore.store import Increment, Store
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ExhaustedError, InvalidError, SealpostError
from services.billing.allowance.counts import (
    GRANTS,
    RETURNED_WITHIN,
    charged,
    first_open,
    granting,
    key_of,
    month_of,
    owing,
    returning,
)
from services.billing.allowance.model import (
    GRANTED,
    USED,
    Ask,
    Granted,
    PlanLimits,
    Plans,
    Recorder,
    bounds_of,
    refusal_of,
)
from services.billing.domain.model import DAY, Meter
from services.billing.metering.intake import Use

MOST_ITEMS = 500
_LEASE_SECONDS = 600
_MOST_UNITS = 1_000_000
_LONGEST_REFERENCE = 64

Result = Granted | SealpostError


class Grants:
    """The grants of all accounts, in `store` opened with GRANTS. Any number of processes may grant at once."""

    def __init__(self, store: Store, plans: Plans, recorder: Recorder, clock: Clock) -> None:
        """Take where it is counted, who knows the plans, and who counts what is owed."""
        self._store = store
        self._plans = plans
        self._recorder = recorder
        self._clock = clock

    async def grant(self, asks: Sequence[Ask]) -> list[Result]:
        """Return what came of each of at most 500 asks, in order; a failure is that ask's alone.

        Raises: InvalidError("too_many_items"); UnavailableError: some of it may be counted. What is owed may be told
        again under its reference.
        """
        if len(asks) > MOST_ITEMS:
            raise InvalidError("too_many_items")
        now = unix_seconds(self._clock)
        results: list[Result] = list(await asyncio.gather(*(self._plan(ask, now) for ask in asks)))
        right = [one for one, result in enumerate(results) if isinstance(result, Granted)]
        await self._charge([asks[one] for one in right])
        told = await self._told([asks[one] for one in right], now)
        taken = {
            one: self._operation(asks[one], result.plan, now, ahead=True)
            for one in right
            if isinstance(result := results[one], Granted) and asks[one].wanted and not result.refusal
        }
        over = await self._take(results, taken, now, told)
        if over:
            exact = {one: self._operation(asks[one], plan, now, ahead=False) for one, plan in over.items()}
            for one, plan in (await self._take(results, exact, now)).items():
                results[one] = Granted(plan, refusal=USED)
        return results

    async def open_days(self, account_id: str) -> dict[int, dict[Meter, int]]:
        """Return what was used by grants and is not charged yet, by day; what is held ahead is in it.

        Raises: UnavailableError.
        """
        month = month_of(unix_seconds(self._clock) // DAY)
        before = month_of(month.first - 1)
        keys = [key_of(account_id, one.number) for one in (before, month)]
        documents = await self._store.get_many(GRANTS, keys)
        found: dict[int, dict[Meter, int]] = {}
        for one, key in zip((before, month), keys, strict=True):
            first = first_open(documents[key].body) if key in documents else None
            for day in range(one.next_first if first is None else first, one.next_first):
                if units := charged(documents[key].body, day):
                    found[day] = units
        return found

    async def _plan(self, ask: Ask, now: int) -> Result:
        """Return what holds for the account, with the refusal where nothing is to be had."""
        try:
            _check(ask, now // DAY)
            plan = await self._plans.limits_of(ask.account_id, ask.mailbox_id, ask.profile)
        except SealpostError as error:
            return error
        refusal = refusal_of(plan, ask.meter) if ask.meter is not None and ask.wanted else ""
        return Granted(plan, refusal=refusal)

    async def _charge(self, asks: Sequence[Ask]) -> None:
        uses = [
            Use(f"owed/{ask.account_id}/{ask.meter}/{ask.reference}", ask.account_id, ask.meter, ask.day, ask.owed)
            for ask in asks
            if ask.owed and ask.meter is not None
        ]
        if uses:
            await self._recorder.take(uses)

    async def _told(self, asks: Sequence[Ask], now: int) -> list[Increment]:
        """Return the operations of what is given back and owed."""
        returned = [ask for ask in asks if ask.returned and now < (ask.day + 1) * DAY + RETURNED_WITHIN]
        there: Mapping[str, object] = {}
        if returned:
            # Nothing is given back to who is erased: that would make him known again.
            there = await self._store.get_many(GRANTS, [_key(ask) for ask in returned])
        operations = [returning(ask, ask.meter) for ask in returned if ask.meter is not None and _key(ask) in there]
        return operations + [owing(ask, ask.meter) for ask in asks if ask.owed and ask.meter is not None]

    async def _take(
        self, results: list[Result], taking: Mapping[int, Increment], now: int, before: Sequence[Increment] = ()
    ) -> dict[int, PlanLimits]:
        """Take what `taking` says, by position, after `before`; return the plans of those that it is too much for."""
        over: dict[int, PlanLimits] = {}
        if not taking and not before:
            return over
        written = await self._store.write_many([*before, *taking.values()])
        for failed in written[: len(before)]:
            if isinstance(failed, Exception):
                raise failed
        until = min((now // DAY + 1) * DAY, now + _LEASE_SECONDS)
        for (one, operation), result in zip(taking.items(), written[len(before) :], strict=True):
            known = results[one]
            if isinstance(known, SealpostError):
                continue
            if isinstance(result, ExhaustedError):
                over[one] = known.plan
            elif isinstance(result, SealpostError):
                results[one] = result
            elif isinstance(result, Exception):
                raise result
            else:
                results[one] = Granted(known.plan, max(operation.deltas.values()), until)
        return over

    def _operation(self, ask: Ask, plan: PlanLimits, now: int, *, ahead: bool) -> Increment:
        if ask.meter is None:
            raise InvalidError("meter")
        bounds = bounds_of(plan.allowances[ask.meter])
        return granting(ask, ask.meter, now // DAY, ask.wanted + (bounds.ahead if ahead else 0), bounds)


def _check(ask: Ask, today: int) -> None:
    if not ask.account_id:
        raise InvalidError("account_id")
    if any(not 0 <= units <= _MOST_UNITS for units in (ask.wanted, ask.returned, ask.owed)):
        raise InvalidError("units")
    if (ask.wanted or ask.returned or ask.owed) and ask.meter not in GRANTED:
        raise InvalidError("meter")
    if (ask.returned or ask.owed) and not 0 < ask.day <= today + 1:
        raise InvalidError("day")
    if ask.owed and not 0 < len(ask.reference) <= _LONGEST_REFERENCE:
        raise InvalidError("reference")


def _key(ask: Ask) -> str:
    return key_of(ask.account_id, month_of(ask.day).number)
