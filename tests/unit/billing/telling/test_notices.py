"""Price changes: everybody concerned is told once and long enough ahead, whoever dies meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Store
from libs.envelope import KeyEncryptionKeys, Vault
from libs.local.plan import CATALOGUE as FILE
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import UnavailableError
from libs.runtime.secret import Secret
from libs.runtime.settings import SettingsError
from services.billing.customers import CUSTOMERS, Customers
from services.billing.domain.catalogue import Catalogues, day_of, load_catalogues
from services.billing.domain.customers import Customer
from services.billing.domain.model import DAY, Catalogue, Profile
from services.billing.gone import GONE
from services.billing.notices import PriceNotices, each_said, said_of, worse_for
from services.billing.offers import VERSIONS, Offers
from services.billing.plans import Plans
from tests.support.billing import gone_of
from tests.support.breaking_store import BreakingStore
from tests.support.clock import ManualClock

FIRST = load_catalogues(FILE).versions[0]
FROM = day_of(date(2027, 1, 1))


def _next(price: int = 350, **other: object) -> Catalogue:
    plans = {**FIRST.plans, "personal": replace(FIRST.plans["personal"], price=price)}
    return replace(FIRST, version=2, from_day=FROM, plans=plans, **other)  # type: ignore[arg-type]


@dataclass
class Letters:
    """What was told, each once; `fail` lets that many fail."""

    sent: dict[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    fail: int = 0

    async def tell(self, account_id: str, letter: str, about: str, fields: Mapping[str, str]) -> None:
        """See Teller."""
        if self.fail:
            self.fail -= 1
            raise UnavailableError("delivery")
        assert letter == "price_change"
        self.sent.setdefault((account_id, about), fields)

    def whom(self) -> list[str]:
        """Return who has a letter, once for each."""
        return sorted(account for account, _ in self.sent)


class World:
    """One installation, which `go_on` begins anew with a file and a store."""

    def __init__(self, store: SqliteStore) -> None:
        self.store = store
        self.clock = ManualClock(datetime(2026, 11, 10, 8, tzinfo=UTC))
        self.letters = Letters()

    async def go_on(self, *versions: Catalogue, over: Store | None = None) -> PriceNotices:
        """Begin another process."""
        store = over or self.store
        self.offers = Offers(Catalogues(versions), store, self.clock)
        await self.offers.load()
        vault = Vault(KeyEncryptionKeys({1: Secret(b"k" * 32)}))
        self.customers = Customers(store, vault, self.clock, gone_of(store), self.offers.default_plan)
        self.plans = Plans(self.customers, self.offers, self.clock)
        return PriceNotices(self.offers, self.customers, self.letters, self.clock)

    async def choose(self, account: str, plan: str) -> None:
        """Let an account have a plan."""
        await self.plans.change(account, f"m{account}", Profile.SEALED, plan)

    def price(self, day: int) -> int:
        """Return what `personal` costs on a day."""
        return self.offers.on(day).plans["personal"].price

    def pass_days(self, days: int) -> None:
        """Go on to a later day."""
        self.clock.advance(days * DAY)


async def _all(notices: PriceNotices) -> None:
    for _ in range(20):
        if not await notices.step():
            return
    raise AssertionError("it does not end")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with await SqliteStore.open(tmp_path, (CUSTOMERS, GONE, VERSIONS)) as opened:
        world = World(opened)
        await world.go_on(FIRST)
        await world.choose("a1", "personal")
        await world.choose("a2", "business")
        await world.choose("a3", "personal")
        yield world


async def test_who_pays_more_is_told_once_and_it_begins_as_said(world: World) -> None:
    notices = await world.go_on(FIRST, _next())
    assert world.price(FROM) == 300
    await _all(notices)
    await _all(notices)
    assert world.letters.whom() == ["a1", "a3"]
    (fields, _) = world.letters.sent.values()
    assert fields["since"] == "2027-01-01"
    assert fields["changes"] == "the price of a month: 3.50 EUR instead of 3.00 EUR."
    assert (world.price(FROM - 1), world.price(FROM)) == (300, 350)


async def test_a_version_that_comes_too_soon_waits(world: World) -> None:
    world.pass_days(30)  # 10 December: 22 days before
    await _all(await world.go_on(FIRST, _next()))
    assert {fields["since"] for fields in world.letters.sent.values()} == {"2027-02-01"}
    begins = day_of(date(2027, 2, 1))
    assert (world.price(FROM), world.price(begins - 1), world.price(begins)) == (300, 300, 350)


async def test_nobody_told_nothing_begins(world: World) -> None:
    notices = await world.go_on(FIRST, _next())
    for _ in range(3):
        world.letters.fail = 1
        with pytest.raises(UnavailableError):
            await notices.step()
        world.pass_days(40)
    assert world.price(unix_seconds(world.clock) // DAY) == 300
    await _all(notices)
    today = unix_seconds(world.clock) // DAY
    assert world.letters.whom() == ["a1", "a3"]
    for fields in world.letters.sent.values():
        assert day_of(date.fromisoformat(fields["since"])) >= today + 30
    begins = world.offers.begins(_next())
    assert begins is not None
    assert begins >= today + 30


async def test_who_chooses_later_is_told_the_day_after(world: World) -> None:
    notices = await world.go_on(FIRST, _next())
    await _all(notices)
    await world.choose("a4", "personal")
    world.pass_days(1)
    await _all(notices)
    assert world.letters.whom() == ["a1", "a3", "a4"]
    world.pass_days(60)
    await world.choose("a5", "personal")
    await _all(notices)
    assert world.letters.whom() == ["a1", "a3", "a4"]


async def test_what_is_no_worse_begins_on_its_day_and_tells_nobody(world: World) -> None:
    notices = await world.go_on(FIRST, _next(250))
    await _all(notices)
    assert (world.letters.sent, world.price(FROM - 1), world.price(FROM)) == ({}, 300, 250)


async def test_what_follows_does_not_overtake(world: World) -> None:
    later = replace(_next(250), version=3, from_day=day_of(date(2027, 2, 1)))
    notices = await world.go_on(FIRST, _next(), later)
    assert world.price(later.from_day) == 300
    await _all(notices)
    assert [world.price(day) for day in (FROM - 1, FROM, later.from_day)] == [300, 350, 250]


async def test_a_new_installation_holds_what_the_file_says(tmp_path: Path) -> None:
    async with await SqliteStore.open(tmp_path, (CUSTOMERS, GONE, VERSIONS)) as opened:
        world = World(opened)
        world.pass_days(80)
        await _all(await world.go_on(FIRST, _next()))
        assert (world.letters.sent, world.price(FROM)) == ({}, 350)


async def test_a_version_changed_before_it_begins_is_told_anew(world: World) -> None:
    await _all(await world.go_on(FIRST, _next()))
    notices = await world.go_on(FIRST, _next(400))
    assert world.price(FROM) == 300
    await _all(notices)
    assert world.letters.whom() == ["a1", "a1", "a3", "a3"]
    assert world.price(FROM) == 400


async def test_a_version_that_holds_is_not_changed(world: World) -> None:
    await _all(await world.go_on(FIRST, _next()))
    with pytest.raises(SettingsError, match="version 1: holds already"):
        await world.go_on(replace(FIRST, grace_days=30), _next())
    world.pass_days(60)
    with pytest.raises(SettingsError, match="version 2: holds already"):
        await world.go_on(FIRST, _next(400))
    await world.go_on(FIRST, replace(_next(), seller=replace(FIRST.seller, name="Another Name")))


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("writes", range(6))
async def test_whoever_dies_at_any_write_nobody_is_left_out(world: World, writes: int, kept: bool) -> None:
    breaking = BreakingStore(world.store)
    breaking.break_at(writes, kept=kept)
    try:
        await _all(await world.go_on(FIRST, _next(), over=breaking))
    except UnavailableError:
        await _all(await world.go_on(FIRST, _next()))
    assert world.letters.whom() == ["a1", "a3"]
    assert world.price(FROM) == 350


async def test_two_at_once(world: World) -> None:
    here, there = await world.go_on(FIRST, _next()), await world.go_on(FIRST, _next())
    for _ in range(6):
        await here.step()
        await there.step()
    assert (await here.step(), await there.step()) == (0, 0)
    assert (world.letters.whom(), world.price(FROM)) == (["a1", "a3"], 350)


async def test_the_page_of_a_plan_says_all_of_it(world: World) -> None:
    await _all(await world.go_on(FIRST, _next()))
    (coming,) = world.offers.coming()
    having, following, other = (
        Customer("a", "", Profile.SEALED, plan, 0, next_plan)
        for plan, next_plan in (("personal", ""), ("free", "personal"), ("business", ""))
    )
    for customer in (having, following):
        ((plan, worse),) = worse_for(coming, customer)
        assert (plan, list(each_said(worse))) == ("personal", ["the price of a month: 3.50 EUR instead of 3.00 EUR"])
    assert list(worse_for(coming, other)) == []
    assert world.offers.since(coming) == FROM


async def test_who_is_to_have_the_plan_is_told_too(world: World) -> None:
    world.pass_days(20)  # the trial of the dearer plan is over
    assert await world.plans.advance()
    await world.choose("a2", "personal")
    await _all(await world.go_on(FIRST, _next()))
    assert world.letters.whom() == ["a1", "a2", "a3"]


def test_a_letter_says_no_more_than_it_has_room_for(world: World) -> None:
    (change,) = Offers(Catalogues((FIRST, _next())), world.store, world.clock)._worse[2]
    told = said_of([change] * 40)
    assert len(told) <= 1000
    assert told.endswith("; and more, which the page of your plan shows.")
