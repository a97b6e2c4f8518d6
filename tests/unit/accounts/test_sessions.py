"""Sessions; E4 of the policy, THREATS: session fixation. The clock is moved, nothing sleeps."""

from __future__ import annotations

import hashlib
import re

import pytest

from libs.runtime.errors import ConflictError, NotFoundError, UnauthenticatedError, UnavailableError
from libs.runtime.ids import new_id
from services.accounts.domain.model import Account, Role
from services.accounts.domain.sessions import SessionRules
from tests.unit.accounts.support import Crash, Platform, die_at, down, make_wish, refused
from tests.unit.accounts.test_access import new_password

WISH = make_wish()


@pytest.fixture
async def ada(platform: Platform) -> Account:
    return await platform.sign_up(WISH)


async def is_in(platform: Platform, token: str) -> bool:
    try:
        await platform.graph.signed_in.authenticate(token)
    except UnauthenticatedError as error:
        assert error.reason == "session_invalid"
        return False
    return True


async def test_a_token_tells_who_is_there(platform: Platform, ada: Account) -> None:
    token, session = await platform.graph.signed_in.start(ada)
    principal = await platform.again().graph.signed_in.authenticate(token)
    assert (principal.account_id, principal.mailbox_id) == (ada.account_id, ada.mailbox_id)
    assert (principal.scopes, principal.roles, principal.proof_id) == ((), (), session.session_id)


async def test_a_token_is_new_each_time_and_only_its_hash_is_kept(platform: Platform, ada: Account) -> None:
    tokens = {(await platform.graph.signed_in.start(ada))[0] for _ in range(5)}
    assert len(tokens) == 5
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", token) for token in tokens)
    assert platform.keys("sessions") == {hashlib.sha256(token.encode()).hexdigest() for token in tokens}


@pytest.mark.parametrize("given", ["", "x", "A" * 43, "A" * 42 + "\n", "é" * 43, "x" * 100_000])
async def test_a_token_of_somebody_elses_making_is_nobodys(platform: Platform, ada: Account, given: str) -> None:
    await platform.graph.signed_in.start(ada)
    with refused(UnauthenticatedError, "session_invalid"):
        await platform.graph.signed_in.authenticate(given)


async def test_a_session_ends_when_it_is_not_used(platform: Platform, ada: Account) -> None:
    token, _ = await platform.graph.signed_in.start(ada)
    platform.clock.advance(minutes=29)
    assert await is_in(platform, token)
    platform.clock.advance(minutes=24)
    assert await is_in(platform, token)
    platform.clock.advance(minutes=30)
    assert not await is_in(platform, token)


async def test_the_idle_limit_is_kept_at_every_second(platform: Platform, ada: Account) -> None:
    """Never longer than 30 minutes, never shorter than 25, whenever the last use was."""
    platform.clock.advance(seconds=137)
    for offset in range(0, 300, 37):
        platform.clock.advance(seconds=offset)
        token, session = await platform.graph.signed_in.start(ada)
        assert 25 * 60 < session.idle_end - platform.now <= 30 * 60
        assert await is_in(platform, token)


async def test_a_session_in_use_ends_after_a_day(platform: Platform, ada: Account) -> None:
    token, session = await platform.graph.signed_in.start(ada)
    assert session.expires_at == platform.now + 86400
    for _ in range(24 * 6 - 1):
        platform.clock.advance(minutes=10)
        assert await is_in(platform, token)
    platform.clock.advance(minutes=10)
    assert not await is_in(platform, token)


async def test_use_is_written_coarsely_and_seldom(platform: Platform, ada: Account) -> None:
    token, _ = await platform.graph.signed_in.start(ada)
    platform.store.calls.clear()
    for _ in range(3600):
        platform.clock.advance(seconds=1)
        assert await is_in(platform, token)
    writes = [call for call in platform.store.calls if call[0] == "patch"]
    assert len(writes) == 12
    (session,) = await platform.graph.signed_in.list(ada.account_id)
    assert session.created_hour % 3600 == session.last_used_hour % 3600 == session.idle_end % 300 == 0
    assert session.last_used_hour == session.created_hour + 3600


async def test_signing_out_ends_this_session_and_no_other(platform: Platform, ada: Account) -> None:
    tokens = [(await platform.graph.signed_in.start(ada))[0] for _ in range(2)]
    for _ in range(2):
        await platform.graph.signed_in.sign_out(tokens[0])
    await platform.graph.signed_in.sign_out("no token")
    assert [await is_in(platform, token) for token in tokens] == [False, True]


async def test_signing_out_everywhere_ends_all_of_this_account(platform: Platform, ada: Account) -> None:
    bob = await platform.sign_up(make_wish("bob@sealpost.test"))
    tokens = [(await platform.graph.signed_in.start(ada))[0] for _ in range(3)]
    (others,) = [(await platform.graph.signed_in.start(bob))[0]]
    platform.clock.advance(minutes=1)
    assert await platform.graph.signed_in.sign_out_everywhere(ada.account_id) == 3
    assert [await is_in(platform, token) for token in tokens] == [False] * 3
    assert await is_in(platform, others)
    assert await platform.graph.signed_in.sign_out_everywhere(ada.account_id) == 0
    with refused(NotFoundError, "account_not_found"):
        await platform.graph.signed_in.sign_out_everywhere(new_id())


async def test_a_crash_after_the_first_write_has_signed_out_everybody(platform: Platform, ada: Account) -> None:
    token, _ = await platform.graph.signed_in.start(ada)
    dying = platform.again()
    dying.store.after = die_at(1)
    with pytest.raises(Crash):
        await dying.graph.signed_in.sign_out_everywhere(ada.account_id)
    assert not await is_in(platform, token)
    assert await platform.graph.signed_in.list(ada.account_id) == []


async def test_a_new_password_ends_the_other_sessions(platform: Platform, ada: Account) -> None:
    bob = await platform.sign_up(make_wish("bob@sealpost.test"))
    mine, other = [(await platform.graph.signed_in.start(ada))[0] for _ in range(2)]
    bobs, _ = await platform.graph.signed_in.start(bob)
    changed = await platform.graph.access.change_password(ada.account_id, WISH.authentication_key, new_password())
    assert not await is_in(platform, other)
    await platform.graph.signed_in.end_others(changed, mine)
    assert [await is_in(platform, token) for token in (mine, other, bobs)] == [True, False, True]
    assert len(platform.keys("sessions")) == 2


@pytest.mark.parametrize("given", ["", "no token", "A" * 43])
async def test_a_new_password_without_a_session_ends_all(platform: Platform, ada: Account, given: str) -> None:
    token, _ = await platform.graph.signed_in.start(ada)
    changed = await platform.graph.access.change_password(ada.account_id, WISH.authentication_key, new_password())
    await platform.graph.signed_in.end_others(changed, given)
    assert not await is_in(platform, token)
    assert platform.keys("sessions") == set()


async def test_a_session_of_an_earlier_password_is_not_brought_back(platform: Platform, ada: Account) -> None:
    old, _ = await platform.graph.signed_in.start(ada)
    first = new_password()
    await platform.graph.access.change_password(ada.account_id, WISH.authentication_key, first)
    changed = await platform.graph.access.change_password(ada.account_id, first.authentication_key, new_password())
    await platform.graph.signed_in.end_others(changed, old)
    assert not await is_in(platform, old)


async def test_a_list_shows_living_sessions_in_hours(platform: Platform, ada: Account) -> None:
    first, _ = await platform.graph.signed_in.start(ada)
    platform.clock.advance(minutes=20)
    await platform.graph.signed_in.start(ada)
    assert len(await platform.graph.signed_in.list(ada.account_id)) == 2
    platform.clock.advance(minutes=20)
    (left,) = await platform.graph.signed_in.list(ada.account_id)
    assert not await is_in(platform, first)
    assert left.created_hour % 3600 == 0
    with refused(NotFoundError, "account_not_found"):
        await platform.graph.signed_in.list(new_id())


async def test_the_fifty_first_session_ends_the_oldest(platform: Platform, ada: Account) -> None:
    tokens = []
    for _ in range(51):
        tokens.append((await platform.graph.signed_in.start(ada))[0])
        platform.clock.advance(seconds=20)
    assert len(platform.keys("sessions")) == 50
    assert await is_in(platform, tokens[-1])


async def test_ended_sessions_are_swept_by_the_time_of_their_end(platform: Platform, ada: Account) -> None:
    await platform.graph.signed_in.start(ada)
    platform.clock.advance(minutes=20)
    token, _ = await platform.graph.signed_in.start(ada)
    assert await platform.swept("session") == 0
    platform.clock.advance(minutes=10)
    assert await platform.swept("session") == 1
    assert await is_in(platform, token)
    platform.clock.advance(minutes=30)
    assert await platform.swept("session") == 1
    assert platform.keys("sessions") == set()


async def test_a_role_is_there_and_gone_with_the_next_request(platform: Platform, ada: Account) -> None:
    token, _ = await platform.graph.signed_in.start(ada)
    await platform.graph.staff.grant("ada@sealpost.test", Role.SUPPORT)
    assert (await platform.graph.signed_in.authenticate(token)).roles == (Role.SUPPORT,)
    await platform.graph.staff.revoke("ada@sealpost.test", Role.SUPPORT)
    assert (await platform.graph.signed_in.authenticate(token)).roles == ()


async def test_signing_out_wins_over_a_use_at_the_same_moment(platform: Platform, ada: Account) -> None:
    token, _ = await platform.graph.signed_in.start(ada)
    platform.clock.advance(minutes=10)
    other = platform.again()

    async def sign_out_first(kind: str, collection: object) -> None:
        if kind == "patch":
            await platform.graph.signed_in.sign_out(token)

    other.store.before = sign_out_first
    assert not await is_in(other, token)
    assert not await is_in(platform, token)


async def test_signing_out_everywhere_outlasts_rivals_but_not_for_ever(platform: Platform, ada: Account) -> None:
    other = platform.again()
    rivals = 2

    async def change_first(kind: str, collection: object) -> None:
        nonlocal rivals
        if kind == "patch" and rivals > 0:
            rivals -= 1
            await platform.graph.signed_in.sign_out_everywhere(ada.account_id)

    other.store.before = change_first
    await other.graph.signed_in.sign_out_everywhere(ada.account_id)
    rivals = 3
    with refused(ConflictError, "account_changed"):
        await other.graph.signed_in.sign_out_everywhere(ada.account_id)


async def test_a_store_that_is_down_signs_nobody_out(platform: Platform, ada: Account) -> None:
    token, _ = await platform.graph.signed_in.start(ada)
    platform.store.before = down
    with pytest.raises(UnavailableError):
        await platform.graph.signed_in.authenticate(token)
    platform.store.before = None
    assert await is_in(platform, token)


def test_limits_of_seconds_still_have_a_grain() -> None:
    _, session = SessionRules(idle=3, absolute=5).start(new_id(), 0, 1_000_001)
    assert (session.idle_end, session.expires_at) == (1_000_004, 1_000_006)
