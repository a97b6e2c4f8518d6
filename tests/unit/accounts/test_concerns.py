"""Concerns: whose turn it is, who sees what, how many, how long, and nothing of them in clear."""

from __future__ import annotations

import asyncio

import pytest

from libs.docstore.store import Collection, Patch
from libs.runtime.errors import (
    ConflictError,
    ExhaustedError,
    InternalError,
    InvalidError,
    NotFoundError,
    UnavailableError,
)
from libs.runtime.ids import new_id
from services.accounts.domain.concerns import MAX_CHARACTERS, MAX_ENTRIES, MAX_KEPT, MAX_OPEN, Thread
from services.accounts.domain.model import Account
from services.accounts.domain.rights_ports import About, ConcernState
from services.accounts.repository.concerns import CONCERNS
from tests.unit.accounts.rights_support import RightsPlatform, run_rights
from tests.unit.accounts.support import Platform, down, refused

DAY = 86400
TEXT = "You hold a wrong name of mine."


@pytest.fixture
async def world(platform: Platform) -> RightsPlatform:
    return run_rights(platform, active=1)


async def raise_one(world: RightsPlatform, account: Account, text: str = TEXT) -> Thread:
    return await world.concerns.open(account.account_id, About.CORRECTION, text)


async def test_a_conversation(world: RightsPlatform) -> None:
    ada = await world.sign_up("ada")
    opened = await raise_one(world, ada)
    concern_id = opened.concern.concern_id
    assert opened.concern.state is ConcernState.OPEN
    assert opened.address == ""
    world.clock.advance(hours=1)
    answered = await world.concerns.add("", concern_id, "Which one?")
    assert answered.concern.state is ConcernState.ANSWERED
    assert answered.address == "ada@sealpost.test"
    world.clock.advance(hours=1)
    assert (await world.concerns.add(ada.account_id, concern_id, "Ædå")).concern.state is ConcernState.OPEN
    closed = await world.concerns.close("", concern_id)
    assert closed.concern.state is ConcernState.CLOSED
    assert (await world.concerns.close(ada.account_id, concern_id)).concern == (
        await world.concerns.get(ada.account_id, concern_id)
    ).concern
    seen = await world.concerns.get(ada.account_id, concern_id)
    assert [(one.by_staff, one.text) for one in seen.entries] == [(False, TEXT), (True, "Which one?"), (False, "Ædå")]
    assert [one.at for one in seen.entries] == [world.now - 7200, world.now - 3600, world.now]
    for account_id in ("", ada.account_id):
        with refused(ConflictError, "concern_closed"):
            await world.concerns.add(account_id, concern_id, "One more thing")


async def test_nobody_elses(world: RightsPlatform) -> None:
    ada, bob = await world.sign_up("ada"), await world.sign_up("bob")
    concern_id = (await raise_one(world, ada)).concern.concern_id
    for account_id, wanted in ((bob.account_id, concern_id), ("", new_id()), (ada.account_id, "no id")):
        for call in (
            world.concerns.get(account_id, wanted),
            world.concerns.add(account_id, wanted, "Hello"),
            world.concerns.close(account_id, wanted),
        ):
            with refused(NotFoundError, "concern_not_found"):
                await call
    assert await world.concerns.listed(bob.account_id, 10) == []


async def test_staff_sees_first_who_has_waited_longest(world: RightsPlatform) -> None:
    ada, bob = await world.sign_up("ada"), await world.sign_up("bob")
    first, second, third, fourth = [await later(world, account) for account in (ada, bob, ada, bob)]
    await world.concerns.add("", first, "Answered")
    world.clock.advance(60)
    await world.concerns.close("", third)
    world.clock.advance(60)
    await world.concerns.add(bob.account_id, second, "Still waiting")
    listed = await world.concerns.listed("", 50)
    assert [one.concern.concern_id for one in listed] == [fourth, second, first, third]
    assert [one.address.partition("@")[0] for one in listed] == ["bob", "bob", "ada", "ada"]
    assert all(one.entries == () for one in listed)
    assert [one.concern.concern_id for one in await world.concerns.listed("", 3)] == [fourth, second, first]
    # An owner sees what changed last first.
    assert [one.concern.concern_id for one in await world.concerns.listed(ada.account_id, 10)] == [third, first]
    for limit in (0, MAX_KEPT + 1):
        with refused(InvalidError, "limit"):
            await world.concerns.listed("", limit)


async def later(world: RightsPlatform, account: Account) -> str:
    world.clock.advance(60)
    return (await raise_one(world, account)).concern.concern_id


@pytest.mark.parametrize("text", ["", " \n ", "a" * (MAX_CHARACTERS + 1), "a\x00b", "a\x1b[2Jb", "a\x7f"])
async def test_texts_that_cannot_be(world: RightsPlatform, text: str) -> None:
    ada = await world.sign_up("ada")
    with refused(InvalidError, "text"):
        await raise_one(world, ada, text)
    concern_id = (await raise_one(world, ada)).concern.concern_id
    with refused(InvalidError, "text"):
        await world.concerns.add(ada.account_id, concern_id, text)


async def test_the_longest_text_comes_back(world: RightsPlatform) -> None:
    ada = await world.sign_up("ada")
    text = "\U0001f512\n" * (MAX_CHARACTERS // 2)
    concern_id = (await raise_one(world, ada, text)).concern.concern_id
    assert (await world.concerns.get("", concern_id)).entries[0].text == text


async def test_twenty_open_at_a_time_also_at_once(world: RightsPlatform) -> None:
    ada = await world.sign_up("ada")
    results = await asyncio.gather(*(raise_one(world, ada) for _ in range(MAX_OPEN + 5)), return_exceptions=True)
    opened = [one for one in results if isinstance(one, Thread)]
    while len(opened) < MAX_OPEN:
        opened.append(await raise_one(world, ada))
    assert world.platform.keys("concerns") == {one.concern.concern_id for one in opened}
    with refused(ExhaustedError, "too_many_concerns"):
        await raise_one(world, ada)
    await world.concerns.close(ada.account_id, opened[7].concern.concern_id)
    await raise_one(world, ada)
    with refused(ExhaustedError, "too_many_concerns"):
        await raise_one(world, ada)


async def test_fifty_entries_the_last_of_them_staffs(world: RightsPlatform) -> None:
    ada = await world.sign_up("ada")
    concern_id = (await raise_one(world, ada)).concern.concern_id
    for _ in range(MAX_ENTRIES - 2):
        await world.concerns.add(ada.account_id, concern_id, "And another")
    with refused(ExhaustedError, "concern_full"):
        await world.concerns.add(ada.account_id, concern_id, "And another")
    await world.concerns.add("", concern_id, "Enough")
    with refused(ExhaustedError, "concern_full"):
        await world.concerns.add("", concern_id, "Really")
    assert len((await world.concerns.get("", concern_id)).entries) == MAX_ENTRIES


async def test_both_sides_at_once(world: RightsPlatform) -> None:
    ada = await world.sign_up("ada")
    concern_id = (await raise_one(world, ada)).concern.concern_id
    await asyncio.gather(
        world.concerns.add(ada.account_id, concern_id, "Owner"), world.concerns.add("", concern_id, "Staff")
    )
    entries = (await world.concerns.get("", concern_id)).entries
    assert {(one.by_staff, one.text) for one in entries[1:]} == {(False, "Owner"), (True, "Staff")}


async def test_how_long_a_closed_one_is_kept_is_fixed_when_it_is_closed(world: RightsPlatform) -> None:
    world.put(2, concern_seconds=10 * DAY)
    ada = await world.sign_up("ada")
    concern_id = (await raise_one(world, ada)).concern.concern_id
    assert (await world.concerns.get("", concern_id)).concern.due == 0
    assert (await world.concerns.close("", concern_id)).concern.due == world.now + 10 * DAY
    assert (await world.concerns.close("", concern_id)).concern.due == world.now + 10 * DAY


async def test_entries_are_sealed_each_at_its_place(world: RightsPlatform) -> None:
    ada = await world.sign_up("ada")
    concern_id = (await raise_one(world, ada)).concern.concern_id
    await world.concerns.add("", concern_id, "Staff says so")
    document = await world.store.get(CONCERNS, concern_id)
    assert document is not None
    entries = document.body["entries"]
    assert isinstance(entries, list)
    assert not any(word in bytes(entry) for entry in entries for word in (b"wrong name", b"Staff"))  # type: ignore[arg-type]
    await world.store.write(Patch(CONCERNS, concern_id, {"entries": entries[::-1]}))
    with refused(InternalError, "account_damaged"):
        await world.concerns.get("", concern_id)


async def test_an_account_that_goes_takes_its_concern_along(world: RightsPlatform) -> None:
    ada, bob = await world.sign_up("ada"), await world.sign_up("bob")
    kept = (await raise_one(world, ada)).concern.concern_id

    async def vanish(kind: str, collection: Collection) -> None:
        if kind == "insert" and collection.name == "concerns":
            await world.platform.graph.accounts.delete(bob.account_id)

    world.store.after = vanish
    with refused(NotFoundError, "account_not_found"):
        await raise_one(world, bob)
    assert world.platform.keys("concerns") == {kept}
    # One that is not erased yet is nobody's any more.
    await world.platform.graph.accounts.delete(ada.account_id)
    assert await world.concerns.listed("", 10) == []
    with refused(NotFoundError, "concern_not_found"):
        await world.concerns.get("", kept)


async def test_the_store_does_not_answer(world: RightsPlatform) -> None:
    ada = await world.sign_up("ada")
    concern_id = (await raise_one(world, ada)).concern.concern_id
    world.store.before = down
    for call in (
        raise_one(world, ada),
        world.concerns.get("", concern_id),
        world.concerns.add("", concern_id, "Hello"),
        world.concerns.close("", concern_id),
        world.concerns.listed("", 10),
    ):
        with refused(UnavailableError, "storage_unavailable"):
            await call
