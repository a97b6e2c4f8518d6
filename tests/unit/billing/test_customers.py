"""Customers on a real store: made once, changed by version, found when their time has come, who pays sealed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Patch
from libs.envelope import KeyEncryptionKeys, Vault
from libs.owner.model import Subject, Wanted
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import ConflictError, InternalError, NotFoundError
from libs.runtime.secret import Secret
from services.billing.customers import CUSTOMERS, Customers
from services.billing.domain.customers import Details
from services.billing.domain.model import DAY, Profile, State
from services.billing.gone import GONE
from services.billing.held import classes
from tests.support.billing import gone_of
from tests.support.clock import ManualClock

VAULT = Vault(KeyEncryptionKeys({1: Secret(b"k" * 32)}))
MARK = "Musterfrau und Partner"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with await SqliteStore.open(tmp_path, (CUSTOMERS, GONE)) as opened:
        yield opened


def _customers(store: SqliteStore, clock: ManualClock | None = None) -> Customers:
    return Customers(store, VAULT, clock or ManualClock(), gone_of(store), lambda profile, _: f"{profile.value}_free")


async def test_the_first_who_asks_makes_the_customer(store: SqliteStore) -> None:
    customers = _customers(store)
    assert await customers.get("a1") is None
    made = await asyncio.gather(*(customers.known("a1", "m1", Profile.SEALED) for _ in range(8)))
    assert {(one.plan, one.state, one.version) for one in made} == {("sealed_free", State.FREE, 1)}
    assert await customers.get("a1") == made[0]
    assert await store.count(CUSTOMERS) == 1


async def test_of_two_changes_at_once_one_is_refused(store: SqliteStore) -> None:
    customers = _customers(store)
    read = await customers.known("a1", "m1", Profile.SEALED)
    changed = await customers.put(replace(read, plan="personal", state=State.ACTIVE))
    assert changed.version == read.version + 1
    with pytest.raises(ConflictError, match="version"):
        await customers.put(replace(read, plan="business"))
    assert await customers.get("a1") == changed
    with pytest.raises(NotFoundError):
        await customers.put(replace(read, account_id="nobody"))


async def test_another_profile_has_its_own_plan_and_debts_stay(store: SqliteStore) -> None:
    customers = _customers(store)
    sealed = await customers.known("a1", "m1", Profile.SEALED)
    owing = replace(sealed, plan="personal", state=State.GRACE, state_until=99, next_plan="other", next_plan_day=5)
    await customers.put(owing)
    relay = await customers.known("a1", "m1", Profile.RELAY)
    assert (relay.plan, relay.next_plan, relay.state, relay.state_until) == ("relay_free", "", State.GRACE, 99)
    moved = await customers.known("a1", "m2", Profile.RELAY)
    assert (moved.mailbox_id, moved.plan) == ("m2", "relay_free")
    assert await customers.known("a1", "", Profile.RELAY) == moved
    assert await customers.get("a1") == moved


async def test_who_is_due_is_found_and_then_no_more(store: SqliteStore) -> None:
    clock = ManualClock()
    customers = _customers(store, clock)
    now = unix_seconds(clock)
    for name in ("a1", "a2", "a3"):
        await customers.known(name, "", Profile.SEALED)
    for name, until, day in (("a1", now + 10, 0), ("a2", now + 10 * DAY, now // DAY), ("a3", now + 11, 0)):
        customer = await customers.get(name)
        assert customer is not None
        await customers.put(replace(customer, state_until=until, next_plan_day=day))
    assert [customer.account_id for customer in await customers.due()] == ["a2"]
    clock.advance(10)
    due = await customers.due()
    assert [customer.account_id for customer in due] == ["a2", "a1"]
    await customers.put(replace(due[1], state_until=0))
    assert [customer.account_id for customer in await customers.due()] == ["a2"]


async def test_all_are_passed_page_by_page(store: SqliteStore) -> None:
    clock = ManualClock()
    customers = _customers(store, clock)
    for number in range(5):
        await customers.known(f"a{5 - number}", "", Profile.RELAY)
        clock.advance(DAY // 2)
    seen, last = [], None
    while page := await customers.page(last, 2):
        seen += [customer.account_id for customer in page]
        last = page[-1]
    assert sorted(seen) == ["a1", "a2", "a3", "a4", "a5"]


async def test_who_pays_is_sealed_and_survives_changes(store: SqliteStore) -> None:
    customers = _customers(store)
    told = Details(MARK, ("Allee 7", "10115 Berlin"), "DE", "DE123")
    with pytest.raises(NotFoundError):
        await customers.put_details("a1", told)
    read = await customers.known("a1", "m1", Profile.SEALED)
    assert await customers.details("a1") == Details() == await customers.details("nobody")
    await customers.put_details("a1", told)
    with pytest.raises(ConflictError):
        await customers.put(read)
    again = await customers.get("a1")
    assert again is not None
    await customers.put(replace(again, plan="personal"))
    assert await customers.details("a1") == told
    stored = await store.get(CUSTOMERS, "a1")
    assert stored is not None
    assert MARK.encode() not in bytes(str(stored.body), "utf-8")
    assert isinstance(stored.body["details"], bytes)
    assert MARK.encode() not in stored.body["details"]


async def test_details_of_another_do_not_open(store: SqliteStore) -> None:
    customers = _customers(store)
    for name in ("a1", "a2"):
        await customers.known(name, "", Profile.SEALED)
    await customers.put_details("a1", Details(MARK))
    stored = await store.get(CUSTOMERS, "a1")
    assert stored is not None
    await store.write(Patch(CUSTOMERS, "a2", {"details": stored.body["details"]}))
    with pytest.raises(InternalError, match="document_damaged"):
        await customers.details("a2")


async def test_who_is_erased_is_not_made_again(store: SqliteStore) -> None:
    customers, gone = _customers(store), gone_of(store)
    await customers.known("a1", "m1", Profile.SEALED)
    (held,) = classes(store, customers, gone)
    subject = Subject("a1", "m1")
    await customers.put_details("a1", Details(MARK))
    exported = [item async for item in held.export(subject, Wanted())]
    assert MARK.encode() in b"".join([block async for block in exported[0].content])
    await held.erase_keys(subject)
    assert (await held.erase(subject, 10)).deleted == 1
    with pytest.raises(NotFoundError, match="account"):
        await customers.known("a1", "m1", Profile.SEALED)
    assert await store.count(CUSTOMERS) == 0
    await customers.known("a2", "m2", Profile.SEALED)
