"""Notices: who is still to be told, who was told in time, what an answer means, and whose terms hold."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from libs.docstore.store import Patch
from libs.runtime.errors import ConflictError, InvalidError, NotFoundError, UnavailableError
from libs.runtime.ids import new_id
from services.accounts.domain.model import Account, Answer, Profile
from services.accounts.domain.notices import Marking, NoticeState
from services.accounts.repository.accounts import ACCOUNTS
from tests.unit.accounts.rights_support import RELAY, RightsPlatform, run_rights
from tests.unit.accounts.support import Platform, down, make_wish, refused

DAY = 86400
BOTH = (Profile.SEALED, Profile.RELAY)


@pytest.fixture
async def world(platform: Platform) -> RightsPlatform:
    return run_rights(platform, active=1)


def marking(world: RightsPlatform, version: int = 2, *profiles: Profile) -> Marking:
    now = world.now
    return Marking(version, now, now + 30 * DAY, now + 210 * DAY, profiles)


async def tell(world: RightsPlatform, *accounts: Account, version: int = 2) -> Marking:
    told = marking(world, version)
    await world.notices.mark(told, [account.account_id for account in accounts])
    return told


async def terms(world: RightsPlatform, account: Account) -> int:
    return world.notices.terms_of(await world.account(account))


async def test_everybody_of_a_profile_is_told_once(world: RightsPlatform) -> None:
    ada, bob = await world.sign_up("ada"), await world.sign_up("bob")
    program = await world.sign_up("app", RELAY)
    waiting = await world.notices.unnoticed(2, (Profile.SEALED,), 10)
    assert set(waiting) == {ada.account_id, bob.account_id}
    assert await world.notices.unnoticed(2, (Profile.RELAY,), 10) == [program.account_id]
    assert len(await world.notices.unnoticed(2, BOTH, 2)) == 2
    told = await tell(world, ada)
    assert await world.notices.unnoticed(2, (Profile.SEALED,), 10) == [bob.account_id]
    world.clock.advance(days=3)
    await tell(world, ada, bob)
    standing = (await world.account(ada)).standing
    assert (standing.noticed, standing.noticed_at, standing.told_at) == (2, told.at, told.at)
    # What he was told of dates may be put off, and never comes nearer.
    assert standing.effective == told.effective + 3 * DAY
    await world.notices.mark(replace(told, effective=1, old_until=1), [ada.account_id])
    assert (await world.account(ada)).standing == standing


async def test_thirty_days_are_thirty_days_for_the_last_one_told(world: RightsPlatform) -> None:
    ada, bob = await world.sign_up("ada"), await world.sign_up("bob")
    await tell(world, ada)
    world.clock.advance(days=1)
    state = world.notices.state
    assert await state(2, (Profile.SEALED,), world.now) == NoticeState(False, 1, 0)
    told = await tell(world, bob)
    assert await state(2, (Profile.SEALED,), told.at - 1) == NoticeState(False, 2, 0)
    assert await state(2, (Profile.SEALED,), told.at) == NoticeState(True, 2, 0)
    assert await state(2, (Profile.RELAY,), 0) == NoticeState(True, 0, 0)
    # Without profiles: of those to whom it is announced, and of nobody where it is not.
    assert not (await state(2, (), told.at - 1)).complete
    assert await state(2, (), told.at) == NoticeState(True, 2, 0)
    assert await state(3, (), 0) == NoticeState(True, 0, 0)
    await tell(world, ada, bob)
    assert await state(2, (Profile.SEALED,), told.at) == NoticeState(True, 2, 0)


async def test_whoever_signs_up_meanwhile_knows_and_puts_nothing_off(world: RightsPlatform) -> None:
    ada = await world.sign_up("ada")
    told = await tell(world, ada)
    world.clock.advance(days=20)
    bob = await world.sign_up("bob")
    standing = (await world.account(bob)).standing
    assert (standing.noticed, standing.noticed_at, standing.told_at) == (2, world.now, 0)
    assert (standing.effective, standing.old_until) == (told.effective, told.old_until)
    assert await world.notices.unnoticed(2, BOTH, 10) == []
    assert (await world.notices.state(2, BOTH, told.at)).complete
    # He is asked all the same, and may refuse.
    assert await world.notices.waiting(await world.account(bob)) == 2
    await world.notices.answer(bob.account_id, 2, False)
    world.put(2)
    assert await terms(world, bob) == 1


async def test_the_profiles_named_know_before_anybody_was_told(world: RightsPlatform) -> None:
    await world.notices.mark(marking(world, 2, Profile.SEALED), [])
    ada, program = await world.sign_up("ada"), await world.sign_up("app", RELAY)
    assert (ada.standing.noticed, program.standing.noticed) == (2, 1)
    assert await world.notices.unnoticed(2, (Profile.SEALED,), 10) == []


async def test_nothing_changes_before_it_takes_effect(world: RightsPlatform) -> None:
    ada = await world.sign_up("ada")
    await tell(world, ada)
    for accept in (True, False, True, False):
        await world.notices.answer(ada.account_id, 2, accept)
        assert await terms(world, ada) == 1
    assert (await world.notices.state(2, BOTH, world.now)).refused == 1


@pytest.mark.parametrize(("answer", "before", "after"), [(None, 2, 2), (True, 2, 2), (False, 1, 2)])
async def test_what_answers_mean_from_then_on(
    world: RightsPlatform, answer: bool | None, before: int, after: int
) -> None:
    ada = await world.sign_up("ada")
    told = await tell(world, ada)
    if answer is not None:
        await world.notices.answer(ada.account_id, 2, answer)
    world.clock.advance(days=31)
    world.put(2)
    assert await terms(world, ada) == before
    world.clock.advance(told.old_until - world.now - 1)
    assert await terms(world, ada) == before
    world.clock.advance(1)
    assert await terms(world, ada) == after


async def test_a_refusal_is_taken_back_later_and_a_silence_is_no_refusal_any_more(world: RightsPlatform) -> None:
    ada, bob = await world.sign_up("ada"), await world.sign_up("bob")
    await tell(world, ada, bob)
    await world.notices.answer(ada.account_id, 2, False)
    world.put(2)
    assert await world.notices.shown(await world.account(ada)) is not None
    assert await world.notices.shown(await world.account(bob)) is None
    with refused(ConflictError, "policy_version"):
        await world.notices.answer(bob.account_id, 2, False)
    with refused(ConflictError, "policy_version"):
        await world.notices.answer(bob.account_id, 2, True)
    await world.notices.answer(ada.account_id, 2, True)
    assert await terms(world, ada) == 2
    with refused(ConflictError, "policy_version"):
        await world.notices.answer(ada.account_id, 2, False)
    assert (await world.notices.state(2, BOTH, world.now)).refused == 0


async def test_silence_about_the_next_version_keeps_what_refusing_the_last_promised(world: RightsPlatform) -> None:
    ada, bob = await world.sign_up("ada"), await world.sign_up("bob")
    told = await tell(world, ada, bob)
    for account in (ada, bob):
        await world.notices.answer(account.account_id, 2, False)
    world.put(2)
    world.clock.advance(days=10)
    await tell(world, ada, bob, version=3)
    # Bob accepts the third: that is no word about the second, which he refused.
    await world.notices.answer(bob.account_id, 3, True)
    assert [await terms(world, ada), await terms(world, bob)] == [1, 1]
    world.put(3)
    assert [await terms(world, ada), await terms(world, bob)] == [1, 3]
    world.clock.advance(told.old_until - world.now)
    assert await terms(world, ada) == 3


async def test_a_version_taken_back_is_asked_about_no_more(world: RightsPlatform) -> None:
    ada, bob = await world.sign_up("ada"), await world.sign_up("bob")
    await tell(world, ada, bob)
    await world.notices.answer(ada.account_id, 2, False)
    await world.notices.withdraw(2, BOTH)
    await world.notices.withdraw(2, BOTH)
    assert await world.notices.waiting(await world.account(bob)) == 0
    with refused(ConflictError, "policy_version"):
        await world.notices.answer(bob.account_id, 2, False)
    assert (await world.sign_up("carl")).standing.noticed == 1
    # What was said about it is void once the next one is told.
    await tell(world, ada, bob, version=3)
    world.put(3)
    assert await terms(world, ada) == 3


async def test_answers_to_what_was_not_asked(world: RightsPlatform) -> None:
    ada = await world.sign_up("ada")
    for version in (0, 1, 2):
        with refused(ConflictError, "policy_version"):
            await world.notices.answer(ada.account_id, version, True)
    await tell(world, ada)
    with refused(ConflictError, "policy_version"):
        await world.notices.answer(ada.account_id, 3, False)
    with refused(NotFoundError, "account_not_found"):
        await world.notices.answer(new_id(), 2, False)


async def test_bad_marks(world: RightsPlatform) -> None:
    with refused(InvalidError, "version"):
        await world.notices.mark(marking(world, 0), [])
    with refused(InvalidError, "account_id"):
        await world.notices.mark(marking(world), ["ada"])
    with refused(InvalidError, "limit"):
        await world.notices.mark(marking(world), [new_id() for _ in range(1001)])
    for limit in (0, 1001):
        with refused(InvalidError, "limit"):
            await world.notices.unnoticed(2, BOTH, limit)
    # Gone meanwhile: nobody is left to tell.
    await world.notices.mark(marking(world), [new_id()])
    assert (await world.notices.state(2, BOTH, world.now)).noticed == 0


async def test_an_account_on_its_way_out_is_told_nothing(world: RightsPlatform) -> None:
    ada = await world.sign_up("ada")
    await world.store.write(Patch(ACCOUNTS, ada.account_id, {"erasing": 1, "noticed": None, "told_at": None}))
    assert await world.notices.unnoticed(2, BOTH, 10) == []
    await tell(world, ada)
    document = await world.store.get(ACCOUNTS, ada.account_id)
    assert document is not None
    assert document.body["noticed"] is None
    assert (await world.notices.state(2, BOTH, 0)).complete


async def test_marks_and_answers_at_once_lose_nothing(world: RightsPlatform) -> None:
    accounts = [await world.sign_up(f"user{number}") for number in range(8)]
    await asyncio.gather(*(tell(world, *accounts) for _ in range(3)))
    await asyncio.gather(
        tell(world, *accounts), *(world.notices.answer(account.account_id, 2, False) for account in accounts)
    )
    assert await world.notices.state(2, BOTH, world.now) == NoticeState(True, 8, 8)
    world.put(2)
    assert {await terms(world, account) for account in accounts} == {1}


async def test_the_store_does_not_answer(world: RightsPlatform) -> None:
    ada = await world.sign_up("ada")
    await tell(world, ada)
    world.store.before = down
    for call in (
        world.notices.answer(ada.account_id, 2, False),
        world.notices.mark(marking(world), [ada.account_id]),
        world.notices.unnoticed(2, BOTH, 1),
        world.notices.state(2, BOTH, 1),
    ):
        with refused(UnavailableError, "storage_unavailable"):
            await call
    world.store.before = None
    assert (await world.account(ada)).standing.answer is Answer.NONE


async def test_a_refusal_marks_the_claim_for_routes(world: RightsPlatform) -> None:
    ada = await world.sign_up("ada")
    await tell(world, ada)
    await world.notices.answer(ada.account_id, 2, True)
    assert not await world.keeps_terms(ada)
    await world.notices.answer(ada.account_id, 2, False)
    assert await world.keeps_terms(ada)


async def test_the_first_version_of_all_is_nobodys_notice(platform: Platform) -> None:
    world = run_rights(platform, active=0)
    ada = await world.platform.sign_up(make_wish())
    assert ada.standing.noticed == 0
    assert await terms(world, ada) == 0
    assert await world.notices.shown(ada) is None
