"""Erasing an account: asked for, undone, begun, carried out (E6 of the policy)."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable

import pytest

from libs.owner.model import Subject
from libs.runtime.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    UnavailableError,
)
from libs.runtime.ids import new_id
from services.accounts.domain.directory import Status
from services.accounts.domain.erasures import Erasures
from services.accounts.domain.model import Account
from services.accounts.domain.registration import SignUp
from tests.unit.accounts.leaving import ADA, is_dead, settle_in
from tests.unit.accounts.support import (
    Platform,
    down,
    make_recovery,
    make_wish,
    refused,
)

GRACE = 14 * 86400


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


async def test_during_the_grace_everything_works(
    platform: Platform, erasures: Erasures, wish: SignUp, ada: Account
) -> None:
    token, key, word = await settle_in(platform, ada)
    asked = await erasures.request(ada.account_id)
    assert (asked.erasure.asked_at, asked.erasure.due) == (platform.now, platform.now + GRACE)
    assert asked.erasure.receipt == hashlib.sha256(asked.token.encode()).digest()
    for _ in range(2):
        platform.clock.advance(minutes=10)
        assert (await platform.graph.signed_in.authenticate(token)).account_id == ada.account_id
    await platform.graph.programs.by_api_key(key)
    await platform.graph.programs.by_app_password(ADA, word)
    await platform.graph.access.sign_in(ADA, wish.authentication_key)
    (route,) = await platform.graph.directory.resolve([ADA])
    assert (route.status, route.mailbox_id, route.forwards) == (Status.OK, ada.mailbox_id, True)
    found = await platform.graph.accounts.get(ada.account_id)
    assert found is not None and found.erasure == asked.erasure


async def test_asked_again_it_is_the_same_erasure_and_no_token(
    platform: Platform, erasures: Erasures, ada: Account
) -> None:
    first = await erasures.request(ada.account_id)
    platform.clock.advance(days=3)
    again = await erasures.request(ada.account_id)
    assert (again.erasure, again.token) == (first.erasure, "")


async def test_what_is_undone_is_as_if_never_asked(platform: Platform, erasures: Erasures, ada: Account) -> None:
    first = await erasures.request(ada.account_id)
    for _ in range(2):
        await erasures.cancel(ada.account_id)
    found = await platform.graph.accounts.get(ada.account_id)
    assert found is not None and found.erasure is None
    platform.clock.advance(days=20)
    assert await erasures.due(platform.now, 10) == []
    with refused(ConflictError, "erasure_not_due"):
        await erasures.begin(ada.account_id)
    second = await erasures.request(ada.account_id)
    assert second.token and second.token != first.token
    assert second.erasure.due == platform.now + GRACE


async def test_nothing_is_begun_before_its_time_whatever_the_caller_says(
    platform: Platform, erasures: Erasures, ada: Account
) -> None:
    await erasures.request(ada.account_id)
    platform.clock.advance(GRACE - 1)
    assert await erasures.due(platform.now, 10) == []
    # Whoever looks ahead sees what is coming, and can do nothing about it.
    assert len(await erasures.due(platform.now + 10 * GRACE, 10)) == 1
    with refused(ConflictError, "erasure_not_due"):
        await erasures.begin(ada.account_id)
    platform.clock.advance(1)
    assert await erasures.due(platform.now - 1, 10) == []
    (leaving,) = await erasures.due(platform.now, 10)
    assert (leaving.account_id, leaving.mailbox_id, leaving.begun) == (ada.account_id, ada.mailbox_id, False)


async def test_the_most_overdue_come_first_and_no_more_than_asked_for(platform: Platform, erasures: Erasures) -> None:
    accounts = []
    for name in ("eve", "bob", "joe"):
        accounts.append(await platform.sign_up(make_wish(f"{name}@sealpost.test")))
        await erasures.request(accounts[-1].account_id)
        platform.clock.advance(60)
    platform.clock.advance(GRACE)
    due = await erasures.due(platform.now, 2)
    assert [one.account_id for one in due] == [one.account_id for one in accounts[:2]]
    for limit in (0, 1001):
        with refused(InvalidError, "limit"):
            await erasures.due(platform.now, limit)


async def test_from_the_beginning_on_everything_is_dead_and_there_is_no_undo(
    platform: Platform, erasures: Erasures, wish: SignUp, ada: Account
) -> None:
    proofs = await settle_in(platform, ada)
    asked = await erasures.request(ada.account_id)
    platform.clock.advance(GRACE)
    for _ in range(2):
        await erasures.begin(ada.account_id)
    assert await is_dead(platform, wish, proofs)
    with refused(ConflictError, "erasure_begun"):
        await erasures.cancel(ada.account_id)
    (route,) = await platform.graph.directory.resolve([ADA])
    assert (route.status, route.account_id, route.mailbox_id) == (Status.SUSPENDED, "", "")
    with refused(ConflictError, "address_taken"):
        await platform.sign_up(make_wish())
    # It is still listed, for whoever was to carry it out may have died; and the keys are still there, because the
    # register has to know of it before they go.
    (leaving,) = await erasures.due(platform.now, 10)
    assert (leaving.begun, leaving.keyless, leaving.erasure) == (True, False, asked.erasure)


async def test_an_erasure_of_nobody(erasures: Erasures, platform: Platform) -> None:
    nobody = new_id()
    for call in (erasures.request(nobody), erasures.cancel(nobody), erasures.begin(nobody)):
        with refused(NotFoundError, "account_not_found"):
            await call
    assert await erasures.at_once(nobody) == ""
    done = await platform.owner.erase(Subject(nobody, new_id()), 10)
    assert (done.classes, done.more) == ({}, False)


async def test_keys_go_first_and_the_account_goes_last(platform: Platform, erasures: Erasures, ada: Account) -> None:
    await settle_in(platform, ada)
    await erasures.at_once(ada.account_id)
    await platform.published()
    owner = platform.owner
    first = await owner.erase(subject(ada), 1)
    assert first.classes["account"].keys == 3 and first.more
    assert (await owner.inventory())["account"].erasing == 1
    content = b"".join(path.read_bytes() for path in platform.path.parent.iterdir())
    assert ada.recovery is not None
    for key in (ada.wrapped_private_key, ada.data_key, ada.identity, ada.recovery.wrapped_private_key, ada.kdf.salt):
        assert key not in content
    steps = 0
    while platform.keys("accounts"):
        steps += 1
        assert steps < 20
        left = sum(len(platform.keys(name)) for name in ("sessions", "credentials", "forwards", "grants"))
        more = (await owner.erase(subject(ada), 1)).more
        assert more or not left
    for name in ("accounts", "sessions", "credentials", "forwards", "grants"):
        assert platform.keys(name) == set()
    content = b"".join(path.read_bytes() for path in platform.path.parent.iterdir())
    assert ada.account_id.encode() not in content and ada.mailbox_id.encode() not in content
    assert platform.keys("addresses") == {ada.address_key}
    assert (await owner.erase(subject(ada), 10)).classes == {}
    with refused(NotFoundError, "account_not_found"):
        await erasures.begin(ada.account_id)


async def test_staff_bring_an_erasure_forward_and_the_owner_keeps_the_receipt(
    platform: Platform, erasures: Erasures, ada: Account
) -> None:
    asked = await erasures.request(ada.account_id)
    platform.clock.advance(days=1)
    assert await platform.graph.staff.close_account(ADA) == ""
    (leaving,) = await erasures.due(platform.now, 10)
    assert leaving.erasure is not None and leaving.begun
    assert (leaving.erasure.receipt, leaving.erasure.due) == (asked.erasure.receipt, platform.now)


async def test_the_grace_is_that_of_the_terms_in_force(platform: Platform, ada: Account) -> None:
    other = platform.again({"erasure_grace_seconds": 86400, "closed_address_seconds": 0})
    asked = await other.graph.erasures.request(ada.account_id)
    assert asked.erasure.due == platform.now + 86400
    platform.clock.advance(days=1)
    await other.graph.erasures.begin(ada.account_id)
    await other.erase(ada)
    assert await other.swept("address_claim") == 1


async def test_a_store_that_is_down_is_told_as_such(platform: Platform, erasures: Erasures, ada: Account) -> None:
    platform.store.before = down
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: erasures.request(ada.account_id),
        lambda: erasures.cancel(ada.account_id),
        lambda: erasures.begin(ada.account_id),
        lambda: erasures.at_once(ada.account_id),
        lambda: platform.owner.erase(subject(ada), 10),
        lambda: platform.owner.inventory(),
    ]
    for call in calls:
        with pytest.raises(UnavailableError):
            await call()
    platform.store.before = None
    assert (await erasures.request(ada.account_id)).token
