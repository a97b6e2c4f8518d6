"""What was used by grants is charged once: the day's count after the day, what was owed by its reference."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.owner.model import Subject
from libs.runtime.errors import UnavailableError
from services.billing.allowance.counts import GRANTS, SETTLED_AFTER, month_of
from services.billing.allowance.held import classes
from services.billing.allowance.model import Ask
from services.billing.domain.model import DAY, Meter, Profile
from tests.unit.billing.allowance.support import World, ask, world


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as made:
        yield made


async def test_days_are_charged_once_whoever_dies_in_between(here: World) -> None:
    first = here.today
    await here.one(ask(wanted=20))
    await here.one(ask(returned=4, day=first))
    assert not await here.settling.step() and await here.charged("a", first) == {}
    assert await here.grants.open_days("a") == {first: {Meter.SENDS: 21}}
    here.clock.advance(days=1)
    await here.one(ask(meter=Meter.API_OPERATIONS, wanted=3))
    here.clock.advance(days=1, seconds=SETTLED_AFTER)
    here.recorder.lost = 1
    with pytest.raises(UnavailableError):
        await here.settling.step()
    for _ in range(3):
        await here.settling.step()
    assert await here.charged("a", first) == {Meter.SENDS: 21}
    assert await here.charged("a", first + 1) == {Meter.API_OPERATIONS: 103}
    assert await here.grants.open_days("a") == {}


async def test_what_is_owed_is_charged_by_its_reference(here: World) -> None:
    day = here.today
    owed = Ask("a", "m", Profile.SEALED, Meter.SENDS, owed=7, day=day, reference="one")
    here.recorder.lost = 1
    with pytest.raises(UnavailableError):
        await here.one(owed)
    for _ in range(3):
        await here.one(owed)
    await here.one(ask(wanted=1))
    here.clock.advance(days=2)
    await here.settling.step()
    # Told after its day was charged.
    await here.one(Ask("a", "m", Profile.SEALED, Meter.SENDS, owed=2, day=day, reference="two"))
    await here.settling.step()
    assert await here.charged("a", day) == {Meter.SENDS: 7 + 6 + 2}


async def test_a_month_ends_and_the_next_is_charged_too(here: World) -> None:
    last = month_of(here.today).next_first - 1
    here.clock.advance(days=last - here.today)
    await here.one(ask(wanted=1))
    here.clock.advance(days=1)
    await here.one(ask(wanted=2))
    assert await here.grants.open_days("a") == {last: {Meter.SENDS: 6}, last + 1: {Meter.SENDS: 7}}
    here.clock.advance(days=3)
    await here.settling.step()
    assert await here.charged("a", last) == {Meter.SENDS: 6}
    assert await here.charged("a", last + 1) == {Meter.SENDS: 7}
    await here.settling.step()
    done = await here.store.get_many(GRANTS, [f"a/{month_of(last).number:05d}"])
    assert [one.body["settle"] for one in done.values()] == [None]


def test_months() -> None:
    assert (month_of(0).number, month_of(0).first, month_of(30).next_first) == (0, 0, 31)
    december = month_of(364)
    assert (december.number, december.first, december.next_first) == (11, 334, 365)
    leap = month_of(31 + 365 * 2 + 28)
    assert (leap.number, leap.next_first - leap.first) == (25, 29)


async def test_grants_are_a_data_class(here: World) -> None:
    (held,) = classes(here.store, lambda: 40 * DAY)
    await here.one(ask(wanted=1))
    await here.one(ask("b", wanted=1))
    assert (await held.erase(Subject(account_id="a", mailbox_id="m"), 100)).deleted == 1
    assert await here.grants.open_days("a") == {}
    ends = month_of(here.today).next_first * DAY
    assert (await held.sweep(ends + 40 * DAY - 1, 10)).deleted == 0
    assert (await held.sweep(ends + 40 * DAY, 10)).deleted == 1
