"""Plans over a real store: remembered, changed by two at once, carried out when their day has come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.envelope import KeyEncryptionKeys, Vault
from libs.local.plan import CATALOGUE as FILE
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import InvalidError
from libs.runtime.secret import Secret
from services.billing.customers import CUSTOMERS, Customers
from services.billing.domain.catalogue import load_catalogues
from services.billing.domain.model import DAY, Meter, Profile, State
from services.billing.gone import GONE
from services.billing.plans import Plans
from tests.support.billing import gone_of
from tests.support.clock import ManualClock

CATALOGUES = load_catalogues(FILE)
WHO = ("a1", "m1", Profile.SEALED)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with await SqliteStore.open(tmp_path, (CUSTOMERS, GONE)) as opened:
        yield opened


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def _plans(store: SqliteStore, clock: ManualClock) -> Plans:
    vault = Vault(KeyEncryptionKeys({1: Secret(b"k" * 32)}))
    customers = Customers(
        store, vault, clock, gone_of(store), lambda profile, day: CATALOGUES.on(day).defaults[profile]
    )
    return Plans(customers, CATALOGUES, clock)


async def test_limits_are_those_of_the_plan_and_remembered(store: SqliteStore, clock: ManualClock) -> None:
    here, there = _plans(store, clock), _plans(store, clock)
    free = await here.limits_of(*WHO)
    assert (free.allowances[Meter.ADDRESSES].included, free.state) == (1, State.FREE)
    await there.change(*WHO, "business")
    assert (await there.limits_of(*WHO)).allowances[Meter.ADDRESSES].included == 50
    # Another process knows of it half a minute later.
    assert await here.limits_of(*WHO) == free
    clock.advance(31)
    assert (await here.limits_of(*WHO)).state is State.TRIAL


async def test_another_profile_is_not_remembered_as_the_old_one(store: SqliteStore, clock: ManualClock) -> None:
    plans = _plans(store, clock)
    await plans.limits_of(*WHO)
    assert (await plans.limits_of("a1", "m1", Profile.RELAY)).allowances[Meter.SENDS].included == 300


async def test_two_who_change_at_once_both_come_through(store: SqliteStore, clock: ManualClock) -> None:
    plans = [_plans(store, clock) for _ in range(4)]
    asked = ["personal", "business", "personal", "business"]
    changed = await asyncio.gather(*(one.change(*WHO, plan) for one, plan in zip(plans, asked, strict=True)))
    assert {one.plan for one in changed} == {"personal", "business"}
    assert len({one.version for one in changed}) >= 2


async def test_what_is_due_is_carried_out(store: SqliteStore, clock: ManualClock) -> None:
    plans = _plans(store, clock)
    trial = await plans.change(*WHO, "personal")
    assert await plans.advance() == 0
    clock.advance(trial.state_until - unix_seconds(clock))
    assert (await plans.advance(), await plans.advance()) == (1, 0)
    assert (await plans.limits_of(*WHO)).state is State.ACTIVE
    left = await plans.cancel(*WHO)
    assert (left.plan, left.next_plan) == ("personal", "free")
    clock.advance(left.next_plan_day * DAY - unix_seconds(clock))
    assert await plans.advance() == 1
    clock.advance(31)
    assert (await plans.limits_of(*WHO)).state is State.FREE


async def test_nothing_of_a_refused_change_stays(store: SqliteStore, clock: ManualClock) -> None:
    plans = _plans(store, clock)
    with pytest.raises(InvalidError, match="plan"):
        await plans.change(*WHO, "growth")
    assert (await plans.limits_of(*WHO)).state is State.FREE
