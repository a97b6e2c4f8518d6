"""Roles (E3, E12 of the policy) and the closing of accounts (E6)."""

from __future__ import annotations

import asyncio

import pytest

from libs.owner.model import Subject
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import (
    ConflictError,
    ExhaustedError,
    InvalidError,
    NotFoundError,
    SealpostError,
    UnauthenticatedError,
    UnavailableError,
)
from services.accounts.domain.directory import Status
from services.accounts.domain.model import CredentialKind, Role
from tests.unit.accounts.support import Crash, Platform, die_at, down, make_wish, refused

NAMES = [f"{name}@sealpost.test" for name in ("ada", "bob", "eve", "joe")]
ADA = NAMES[0]


async def roles_of(platform: Platform, account_id: str) -> tuple[Role, ...]:
    account = await platform.graph.accounts.get(account_id)
    assert account is not None
    return account.roles


async def test_roles_are_given_and_taken_by_address(platform: Platform) -> None:
    ada = await platform.sign_up(make_wish())
    staff = platform.graph.staff
    for role in (Role.STATISTICS, Role.OPERATOR, Role.OPERATOR):
        await staff.grant("ADA@sealpost.test", role)
    assert await roles_of(platform, ada.account_id) == (Role.OPERATOR, Role.STATISTICS)
    assert [(role, address) for role, _, address in await staff.holders()] == [
        (Role.OPERATOR, ADA),
        (Role.STATISTICS, ADA),
    ]
    for _ in range(2):
        await staff.revoke(ADA, Role.OPERATOR)
    assert await roles_of(platform, ada.account_id) == (Role.STATISTICS,)
    assert [role for role, _, _ in await staff.holders()] == [Role.STATISTICS]


async def test_nobody_has_a_role_by_himself(platform: Platform) -> None:
    ada = await platform.sign_up(make_wish())
    assert ada.roles == ()


@pytest.mark.parametrize("given", ["nobody@sealpost.test", "x@public.sealpost.test", "x@elsewhere.example"])
async def test_an_address_without_account_is_told_as_such(platform: Platform, given: str) -> None:
    for call in (platform.graph.staff.grant(given, Role.SUPPORT), platform.graph.staff.revoke(given, Role.SUPPORT)):
        with refused(NotFoundError, "account_not_found"):
            await call
    with refused(NotFoundError, "account_not_found"):
        await platform.graph.staff.close_account(given)
    with refused(InvalidError, "address_invalid"):
        await platform.graph.staff.close_account("")


async def test_statistics_has_a_maximum_of_holders(platform: Platform) -> None:
    service = platform.again({"statistics_holders": 2})
    for name in NAMES:
        await service.sign_up(make_wish(name))
    for name in NAMES[:2]:
        await service.graph.staff.grant(name, Role.STATISTICS)
    with refused(ExhaustedError, "too_many_holders"):
        await service.graph.staff.grant(NAMES[2], Role.STATISTICS)
    await service.graph.staff.grant(NAMES[0], Role.STATISTICS)
    await service.graph.staff.revoke(NAMES[0], Role.STATISTICS)
    await service.graph.staff.grant(NAMES[2], Role.STATISTICS)
    for name in NAMES:
        await service.graph.staff.grant(name, Role.SUPPORT)


async def test_the_last_slot_is_given_away_once(platform: Platform) -> None:
    service = platform.again({"statistics_holders": 1})
    accounts = [await service.sign_up(make_wish(name)) for name in NAMES]
    results = await asyncio.gather(
        *(service.graph.staff.grant(name, Role.STATISTICS) for name in NAMES), return_exceptions=True
    )
    assert sum(result is None for result in results) == 1
    assert {result.reason for result in results if isinstance(result, SealpostError)} == {"too_many_holders"}
    roles = [await roles_of(platform, account.account_id) for account in accounts]
    assert sorted(roles) == [(), (), (), (Role.STATISTICS,)]


async def test_holders_are_listed_with_their_day_and_revoked_by_account(platform: Platform) -> None:
    ada = await platform.sign_up(make_wish())
    staff = platform.graph.staff
    await staff.grant(ADA, Role.STATISTICS)
    ((grant, address),) = await staff.holders_of(Role.STATISTICS)
    assert (address, grant.account_id) == (ADA, ada.account_id)
    assert grant.granted_day == unix_seconds(platform.clock) // 86400
    assert staff.most(Role.STATISTICS) == 5
    for _ in range(2):
        await staff.revoke_from(ada.account_id, Role.STATISTICS)
    assert await staff.holders_of(Role.STATISTICS) == [] and await roles_of(platform, ada.account_id) == ()
    await staff.revoke_from("0" * 32, Role.STATISTICS)


async def test_the_slot_of_an_account_that_is_gone_is_freed(platform: Platform) -> None:
    ada = await platform.sign_up(make_wish())
    await platform.graph.staff.grant(ADA, Role.STATISTICS)
    await platform.graph.accounts.delete(ada.account_id)
    assert [address for _, address in await platform.graph.staff.holders_of(Role.STATISTICS)] == [""]
    await platform.graph.staff.revoke_from(ada.account_id, Role.STATISTICS)
    assert platform.keys("grants") == set()


async def test_a_lowered_maximum_admits_nobody_until_enough_have_gone(platform: Platform) -> None:
    for name in NAMES:
        await platform.sign_up(make_wish(name))
    for name in NAMES[:3]:
        await platform.graph.staff.grant(name, Role.STATISTICS)
    service = platform.again({"statistics_holders": 2})
    await service.graph.staff.revoke(NAMES[0], Role.STATISTICS)
    with refused(ExhaustedError, "too_many_holders"):
        await service.graph.staff.grant(NAMES[3], Role.STATISTICS)


async def test_nobody_may_hold_statistics_where_the_maximum_is_none(platform: Platform) -> None:
    await platform.sign_up(make_wish())
    with refused(ExhaustedError, "too_many_holders"):
        await platform.again({"statistics_holders": 0}).graph.staff.grant(ADA, Role.STATISTICS)


async def test_a_crash_while_granting_leaves_no_holder_without_a_slot(platform: Platform) -> None:
    ada = await platform.sign_up(make_wish())
    dying = platform.again({"statistics_holders": 1})
    dying.store.after = die_at(1)
    with pytest.raises(Crash):
        await dying.graph.staff.grant(ADA, Role.STATISTICS)
    assert await roles_of(platform, ada.account_id) == ()
    assert platform.keys("grants") == {"statistics/0"}
    await platform.again({"statistics_holders": 1}).graph.staff.grant(ADA, Role.STATISTICS)
    assert await roles_of(platform, ada.account_id) == (Role.STATISTICS,)


async def test_a_crash_while_revoking_leaves_no_holder(platform: Platform) -> None:
    ada = await platform.sign_up(make_wish())
    await platform.graph.staff.grant(ADA, Role.STATISTICS)
    dying = platform.again()
    dying.store.after = die_at(1)
    with pytest.raises(Crash):
        await dying.graph.staff.revoke(ADA, Role.STATISTICS)
    assert await roles_of(platform, ada.account_id) == ()
    await platform.again().graph.staff.revoke(ADA, Role.STATISTICS)
    assert platform.keys("grants") == set()


async def test_rivals_do_not_undo_each_others_roles(platform: Platform) -> None:
    ada = await platform.sign_up(make_wish())
    other = platform.again()

    async def grant_first(kind: str, collection: object) -> None:
        if kind == "patch":
            other.store.before = None
            await platform.graph.staff.grant(ADA, Role.DISCLOSURE)

    other.store.before = grant_first
    await other.graph.staff.grant(ADA, Role.SUPPORT)
    assert await roles_of(platform, ada.account_id) == (Role.DISCLOSURE, Role.SUPPORT)


async def test_a_closed_account_is_erased_and_its_address_taken_for_a_while(platform: Platform) -> None:
    wish = make_wish()
    ada = await platform.sign_up(wish)
    token, _ = await platform.graph.signed_in.start(ada)
    made = await platform.graph.programs.create(ada.account_id, CredentialKind.API_KEY, "x", ["mail:read"])
    await platform.graph.staff.grant(ADA, Role.OPERATOR)
    assert await platform.graph.staff.close_account(ADA)
    for call in (
        platform.graph.signed_in.authenticate(token),
        platform.graph.programs.by_api_key(made.secret),
        platform.graph.access.sign_in(ADA, wish.authentication_key),
    ):
        with pytest.raises(UnauthenticatedError):
            await call
    with refused(ConflictError, "erasure_begun"):
        await platform.graph.erasures.cancel(ada.account_id)
    assert [one.account_id for one in await platform.graph.erasures.due(platform.now, 10)] == [ada.account_id]
    await platform.erase(ada)
    for collection in ("accounts", "sessions", "credentials", "grants"):
        assert platform.keys(collection) == set()
    with refused(ConflictError, "address_taken"):
        await platform.sign_up(make_wish())
    with refused(ConflictError, "address_taken"):
        await platform.sign_up(wish)
    with refused(NotFoundError, "account_not_found"):
        await platform.graph.staff.grant(ADA, Role.SUPPORT)
    assert await platform.graph.staff.close_account(ADA) == ""
    platform.clock.advance(days=179)
    assert await platform.swept("address_claim") == 0
    platform.clock.advance(days=1)
    assert await platform.swept("address_claim") == 1
    assert (await platform.sign_up(make_wish())).account_id != ada.account_id


@pytest.mark.parametrize("write", range(1, 4))
async def test_a_crash_while_closing_is_finished_by_closing_again(platform: Platform, write: int) -> None:
    wish = make_wish()
    ada = await platform.sign_up(wish)
    token, _ = await platform.graph.signed_in.start(ada)
    dying = platform.again()
    dying.store.after = die_at(write)
    with pytest.raises(Crash):
        await dying.graph.staff.close_account(ADA)
    if write > 1:
        with refused(UnauthenticatedError, "session_invalid"):
            await platform.graph.signed_in.authenticate(token)
    await platform.graph.staff.close_account(ADA)
    with refused(UnauthenticatedError, "bad_proof"):
        await platform.graph.access.sign_in(ADA, wish.authentication_key)
    assert (await platform.graph.directory.resolve([ADA]))[0].status is Status.SUSPENDED
    await platform.erase(ada)
    for collection in ("accounts", "sessions"):
        assert platform.keys(collection) == set()


async def test_each_change_of_a_role_is_announced_once_and_names_nobody(platform: Platform) -> None:
    ada = await platform.sign_up(make_wish())
    staff = platform.graph.staff
    for _ in range(2):
        await staff.grant(ADA, Role.OPERATOR)
        await staff.grant(ADA, Role.SUPPORT)
    for _ in range(2):
        await staff.revoke(ADA, Role.SUPPORT)
    waiting = [one.event for one in await platform.store.pending_events(10)]
    assert len({event.event_id for event in waiting}) == 3
    assert not any(ada.account_id.encode() in event.payload for event in waiting)
    told = [(one.role, one.granted) for one in await platform.published()]
    assert sorted(told) == [("operator", True), ("support", False), ("support", True)]
    # With the account a role goes too, and that is told by what stays of it.
    await staff.close_account(ADA)
    await staff.close_account(ADA)
    await platform.owner.erase(Subject(ada.account_id, ada.mailbox_id), 100)
    assert platform.keys("accounts") == set()
    assert [(one.role, one.granted) for one in await platform.published()] == [("operator", False)]


async def test_an_account_stays_until_what_it_announces_is_published(platform: Platform) -> None:
    ada = await platform.sign_up(make_wish())
    await platform.graph.staff.grant(ADA, Role.OPERATOR)
    await platform.graph.staff.close_account(ADA)
    with refused(UnavailableError, "announcements_wait"):
        await platform.owner.erase(Subject(ada.account_id, ada.mailbox_id), 100)
    assert len(await platform.published()) == 2
    await platform.owner.erase(Subject(ada.account_id, ada.mailbox_id), 100)
    assert platform.keys("accounts") == set()


async def test_an_operator_who_left_gets_no_mail_any_more(platform: Platform) -> None:
    wish = make_wish()
    await platform.sign_up(wish)
    bob = await platform.sign_up(make_wish("bob@sealpost.test"))
    for name in NAMES[:2]:
        await platform.graph.staff.grant(name, Role.OPERATOR)
    ada = await platform.graph.access.sign_in(ADA, wish.authentication_key)
    await platform.graph.staff.close_account(ADA)
    await platform.erase(ada)
    (route,) = await platform.graph.directory.resolve(["postmaster"])
    assert route.account_id == bob.account_id


async def test_a_store_that_is_down_is_told_as_such(platform: Platform) -> None:
    platform.store.before = down
    with pytest.raises(UnavailableError):
        await platform.graph.staff.grant(ADA, Role.OPERATOR)
