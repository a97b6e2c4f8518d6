"""Allowances decide from memory, are given back, and know what to do while billing is away."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from libs.allowance.allowances import MOST_OWED, Account, Allowances, Answer, Limits, Question
from libs.allowance.peers import PlannedRoom
from libs.mailbox.model import Route, Standing
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import ExhaustedError, UnavailableError
from tests.support.clock import ManualClock

DAY = 86400
ADA = Account("a1", "sealed", "m1")
LIMITS = Limits(1000, 1, read_only=False)


@dataclass
class Billing:
    """A plan with units of a day; grants ten ahead."""

    clock: ManualClock
    left: int = 100
    away: bool = False
    refusal: str = ""
    asked: list[Question] = field(default_factory=list)
    owed: dict[str, int] = field(default_factory=dict)
    answers_lost: int = 0

    async def grant(self, questions: Sequence[Question]) -> Sequence[Answer | Exception]:
        """See Granter."""
        await asyncio.sleep(0)
        if self.away:
            raise UnavailableError("unreachable")
        answers = [self._one(question) for question in questions]
        if self.answers_lost:
            self.answers_lost -= 1
            raise UnavailableError("deadline")
        return answers

    def _one(self, question: Question) -> Answer:
        self.asked.append(question)
        if question.owed:
            self.owed[question.reference] = question.owed
        self.left += question.returned
        if self.refusal:
            return Answer(0, 0, self.refusal, LIMITS)
        wanted = question.wanted
        granted = min(self.left, wanted + 10) if wanted else 0
        if granted < wanted:
            return Answer(0, 0, "allowance_used", LIMITS)
        self.left -= granted
        now = unix_seconds(self.clock)
        return Answer(granted, min(now + 600, (now // DAY + 1) * DAY), "", LIMITS)


class _Plan:
    """A plan that has these limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    async def grant(self, questions: Sequence[Question]) -> Sequence[Answer | Exception]:
        return [Answer(0, 0, "", self._limits) for _ in questions]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def billing(clock: ManualClock) -> Billing:
    return Billing(clock)


async def _used(allowances: Allowances, meter: str = "sends", times: int = 1000) -> int:
    for done in range(times):
        try:
            await allowances.allow(ADA, meter)
        except ExhaustedError:
            return done
    return times


async def test_most_are_decided_from_memory_and_no_more_is_had(billing: Billing, clock: ManualClock) -> None:
    allowances = Allowances(billing, clock)
    assert await _used(allowances) == 100
    assert len(billing.asked) <= 12
    with pytest.raises(ExhaustedError, match="allowance_used") as refused:
        await allowances.allow(ADA, "sends")
    assert refused.value.retry_after == DAY - unix_seconds(clock) % DAY
    # Who is refused does not ask again at once.
    asked = len(billing.asked)
    await _used(allowances)
    assert len(billing.asked) == asked


async def test_many_at_once_ask_once(billing: Billing, clock: ManualClock) -> None:
    allowances = Allowances(billing, clock)
    await asyncio.gather(*(allowances.allow(ADA, "sends") for _ in range(11)))
    assert [question.wanted for question in billing.asked] == [1]


async def test_what_is_left_is_given_back(billing: Billing, clock: ManualClock) -> None:
    allowances = Allowances(billing, clock)
    await allowances.allow(ADA, "sends", 3)
    clock.advance(601)
    await allowances.allow(ADA, "sends")
    assert billing.asked[-1].returned == 10
    allowances.give_back(ADA, "sends")
    await allowances.close()
    assert (billing.asked[-1].returned, billing.left) == (11, 97)


async def test_a_lease_ends_at_midnight(billing: Billing, clock: ManualClock) -> None:
    clock.advance(DAY - unix_seconds(clock) % DAY - 5)
    allowances = Allowances(billing, clock)
    await allowances.allow(ADA, "sends")
    before = unix_seconds(clock) // DAY
    clock.advance(6)
    await allowances.allow(ADA, "sends")
    assert (len(billing.asked), billing.asked[-1].day) == (2, before)


@pytest.mark.parametrize("refusal", ["plan_lacks", "read_only"])
async def test_other_refusals_have_no_time(billing: Billing, clock: ManualClock, refusal: str) -> None:
    billing.refusal = refusal
    with pytest.raises(ExhaustedError, match=refusal) as refused:
        await Allowances(billing, clock).allow(ADA, "sends")
    assert refused.value.retry_after is None


async def test_while_billing_is_away_nobody_sends_and_reading_is_owed(billing: Billing, clock: ManualClock) -> None:
    allowances = Allowances(billing, clock)
    billing.away = True
    with pytest.raises(UnavailableError):
        await allowances.allow(ADA, "sends")
    for _ in range(MOST_OWED):
        await allowances.allow(ADA, "api_operations", open_=True)
    with pytest.raises(UnavailableError):
        await allowances.allow(ADA, "api_operations", open_=True)
    billing.away = False
    # The answer to what was owed is lost: it is told again, under the same reference.
    billing.answers_lost = 1
    with pytest.raises(UnavailableError):
        await allowances.allow(ADA, "api_operations")
    await allowances.allow(ADA, "api_operations")
    # What came after the first failure is told by itself.
    await allowances.close()
    assert sorted(billing.owed.values()) == [1, MOST_OWED - 1]
    assert sum(question.owed for question in billing.asked) == MOST_OWED + 1


async def test_what_is_owed_is_told_at_the_end(billing: Billing, clock: ManualClock) -> None:
    allowances = Allowances(billing, clock)
    billing.away = True
    await allowances.allow(ADA, "api_operations", 5, open_=True)
    billing.away = False
    await allowances.close()
    assert list(billing.owed.values()) == [5]


async def test_limits_are_known_for_a_minute_and_kept_while_billing_is_away(
    billing: Billing, clock: ManualClock
) -> None:
    allowances = Allowances(billing, clock)
    assert await allowances.limits(ADA) == LIMITS
    assert await allowances.limits(ADA) == LIMITS and len(billing.asked) == 1
    clock.advance(61)
    billing.away = True
    assert await allowances.limits(ADA) == LIMITS
    assert await allowances.limits(Account("a2", "sealed")) is None


async def test_the_room_of_a_mailbox_is_that_of_the_plan(billing: Billing, clock: ManualClock) -> None:
    room = PlannedRoom(Allowances(billing, clock))
    mine = Route(Standing.OK, "m1", "a1", quota_bytes=50, profile="sealed")
    public = Route(Standing.OK, "p1", "", quota_bytes=50, profile="public")
    assert ((await room(mine)).quota_bytes, (await room(public)).quota_bytes) == (1000, 50)
    unsaid = PlannedRoom(Allowances(_Plan(Limits(-2, 1, read_only=False)), clock))
    endless = PlannedRoom(Allowances(_Plan(Limits(-1, 1, read_only=False)), clock))
    assert ((await unsaid(mine)).quota_bytes, (await endless(mine)).quota_bytes) == (50, 0)
    billing.away = True
    # Mail is not refused because nobody knows the plan.
    other = Route(Standing.OK, "m2", "a2", quota_bytes=50, profile="sealed")
    assert ((await room(mine)).quota_bytes, (await room(other)).quota_bytes) == (1000, 0)


async def test_memory_is_bounded(billing: Billing, clock: ManualClock) -> None:
    billing.left = 10**9
    allowances = Allowances(billing, clock)
    for start in range(0, 21_000, 500):
        accounts = (Account(f"a{number}", "sealed") for number in range(start, start + 500))
        await asyncio.gather(*(allowances.allow(account, "sends") for account in accounts))
    assert len(allowances._leases) <= 20_000
    assert len(allowances._accounts) <= 20_000 and len(allowances._limits) <= 20_000
