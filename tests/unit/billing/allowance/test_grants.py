"""All processes together are never granted more than a plan has, and what is not used comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from libs.runtime.errors import InvalidError, NotFoundError, UnavailableError
from services.billing.allowance.model import Ask, PlanLimits
from services.billing.domain.model import DAY, UNLIMITED, Allowance, Meter, Per, Profile, State, Tier
from tests.unit.billing.allowance.support import SMALL, World, ask, granted, per_day, world


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        yield made


async def test_a_hundredth_is_granted_ahead_until_the_lease_ends(here: World) -> None:
    first = await here.one(ask(wanted=3))
    assert (first.units, first.refusal) == (3 + 5, "")
    assert (await here.one(ask(meter=Meter.API_OPERATIONS, wanted=1))).units == 101
    now = here.today * DAY
    assert now < first.until <= now + DAY


async def test_no_lease_goes_beyond_midnight(here: World) -> None:
    seconds = int(here.clock.now().timestamp()) % DAY
    here.clock.advance(DAY - seconds - 5)
    assert (await here.one(ask(wanted=1))).until == (here.today + 1) * DAY
    here.clock.advance(5)
    assert (await here.one(ask(wanted=500))).units == 500


async def test_a_limit_is_spent_to_its_last_unit_and_no_further(here: World) -> None:
    results = [await here.one(ask(wanted=7)) for _ in range(60)]
    assert sum(one.units for one in results) + (await here.one(ask(wanted=2))).units <= 500
    refused = [one for one in results if one.refusal]
    assert refused and {one.refusal for one in refused} == {"allowance_used"}
    left = 500 - sum(one.units for one in results)
    assert left < 7 + 5


async def test_processes_at_once_are_granted_no_more_than_there_is(here: World) -> None:
    processes = [here.grants for _ in range(4)]
    rounds = [one.grant([ask(wanted=2) for _ in range(20)]) for one in processes for _ in range(3)]
    taken = [granted(one).units for results in await asyncio.gather(*rounds) for one in results]
    assert 480 <= sum(taken) <= 500 and all(one == 0 or one >= 2 for one in taken)


async def test_what_is_given_back_can_be_had_again(here: World) -> None:
    assert (await here.one(ask(wanted=500))).units == 500
    assert (await here.one(ask(wanted=1))).refusal == "allowance_used"
    assert (await here.one(ask(wanted=50, returned=50, day=here.today))).units == 50


async def test_nothing_is_given_back_long_after_its_day_nor_to_who_is_erased(here: World) -> None:
    day = here.today
    await here.one(ask(wanted=500))
    here.clock.advance(days=1, hours=2)
    await here.one(ask(returned=100, day=day))
    assert (await here.grants.open_days("a"))[day] == {Meter.SENDS: 500}
    await here.one(ask("gone", returned=5, day=here.today))
    assert await here.grants.open_days("gone") == {}


async def test_what_is_owed_counts_without_a_ceiling(here: World) -> None:
    await here.one(Ask("a", "m", Profile.SEALED, Meter.SENDS, owed=700, day=here.today, reference="r"))
    assert (await here.one(ask(wanted=1))).refusal == "allowance_used"


async def test_why_nothing_is_granted(here: World) -> None:
    assert (await here.one(ask(meter=Meter.API_OPERATIONS, wanted=20_001))).refusal == "allowance_used"
    here.plans.plan = PlanLimits(dict([per_day(Meter.API_OPERATIONS, 0)]), State.FREE)
    assert (await here.one(ask(wanted=1))).refusal == "plan_lacks"
    assert (await here.one(ask(meter=Meter.API_OPERATIONS, wanted=1))).refusal == "plan_lacks"
    here.plans.plan = replace(SMALL, state=State.READ_ONLY)
    assert (await here.one(ask(wanted=1))).refusal == "read_only"
    # Reading goes on, also by program.
    assert (await here.one(ask(meter=Meter.API_OPERATIONS, wanted=1))).refusal == ""


async def test_what_is_priced_or_unlimited_has_no_ceiling(here: World) -> None:
    here.plans.plan = PlanLimits(
        dict([per_day(Meter.SENDS, 5, Tier(0, 1)), per_day(Meter.API_OPERATIONS, UNLIMITED)]), State.ACTIVE
    )
    assert (await here.one(ask(wanted=5000))).units == 5100
    assert (await here.one(ask(meter=Meter.API_OPERATIONS, wanted=5000))).units == 5100


async def test_a_month_is_a_bound_of_all_its_days(here: World) -> None:
    here.plans.plan = PlanLimits({Meter.SENDS: Allowance(Meter.SENDS, Per.MONTH, 50)}, State.ACTIVE)
    assert (await here.one(ask(wanted=30))).units == 30
    here.clock.advance(days=1)
    assert (await here.one(ask(wanted=30))).refusal == "allowance_used"
    assert (await here.one(ask(wanted=20))).units == 20
    here.clock.advance(days=31)
    assert (await here.one(ask(wanted=50))).units == 50


async def test_without_a_meter_the_limits_are_told(here: World) -> None:
    assert (await here.one(ask(meter=None))).plan is SMALL
    assert await here.grants.open_days("a") == {}


async def test_a_failure_is_of_one_ask_alone(here: World) -> None:
    here.plans.own = {"b": NotFoundError("account"), "c": UnavailableError("accounts")}
    wrong = [
        ask("b", wanted=1),
        ask("c", wanted=1),
        ask(wanted=-1),
        ask("", wanted=1),
        ask(meter=None, wanted=1),
        ask(meter=Meter.STORAGE_BYTES, wanted=1),
        ask(owed=1, day=here.today),
        ask(returned=1),
        ask(wanted=10**7),
    ]
    results = await here.grants.grant([*wrong, ask(wanted=1)])
    assert [one.reason for one in results if isinstance(one, Exception)] == [
        "account", "accounts", "units", "account_id", "meter", "meter", "reference", "day", "units",
    ]  # fmt: skip
    assert granted(results[-1]).units == 6
    with pytest.raises(InvalidError):
        await here.grants.grant([ask()] * 501)
