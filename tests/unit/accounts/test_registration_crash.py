"""A sign-up that dies at any write leaves the address free or the account whole; see domain.registration."""

from __future__ import annotations

from dataclasses import replace

import pytest

from libs.docstore.store import Collection, Query
from libs.runtime.errors import (
    ConflictError,
    UnauthenticatedError,
    UnavailableError,
)
from libs.runtime.ids import new_id
from services.accounts.domain.directory import Status
from services.accounts.repository.accounts import ACCOUNTS
from services.accounts.repository.claims import ADDRESSES
from tests.unit.accounts.support import Crash, Hook, Platform, die_at, make_recovery, make_wish, refused

MEMBER = "ada@sealpost.test"
CLAIM_SECONDS = 3600


async def crashed(platform: Platform, write: int, *, done: bool) -> tuple[Platform, bool]:
    """Let a sign-up die before (or just after) its n-th write; return the restarted process, and whether it died."""
    service = platform.again()
    if done:
        service.store.after = die_at(write)
    else:
        service.store.before = die_at(write)
    died = False
    try:
        await service.sign_up(WISH)
    except Crash:
        died = True
    return platform.again(), died


WISH = make_wish(recovery=make_recovery())
MOMENTS = [(write, done) for write in (1, 2, 3) for done in (False, True)]


@pytest.mark.parametrize(("write", "done"), MOMENTS)
async def test_after_a_crash_the_same_sign_up_succeeds(platform: Platform, write: int, done: bool) -> None:
    service, died = await crashed(platform, write, done=done)
    assert died
    account = await service.sign_up(WISH)
    assert account.account_id == WISH.account_id
    assert (await service.graph.access.sign_in(MEMBER, WISH.authentication_key)).account_id == WISH.account_id
    assert await waiting_on_disk(service) == set()


@pytest.mark.parametrize(("write", "done"), MOMENTS)
async def test_after_a_crash_the_same_person_succeeds_under_another_id(
    platform: Platform, write: int, done: bool
) -> None:
    service, _ = await crashed(platform, write, done=done)
    account = await service.sign_up(replace(WISH, account_id=new_id()))
    assert (await service.graph.access.sign_in(MEMBER, WISH.authentication_key)).account_id == account.account_id
    service.clock.advance(CLAIM_SECONDS + 1)
    await service.graph.registration.sweep(service.now, 100)
    assert service.keys("accounts") == {account.account_id}


@pytest.mark.parametrize(("write", "done"), MOMENTS)
async def test_after_a_crash_the_address_is_either_his_or_free(platform: Platform, write: int, done: bool) -> None:
    service, _ = await crashed(platform, write, done=done)
    claimed = (await service.graph.directory.resolve([MEMBER]))[0].status is Status.OK
    assert claimed == ((write, done) >= (2, True))
    rival = make_wish()
    if claimed:
        with refused(ConflictError, "address_taken"):
            await service.sign_up(rival)
    else:
        await service.sign_up(rival)
        assert (await service.graph.access.sign_in(MEMBER, rival.authentication_key)).account_id == rival.account_id


@pytest.mark.parametrize(("write", "done"), MOMENTS)
async def test_the_sweep_leaves_whole_accounts_and_nothing_else(platform: Platform, write: int, done: bool) -> None:
    service, _ = await crashed(platform, write, done=done)
    now = service.now
    assert await service.graph.registration.sweep(now, 100) == (0, 0)
    await service.graph.registration.sweep(now + CLAIM_SECONDS, 100)
    claimed = (write, done) >= (2, True)
    assert service.keys("accounts") == ({WISH.account_id} if claimed else set())
    assert await waiting_on_disk(service) == set()
    if claimed:
        await service.graph.access.sign_in(MEMBER, WISH.authentication_key)


def sweeping(platform: Platform) -> Hook:
    """Return a hook that lets the sweep of another process come just before the claim is written, an hour late."""

    async def hook(kind: str, collection: Collection) -> None:
        if (kind, collection) == ("insert", ADDRESSES):
            await platform.graph.registration.sweep(platform.now + CLAIM_SECONDS, 100)

    return hook


async def test_a_sign_up_that_slept_through_the_sweep_gives_the_address_back(platform: Platform) -> None:
    late = platform.again()
    late.store.before = sweeping(platform)
    with refused(UnavailableError, "sign_up_interrupted"):
        await late.sign_up(WISH)
    assert platform.keys("accounts") == platform.keys("addresses") == set()
    late.store.before = None
    assert (await late.sign_up(WISH)).account_id == WISH.account_id


async def test_a_sign_up_that_slept_and_then_died_leaves_the_address_to_the_next(platform: Platform) -> None:
    late = platform.again()
    late.store.before, late.store.after = sweeping(platform), die_at(2)
    with pytest.raises(Crash):
        await late.sign_up(WISH)
    assert (len(platform.keys("accounts")), len(platform.keys("addresses"))) == (0, 1)
    with pytest.raises(UnauthenticatedError):
        await platform.graph.access.sign_in(MEMBER, WISH.authentication_key)
    rival = make_wish()
    assert (await platform.sign_up(rival)).account_id == rival.account_id
    assert platform.keys("accounts") == {rival.account_id}


async def test_the_sweep_does_not_touch_a_sign_up_that_is_done(platform: Platform) -> None:
    service, _ = await crashed(platform, 1, done=True)
    late = platform.again()

    async def finish_before_delete(kind: str, collection: Collection) -> None:
        if (kind, collection) == ("delete", ACCOUNTS):
            late.store.before = None
            await service.sign_up(WISH)

    late.store.before = finish_before_delete
    await late.graph.registration.sweep(late.now + CLAIM_SECONDS, 100)
    assert platform.keys("accounts") == {WISH.account_id}
    await service.graph.access.sign_in(MEMBER, WISH.authentication_key)


async def test_a_claim_on_nothing_is_taken_over(platform: Platform) -> None:
    await platform.sign_up(WISH)
    await platform.graph.accounts.delete(WISH.account_id)
    rival = make_wish()
    assert (await platform.sign_up(rival)).account_id == rival.account_id
    assert (await platform.graph.access.sign_in(MEMBER, rival.authentication_key)).account_id == rival.account_id


async def waiting_on_disk(platform: Platform) -> set[str]:
    """Return the ids of accounts that are marked as waiting for their claim."""
    found = await platform.store.inner.find(Query(ACCOUNTS, "claim_due", limit=1000))
    return {document.key for document in found}
