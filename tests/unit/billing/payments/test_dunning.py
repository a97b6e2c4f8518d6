"""An unpaid bill: told, grace, read-only, and everything as before when it is paid. Nothing is ever deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.docstore.sqlite import SqliteStore
from services.billing.domain.model import DAY, State
from services.billing.payments.manual import ManualProvider
from tests.unit.billing.payments.world import ACCOUNT, COLLECTIONS, World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with await SqliteStore.open(tmp_path, COLLECTIONS) as store:
        world = World(store, ManualProvider())
        await world.customer()
        await world.plans.change(ACCOUNT, "m1", (await world.customer()).profile, "business")
        yield world


async def _state(world: World) -> State:
    await world.dunning.step()
    return (await world.customer()).state


async def test_from_due_to_read_only_and_back(world: World) -> None:
    before = (await world.customer()).state
    number = await world.invoice()
    invoice = await world.invoices.get(ACCOUNT, number)
    days = invoice.due_day - world.now // DAY
    world.clock.advance(days=days - 1)
    assert (await _state(world), world.letters.kinds()) == (before, [])
    world.clock.advance(days=1)
    for _ in range(2):
        assert (await _state(world), world.letters.kinds()) == (before, ["invoice_due"])
    world.clock.advance(days=1)
    for _ in range(2):
        assert (await _state(world), world.letters.kinds()) == (State.GRACE, ["invoice_due", "grace"])
    until = (await world.customer()).state_until
    assert until == (invoice.due_day + 15) * DAY
    world.clock.advance(seconds=until - world.now - 1)
    assert await _state(world) is State.GRACE
    world.clock.advance(seconds=1)
    for _ in range(2):
        assert (await _state(world), world.letters.kinds()[-1]) == (State.READ_ONLY, "read_only")
    await world.payments.record("officer", number, 1071)
    for _ in range(2):
        assert (await _state(world), world.letters.kinds()[-1]) == (State.ACTIVE, "paid")
    assert world.letters.kinds() == ["invoice_due", "grace", "read_only", "paid"]


async def test_a_platform_that_was_away_still_gives_a_day(world: World) -> None:
    await world.invoice()
    world.clock.advance(days=200)
    assert await _state(world) is State.GRACE
    assert (await world.customer()).state_until == (world.now // DAY + 1) * DAY


async def test_who_pays_within_the_grace(world: World) -> None:
    number = await world.invoice()
    world.clock.advance(days=20)
    assert await _state(world) is State.GRACE
    await world.payments.record("officer", number, 1071)
    assert await _state(world) is State.ACTIVE


async def test_who_goes_back_to_the_free_plan_owes_what_he_owes(world: World) -> None:
    number = await world.invoice()
    world.clock.advance(days=60)
    await world.dunning.step()
    world.clock.advance(days=2)
    assert await _state(world) is State.READ_ONLY
    customer = await world.customer()
    await world.plans.cancel(ACCOUNT, "m1", customer.profile)
    assert await _state(world) is State.READ_ONLY
    await world.payments.record("officer", number, 1071)
    assert await _state(world) in (State.ACTIVE, State.FREE)
