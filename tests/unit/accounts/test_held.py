"""What accounts keeps, as data classes: counted, swept when its time is over and not before, exported."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from libs.owner.model import Subject, Wanted
from libs.policy import load_policy
from libs.runtime.errors import InvalidError
from libs.runtime.ids import new_id
from services.accounts.domain.model import Account, CredentialKind, Role
from services.accounts.domain.registration import SignUp
from services.accounts.repository import COLLECTIONS
from tests.unit.accounts.support import Crash, Platform, die_at, make_recovery, make_wish, refused

ADA = "ada@sealpost.test"
TARGET = "copies@mail.example"


@pytest.fixture
def wish() -> SignUp:
    return make_wish(recovery=make_recovery())


@pytest.fixture
async def ada(platform: Platform, wish: SignUp) -> Account:
    return await platform.sign_up(wish)


async def exported(platform: Platform, account_id: str, wanted: Wanted = Wanted()) -> dict[str, dict[str, Any]]:  # noqa: B008
    """Return what an export holds, by class and name."""
    found: dict[str, dict[str, Any]] = {}
    async for name, item in platform.owner.export(Subject(account_id), (), wanted):
        assert item.kind == "json"
        content = b"".join([block async for block in item.content])
        found.setdefault(name, {})[item.name] = json.loads(content)
    return found


async def test_it_answers_for_its_classes_of_the_policy_and_no_others(platform: Platform) -> None:
    mine = {name for name, one in load_policy().classes.items() if one.service == "accounts"}
    assert set(platform.owner.names) == mine
    with refused(InvalidError, "data_class"):
        await platform.owner.sweep("member_mail", platform.now, 10)


def test_every_field_of_every_collection_is_in_a_class() -> None:
    policy = load_policy()
    for collection in COLLECTIONS:
        named = {field for one in policy.classes.values() for field in one.where.get(collection.name, ())}
        assert set(collection.fields) <= named | {"version"}, collection.name
        assert set(collection.index_fields) <= set(collection.fields)


async def test_the_inventory_counts_what_is_held_and_says_what_goes_first(platform: Platform, ada: Account) -> None:
    await platform.sign_up(make_wish("bob@sealpost.test"))
    dying = platform.again()
    dying.store.after = die_at(1)
    with pytest.raises(Crash):
        await dying.sign_up(make_wish("eve@sealpost.test"))
    _, session = await platform.graph.signed_in.start(ada)
    await platform.graph.forwards.add(ada, TARGET)
    await platform.graph.staff.grant(ADA, Role.SUPPORT)
    await platform.graph.staff.close_account("bob@sealpost.test")
    held = await platform.owner.inventory()
    counted = {name: (one.count, one.first_due, one.erasing) for name, one in held.items() if one.count}
    assert counted == {
        "account": (3, platform.now + 3600, 0),
        "address_claim": (2, platform.now + 180 * 86400, 0),
        "session": (1, session.idle_end, 0),
        "forward": (1, platform.now + 48 * 3600, 0),
        "role": (1, 0, 0),
    }


async def test_everything_goes_at_its_time_and_not_before(platform: Platform, ada: Account) -> None:
    bob = await platform.sign_up(make_wish("bob@sealpost.test"))
    dying = platform.again()
    dying.store.after = die_at(1)
    with pytest.raises(Crash):
        await dying.sign_up(make_wish("eve@sealpost.test"))
    _, session = await platform.graph.signed_in.start(ada)
    await platform.graph.forwards.add(ada, TARGET)
    await platform.erase(bob)
    start = platform.now
    ends = {
        "session": session.idle_end,
        "account": start + 3600,
        "forward": start + 48 * 3600,
        "address_claim": start + 180 * 86400,
    }
    for name, end in ends.items():
        platform.clock.advance(end - platform.now - 1)
        assert await platform.swept(name) == 0
        # The caller's clock may be ahead; nothing goes before its time by ours.
        assert (await platform.owner.sweep(name, platform.now + 10**9, 100)).deleted == 0
        platform.clock.advance(1)
        assert (await platform.owner.sweep(name, platform.now - 1, 100)).deleted == 0
        assert await platform.swept(name) == 1
    assert platform.keys("accounts") == {ada.account_id}


async def test_sweeping_is_bounded_and_says_when_more_is_left(platform: Platform) -> None:
    for number in range(3):
        dying = platform.again()
        dying.store.after = die_at(1)
        with pytest.raises(Crash):
            await dying.sign_up(make_wish(f"left{number}@sealpost.test"))
    platform.clock.advance(hours=1)
    owner = platform.owner
    first = await owner.sweep("account", platform.now, 2)
    second = await owner.sweep("account", platform.now, 2)
    assert [(one.deleted, one.more) for one in (first, second)] == [(2, True), (1, False)]


async def test_the_owner_gets_everything_in_clear(platform: Platform, wish: SignUp, ada: Account) -> None:
    graph = platform.graph
    await graph.signed_in.start(ada)
    await graph.programs.create(ada.account_id, CredentialKind.API_KEY, "Büro", ["mail:read"])
    await graph.forwards.add(ada, TARGET)
    await graph.staff.grant(ADA, Role.SUPPORT)
    asked = await graph.erasures.request(ada.account_id)
    found = await exported(platform, ada.account_id)
    assert {"account", "address_claim", "session", "credential", "forward", "role"} <= set(found)
    account = found["account"]["account.json"]
    key = found["account"]["private-key.json"]
    assert (key["address"], key["wrapped_private_key"]) == (ADA, account["wrapped_private_key"])
    assert key["kdf"] == {"algorithm": "argon2id", **account["kdf"]}
    assert wish.recovery is not None
    assert account == {
        "account_id": ada.account_id,
        "mailbox_id": ada.mailbox_id,
        "profile": "sealed",
        "address": ADA,
        "created_day": ada.created_day,
        "roles": ["support"],
        "fingerprint": wish.fingerprint,
        "kdf": {
            "salt": base64.b64encode(wish.kdf.salt).decode(),
            "memory_kib": wish.kdf.memory_kib,
            "iterations": wish.kdf.iterations,
            "parallelism": wish.kdf.parallelism,
        },
        "wrapped_private_key": base64.b64encode(wish.wrapped_private_key).decode(),
        "recovery": {"wrapped_private_key": base64.b64encode(wish.recovery.wrapped_private_key).decode()},
        "erasure": {"asked_at": asked.erasure.asked_at, "due": asked.erasure.due},
    }
    assert found["credential"]["credential-00.json"]["label"] == "Büro"
    assert found["forward"]["forward-00.json"]["address"] == TARGET
    assert found["role"]["role-support.json"]["granted_day"] == ada.created_day
    assert list(found["session"]) == ["sessions-000001.json"]
    assert await exported(platform, new_id()) == {}


async def test_a_disclosure_gets_the_facts_of_the_policy_and_nothing_else(platform: Platform, ada: Account) -> None:
    graph = platform.graph
    await graph.signed_in.start(ada)
    await graph.programs.create(ada.account_id, CredentialKind.API_KEY, "x", ["mail:read"])
    await graph.forwards.add(ada, TARGET)
    await graph.staff.grant(ADA, Role.SUPPORT)
    found = await exported(platform, ada.account_id, Wanted(disclosure=True))
    assert found == {
        "account": {
            "account.json": {
                "account_id": ada.account_id,
                "address": ADA,
                "profile": "sealed",
                "created_day": ada.created_day,
            }
        }
    }


async def test_of_an_account_that_is_being_erased_nothing_is_exported(platform: Platform, ada: Account) -> None:
    await platform.graph.signed_in.start(ada)
    await platform.graph.erasures.at_once(ada.account_id)
    found = await exported(platform, ada.account_id)
    assert "account" not in found and "credential" not in found
