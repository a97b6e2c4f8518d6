"""Addresses that get copies: asked, confirmed in time, stopped by either side, and nothing of them in clear."""

from __future__ import annotations

import pytest

from libs.docstore.store import Collection
from libs.runtime.errors import ConflictError, ExhaustedError, InvalidError, NotFoundError, UnauthenticatedError
from services.accounts.domain.forwards import Added
from services.accounts.domain.model import Account, ForwardState
from tests.unit.accounts.support import Crash, Platform, make_wish, refused

TARGET = "Ada.Private@mail.example"


@pytest.fixture
async def ada(platform: Platform) -> Account:
    return await platform.sign_up(make_wish())


async def add(platform: Platform, account: Account, address: str = TARGET) -> Added:
    return await platform.graph.forwards.add(account, address)


async def targets(platform: Platform, account: Account) -> list[str]:
    """Return what ingest would be told."""
    (route,) = await platform.graph.directory.resolve(["ada@sealpost.test"])
    if not route.forwards:
        return []
    return list((await platform.graph.forwards.active([account.account_id]))[account.account_id])


async def states(platform: Platform, account: Account) -> list[tuple[str, str]]:
    return [(address, one.state.value) for one, address in await platform.graph.forwards.list(account.account_id)]


async def test_an_address_counts_once_it_is_confirmed(platform: Platform, ada: Account) -> None:
    added = await add(platform, ada)
    assert await states(platform, ada) == [(TARGET, "pending")]
    assert await targets(platform, ada) == []
    await platform.graph.forwards.confirm(added.token)
    await platform.graph.forwards.confirm(added.token)
    assert await targets(platform, ada) == [TARGET]
    assert await targets(platform.again(), ada) == [TARGET]


async def test_whoever_reads_there_stops_it_before_and_after(platform: Platform, ada: Account) -> None:
    forwards = platform.graph.forwards
    early, late = await add(platform, ada), await add(platform, ada, "second@mail.example")
    await forwards.stop(early.token)
    await forwards.confirm(late.token)
    await forwards.stop(late.token)
    await forwards.stop(late.token)
    assert await targets(platform, ada) == []
    assert await states(platform, ada) == [(TARGET, "stopped"), ("second@mail.example", "stopped")]
    for one in (early, late):
        with refused(NotFoundError, "forward_unknown"):
            await forwards.confirm(one.token)
    assert not (await platform.graph.directory.resolve(["ada@sealpost.test"]))[0].forwards


async def test_after_48_hours_it_can_be_stopped_no_more_and_confirmed_no_more(platform: Platform, ada: Account) -> None:
    forwards = platform.graph.forwards
    added = await add(platform, ada)
    platform.clock.advance(hours=48)
    with refused(NotFoundError, "forward_unknown"):
        await forwards.confirm(added.token)
    assert await states(platform, ada) == []
    # The slot is free at once, and the old token is worth nothing.
    again = await add(platform, ada)
    with refused(NotFoundError, "forward_unknown"):
        await forwards.confirm(added.token)
    await forwards.confirm(again.token)
    platform.clock.advance(days=400)
    assert await platform.swept("forward") == 0
    assert await targets(platform, ada) == [TARGET]


async def test_the_owner_deletes_it_and_nobody_else_does(platform: Platform, ada: Account) -> None:
    bob = await platform.sign_up(make_wish("bob@sealpost.test"))
    added = await add(platform, ada)
    await platform.graph.forwards.confirm(added.token)
    with refused(NotFoundError, "forward_not_found"):
        await platform.graph.forwards.delete(bob.account_id, added.forward.forward_id)
    await platform.graph.forwards.delete(ada.account_id, added.forward.forward_id)
    assert await targets(platform, ada) == []
    with refused(NotFoundError, "forward_unknown"):
        await platform.graph.forwards.stop(added.token)


async def test_three_addresses_each_once(platform: Platform, ada: Account) -> None:
    for name in ("one", "two", "three"):
        await add(platform, ada, f"{name}@mail.example")
    with refused(ExhaustedError, "too_many_forwards"):
        await add(platform, ada)
    with refused(ConflictError, "forward_exists"):
        await add(platform, ada, "TWO@mail.example")


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("ada", "forward_address"),
        ("a b@mail.example", "forward_address"),
        ("a@mail.example\r\nBcc: x@y.example", "forward_address"),
        ('"a"@mail.example', "forward_address"),
        ("a@[127.0.0.1]", "forward_address"),
        ("a@localhost", "forward_address"),
        ("box@public.sealpost.test", "forward_public"),
        ("ADA+x@sealpost.test", "forward_own"),
        ("postmaster@sealpost.test", "forward_own"),
    ],
)
async def test_addresses_that_cannot_be(platform: Platform, ada: Account, address: str, reason: str) -> None:
    with refused(InvalidError, reason):
        await add(platform, ada, address)


async def test_other_members_can_be_asked(platform: Platform, ada: Account) -> None:
    assert (await add(platform, ada, "bob@sealpost.test")).address == "bob@sealpost.test"


@pytest.mark.parametrize("token", ["", "x", "A" * 43, "A" * 44, "\N{BULLET}" * 43])
async def test_tokens_that_were_never_given(platform: Platform, ada: Account, token: str) -> None:
    await add(platform, ada)
    for call in (platform.graph.forwards.confirm, platform.graph.forwards.stop):
        with refused(NotFoundError, "forward_unknown"):
            await call(token)


async def test_a_route_without_forwarding_costs_one_look(platform: Platform, ada: Account) -> None:
    await add(platform, ada)
    platform.store.calls.clear()
    assert not (await platform.graph.directory.resolve(["ada@sealpost.test"]))[0].forwards
    assert [name for _, name in platform.store.calls] == ["addresses"]


async def test_a_crash_between_the_two_writes_is_mended_by_the_next_click(platform: Platform, ada: Account) -> None:
    added = await add(platform, ada)

    async def die(kind: str, collection: Collection) -> None:
        if (kind, collection.name) == ("patch", "addresses"):
            raise Crash

    platform.store.before = die
    with pytest.raises(Crash):
        await platform.graph.forwards.confirm(added.token)
    platform.store.before = None
    assert await targets(platform, ada) == []
    await platform.graph.forwards.confirm(added.token)
    assert await targets(platform, ada) == [TARGET]


async def test_of_two_changes_at_once_the_flag_tells_the_later(platform: Platform, ada: Account) -> None:
    forwards = platform.graph.forwards
    old, new = await add(platform, ada, "old@mail.example"), await add(platform, ada, "new@mail.example")
    await forwards.confirm(old.token)
    once: list[int] = []

    async def meanwhile(kind: str, collection: Collection) -> None:
        if (kind, collection.name) == ("patch", "addresses") and not once:
            once.append(1)
            await platform.again().graph.forwards.confirm(new.token)

    platform.store.before = meanwhile
    await forwards.delete(ada.account_id, old.forward.forward_id)
    assert once
    assert await targets(platform, ada) == ["new@mail.example"]


async def test_a_closed_account_forwards_nothing_and_leaves_nothing(platform: Platform, ada: Account) -> None:
    added = await add(platform, ada)
    await platform.graph.forwards.confirm(added.token)
    await platform.graph.staff.close_account("ada@sealpost.test")
    assert not (await platform.graph.directory.resolve(["ada@sealpost.test"]))[0].forwards
    await platform.erase(ada)
    assert platform.keys("forwards") == set()


async def test_adding_needs_the_password(platform: Platform) -> None:
    wish = make_wish()
    ada = await platform.sign_up(wish)
    assert (await platform.graph.access.prove(ada.account_id, wish.authentication_key)).account_id == ada.account_id
    with refused(UnauthenticatedError, "bad_proof"):
        await platform.graph.access.prove(ada.account_id, b"x" * 32)


async def test_the_files_hold_neither_address_nor_token(platform: Platform, ada: Account) -> None:
    added = await add(platform, ada)
    await platform.graph.forwards.confirm(added.token)
    held = b"".join(path.read_bytes() for path in platform.path.parent.iterdir())
    for mark in (TARGET, TARGET.lower(), "mail.example", added.token):
        assert mark.encode() not in held
    assert ForwardState.ACTIVE.value.encode() in held
