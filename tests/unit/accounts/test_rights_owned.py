"""What is kept for rights, as data classes: counted, exported to its owner, swept when due, erased with its account."""

from __future__ import annotations

import json

import pytest

from libs.owner.model import Count, HeldClass, Subject, Swept, Wanted
from libs.policy import load_policy
from services.accounts.domain.model import Account
from services.accounts.domain.notices import Marking
from services.accounts.domain.rights_ports import About, ConsentTo
from services.accounts.owned_rights import RightsParts, rights_classes
from services.accounts.repository import RIGHTS
from tests.unit.accounts.rights_support import RightsPlatform, run_rights
from tests.unit.accounts.support import Platform

CONTACT = "me@mail.example"


@pytest.fixture
async def world(platform: Platform) -> RightsPlatform:
    return run_rights(platform, active=1)


@pytest.fixture
def held(world: RightsPlatform) -> dict[str, HeldClass]:
    graph = world.platform.graph
    parts = RightsParts(graph.accounts, graph.rights.kept, world.owners, world.concerns)
    return {one.name: one for one in rights_classes(world.store.inner, parts)}


async def fill(world: RightsPlatform, account: Account) -> str:
    await world.owners.put_consents(account.account_id, {ConsentTo.NEWSLETTER: True})
    await world.owners.put_contact(account.account_id, CONTACT)
    concern = (await world.concerns.open(account.account_id, About.OTHER, "Why?")).concern
    await world.concerns.add("", concern.concern_id, "Because")
    await world.notices.mark(Marking(2, world.now, world.now, world.now), [account.account_id])
    return concern.concern_id


async def exported(one: HeldClass, account: Account, wanted: Wanted | None = None) -> list[object]:
    items = one.export(Subject(account.account_id), wanted or Wanted())
    return [json.loads(b"".join([block async for block in item.content])) async for item in items]


async def test_the_owner_gets_all_of_his_opened(world: RightsPlatform, held: dict[str, HeldClass]) -> None:
    ada, bob = await world.sign_up("ada"), await world.sign_up("bob")
    await fill(world, ada)
    await fill(world, bob)
    (consents,) = await exported(held["consent"], ada)
    assert isinstance(consents, dict)
    assert consents["consents"]["newsletter"] == {"given": True, "at": world.now}
    assert consents["notice"]["version"] == 2
    assert await exported(held["contact"], ada) == [{"address": CONTACT}]
    (concern,) = await exported(held["concern"], ada)
    assert isinstance(concern, dict)
    assert [entry["text"] for entry in concern["entries"]] == ["Why?", "Because"]
    assert await exported(held["concern"], ada, Wanted(since=world.now + 1)) == []
    for one in held.values():
        assert await exported(one, ada, Wanted(disclosure=True)) == []


async def test_erased_by_account_and_twice(world: RightsPlatform, held: dict[str, HeldClass]) -> None:
    ada, bob = await world.sign_up("ada"), await world.sign_up("bob")
    await fill(world, ada)
    kept = await fill(world, bob)
    for name, one in held.items():
        assert await one.erase_keys(Subject(ada.account_id)) == 0
        assert (await one.erase(Subject(ada.account_id), 100)).deleted == (name != "notice")
        assert (await one.erase(Subject(ada.account_id), 100)).deleted == 0
    assert world.platform.keys("concerns") == {kept}
    assert world.platform.keys("contacts") == world.platform.keys("consents") == {bob.account_id}


async def test_closed_concerns_go_when_they_are_due(world: RightsPlatform, held: dict[str, HeldClass]) -> None:
    ada = await world.sign_up("ada")
    concerns = held["concern"]
    closed, still = await fill(world, ada), await fill(world, ada)
    assert await concerns.count() == Count(2)
    await world.concerns.close("", closed)
    due = world.now + load_policy().value("concern_seconds")
    assert await concerns.count() == Count(2, first_due=due)
    assert await concerns.sweep(due - 1, 10) == Swept(0)
    assert await concerns.sweep(due, 10) == Swept(1)
    assert world.platform.keys("concerns") == {still}
    world.clock.advance(days=4000)
    assert await concerns.sweep(world.now, 10) == Swept(0)


def test_the_policy_names_every_field() -> None:
    named: dict[str, set[str]] = {}
    for data_class in load_policy().classes_of("accounts").values():
        for collection, fields in data_class.where.items():
            named.setdefault(collection, set()).update(fields)
    for kept in RIGHTS:
        assert set(kept.fields) == named[kept.name]
