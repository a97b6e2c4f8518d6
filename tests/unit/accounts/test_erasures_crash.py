"""An erasure that dies in between, races with other changes, or is undone by a backup (E6 of the policy)."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable

import pytest

from libs.docstore.store import Collection
from libs.owner.model import Subject
from libs.runtime.errors import (
    ConflictError,
    NotFoundError,
    UnauthenticatedError,
)
from services.accounts.domain.access import NewPassword
from services.accounts.domain.directory import Status
from services.accounts.domain.erasures import Erasures
from services.accounts.domain.model import Account, CredentialKind, Role
from services.accounts.domain.registration import SignUp
from tests.unit.accounts.leaving import ADA, TARGET, back_up, is_dead, settle_in
from tests.unit.accounts.support import (
    KDF,
    Crash,
    Platform,
    die_at,
    make_recovery,
    make_wish,
    refused,
    wrapped_key,
)


@pytest.fixture
def wish() -> SignUp:
    return make_wish(recovery=make_recovery())


@pytest.fixture
async def ada(platform: Platform, wish: SignUp) -> Account:
    return await platform.sign_up(wish)


@pytest.fixture
def erasures(platform: Platform) -> Erasures:
    return platform.graph.erasures


def subject(account: Account) -> Subject:
    return Subject(account.account_id, account.mailbox_id)


async def test_an_account_that_a_backup_brought_back_is_erased_again(
    platform: Platform, wish: SignUp, ada: Account
) -> None:
    # As it stood in the backup: nobody had asked for anything.
    proofs = await settle_in(platform, ada)
    erased = await platform.erase(ada)
    assert erased["account"] == 1 and erased["credential"] == 2
    assert await is_dead(platform, wish, proofs)
    with refused(ConflictError, "address_taken"):
        await platform.sign_up(make_wish())
    platform.clock.advance(days=180)
    assert await platform.swept("address_claim") == 1
    assert platform.keys("addresses") == set()


async def test_the_address_of_somebody_else_stays_his(platform: Platform, ada: Account) -> None:
    """The address was free again, and its new owner is nobody's business when an old backup is erased again."""
    backup = await back_up(platform, ada)
    await platform.erase(ada)
    platform.clock.advance(days=180)
    await platform.swept("address_claim")
    successor = await platform.sign_up(make_wish())
    await backup.restore(platform, claim=False)
    await platform.erase(ada)
    (route,) = await platform.graph.directory.resolve([ADA])
    assert (route.status, route.account_id) == (Status.OK, successor.account_id)


@pytest.mark.parametrize("write", range(1, 14))
async def test_a_crash_at_any_write_is_repaired_by_repeating(
    platform: Platform, wish: SignUp, ada: Account, write: int
) -> None:
    proofs = await settle_in(platform, ada)
    dying = platform.again()
    dying.store.after = die_at(write)
    died = False
    try:
        await dying.graph.erasures.at_once(ada.account_id)
        await dying.erase(ada)
    except Crash:
        died = True
    assert died == (write < 12)
    fresh = platform.again()
    if write > 1:
        assert await is_dead(fresh, wish, proofs)
    with refused(ConflictError, "address_taken"):
        await fresh.sign_up(make_wish())
    await fresh.graph.erasures.at_once(ada.account_id)
    lost = [(one.role, one.granted) for one in await fresh.published()]
    assert lost in ([("operator", False)], [])
    await fresh.erase(ada)
    assert await is_dead(fresh, wish, proofs)
    assert (await fresh.graph.directory.resolve([ADA]))[0].status is Status.SUSPENDED
    for name in ("accounts", "sessions", "credentials", "forwards", "grants"):
        assert fresh.keys(name) == set()


async def test_what_races_with_the_beginning_leaves_nothing(
    platform: Platform, erasures: Erasures, wish: SignUp, ada: Account
) -> None:
    """Something is made for an account whose erasure passes by in the middle of it."""

    async def erase_first(kind: str, collection: Collection) -> None:
        if kind == "insert":
            late.store.before = None
            await erasures.at_once(ada.account_id)
            await platform.erase(ada)

    late = platform.again()
    backup = await back_up(platform, ada)
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: late.graph.programs.create(ada.account_id, CredentialKind.API_KEY, "x", ["mail:read"]),
        lambda: late.graph.forwards.add(ada, TARGET),
        lambda: late.graph.staff.grant(ADA, Role.SUPPORT),
    ]
    for number, call in enumerate(calls):
        if number:
            await backup.restore(platform, claim=True)
        late.store.before = erase_first
        with refused(NotFoundError, "account_not_found"):
            await call()
        for name in ("credentials", "forwards", "grants"):
            assert platform.keys(name) == set()


async def test_a_password_that_changes_at_the_same_moment_changes_nothing_any_more(
    platform: Platform, erasures: Erasures, wish: SignUp, ada: Account
) -> None:
    other = platform.again()

    async def begin_first(kind: str, collection: Collection) -> None:
        if kind == "patch":
            other.store.before = None
            await erasures.at_once(ada.account_id)

    other.store.before = begin_first
    new = NewPassword(KDF, secrets.token_bytes(32), wrapped_key())
    with refused(ConflictError, "account_changed"):
        await other.graph.access.change_password(ada.account_id, wish.authentication_key, new)
    with refused(UnauthenticatedError, "bad_proof"):
        await platform.graph.access.sign_in(ADA, new.authentication_key)


async def test_rivals_at_asking_and_undoing_are_outlasted(platform: Platform, erasures: Erasures, ada: Account) -> None:
    other = platform.again()
    rivals = 2

    async def change_first(kind: str, collection: Collection) -> None:
        nonlocal rivals
        if kind == "patch" and rivals > 0:
            rivals -= 1
            await platform.graph.signed_in.sign_out_everywhere(ada.account_id)

    other.store.before = change_first
    assert (await other.graph.erasures.request(ada.account_id)).token
    rivals = 2
    await other.graph.erasures.cancel(ada.account_id)
    rivals = 99
    for call in (other.graph.erasures.request(ada.account_id), other.graph.erasures.at_once(ada.account_id)):
        with refused(ConflictError, "account_changed"):
            await call


async def test_an_unfinished_sign_up_that_is_erased_is_not_swept_as_one(platform: Platform) -> None:
    wish = make_wish()
    dying = platform.again()
    dying.store.after = die_at(2)
    with pytest.raises(Crash):
        await dying.sign_up(wish)
    await platform.graph.erasures.at_once(wish.account_id)
    platform.clock.advance(days=1)
    assert await platform.swept("account") == 0
    assert platform.keys("accounts") == {wish.account_id}
