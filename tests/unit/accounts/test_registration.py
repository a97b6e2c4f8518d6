"""Sign-up: what is taken, what is refused, and that a crash at any moment does no harm."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from typing import Any

import pytest

from libs.runtime.errors import (
    ConflictError,
    DeniedError,
    ExhaustedError,
    InternalError,
    InvalidError,
    SealpostError,
    UnavailableError,
)
from libs.runtime.ids import new_id
from services.accounts.domain.directory import Status
from tests.unit.accounts.support import Platform, down, make_recovery, make_wish, refused, wrapped_key

MEMBER = "ada@sealpost.test"


async def test_a_new_account_can_sign_in_and_receive(platform: Platform) -> None:
    wish = make_wish("Ada@SealPost.test")
    account = await platform.sign_up(wish)
    assert account.account_id == wish.account_id
    assert account.created_day == platform.now // 86400
    assert (await platform.graph.access.sign_in(MEMBER, wish.authentication_key)).account_id == wish.account_id
    assert platform.graph.vault.identity(account).address == MEMBER
    (route,) = await platform.graph.directory.resolve([MEMBER])
    assert (route.status, route.mailbox_id) == (Status.OK, account.mailbox_id)


@pytest.mark.parametrize(
    ("change", "kind", "reason"),
    [
        ({"account_id": "x"}, InvalidError, "account_id"),
        ({"account_id": "A" * 32}, InvalidError, "account_id"),
        ({"address": "ada"}, InvalidError, "address_invalid"),
        ({"address": "ada+tag@sealpost.test"}, InvalidError, "address_invalid"),
        ({"address": "\u0430da@sealpost.test"}, InvalidError, "address_invalid"),
        ({"address": "ada@elsewhere.example"}, DeniedError, "domain_closed"),
        ({"address": "ada@public.sealpost.test"}, DeniedError, "domain_closed"),
        ({"address": "postmaster@sealpost.test"}, DeniedError, "address_reserved"),
        ({"address": "Post.Master@sealpost.test"}, DeniedError, "address_reserved"),
        ({"address": "ROOT@sealpost.test"}, DeniedError, "address_reserved"),
        ({"address": "mailer_daemon@sealpost.test"}, DeniedError, "address_reserved"),
        ({"authentication_key": b"x" * 31}, InvalidError, "authentication_key"),
        ({"wrapped_private_key": b"\x01" * 20000}, InvalidError, "wrapped_private_key"),
        ({"fingerprint": "xyz"}, InvalidError, "fingerprint"),
        ({"recovery": replace(make_recovery(), authentication_key=b"")}, InvalidError, "authentication_key"),
        ({"recovery": replace(make_recovery(), wrapped_private_key=b"")}, InvalidError, "wrapped_private_key"),
    ],
)
async def test_what_cannot_be_is_refused_before_anything_is_written(
    platform: Platform, change: dict[str, Any], kind: type[SealpostError], reason: str
) -> None:
    with refused(kind, reason):
        await platform.sign_up(make_wish(**change))
    assert platform.store.calls == []


async def test_sign_up_can_be_closed(platform: Platform) -> None:
    with refused(DeniedError, "domain_closed"):
        await platform.again(sign_up_open=False).sign_up(make_wish())


async def test_a_taken_address_is_taken_in_any_spelling(platform: Platform) -> None:
    await platform.sign_up(make_wish())
    for spelling in (MEMBER, "ADA@sealpost.test", '"ada"@SEALPOST.test'):
        with refused(ConflictError, "address_taken"):
            await platform.sign_up(make_wish(spelling))


async def test_a_taken_account_id_is_refused(platform: Platform) -> None:
    ada = await platform.sign_up(make_wish())
    with refused(ConflictError, "account_exists"):
        await platform.sign_up(make_wish("bob@sealpost.test", account_id=ada.account_id))
    assert [route.status for route in await platform.graph.directory.resolve(["bob@sealpost.test"])] == [Status.UNKNOWN]


async def test_one_of_many_rivals_gets_the_address(platform: Platform) -> None:
    wishes = [make_wish() for _ in range(20)]
    results = await asyncio.gather(*(platform.sign_up(wish) for wish in wishes), return_exceptions=True)
    winners = [result for result in results if not isinstance(result, BaseException)]
    assert len(winners) == 1
    assert {str(result) for result in results if isinstance(result, BaseException)} <= {
        "address_taken",
        "too_many_attempts",
    }
    assert platform.keys("accounts") == {winners[0].account_id}


async def test_the_same_sign_up_at_the_same_moment_succeeds_for_both(platform: Platform) -> None:
    wish = make_wish()
    first, second = await asyncio.gather(platform.sign_up(wish), platform.sign_up(wish))
    assert first.account_id == second.account_id == wish.account_id
    assert first.mailbox_id == second.mailbox_id


@pytest.mark.parametrize("new_account_id", [False, True])
async def test_a_repeated_sign_up_is_answered_as_before(platform: Platform, new_account_id: bool) -> None:
    wish = make_wish()
    first = await platform.sign_up(wish)
    again = replace(wish, account_id=new_id()) if new_account_id else wish
    assert (await platform.sign_up(again)).account_id == first.account_id
    assert platform.keys("accounts") == {first.account_id}


@pytest.mark.parametrize("change", ["authentication_key", "wrapped_private_key", "fingerprint"])
async def test_a_sign_up_that_differs_is_not_a_repetition(platform: Platform, change: str) -> None:
    wish = make_wish()
    await platform.sign_up(wish)
    other: dict[str, Any] = {
        "authentication_key": secrets.token_bytes(32),
        "wrapped_private_key": wrapped_key(),
        "fingerprint": "00" * 20,
    }
    with refused(ConflictError, "address_taken"):
        await platform.sign_up(replace(wish, **{change: other[change]}))


async def test_asking_what_is_taken_has_a_limit_that_does_not_tell_either(platform: Platform) -> None:
    service = platform.again(taken_answers=3)
    for name in ("ada", "bob", "eve"):
        await service.sign_up(make_wish(f"{name}@sealpost.test"))
    for name in ("ada", "bob", "eve"):
        with pytest.raises(ConflictError):
            await service.sign_up(make_wish(f"{name}@sealpost.test"))
    for name in ("ada", "free"):
        with refused(ExhaustedError, "sign_up_limit") as error:
            await service.sign_up(make_wish(f"{name}@sealpost.test"))
        assert error.value.retry_after == 900
    platform.clock.advance(900)
    await service.sign_up(make_wish("free@sealpost.test"))


async def test_repeating_a_sign_up_is_no_way_to_guess_a_password(platform: Platform) -> None:
    wish = make_wish()
    await platform.sign_up(wish)
    for _ in range(20):
        with pytest.raises(ConflictError):
            await platform.sign_up(replace(wish, authentication_key=secrets.token_bytes(32)))
    with refused(ExhaustedError, "too_many_attempts"):
        await platform.sign_up(wish)
    with refused(ExhaustedError, "too_many_attempts"):
        await platform.graph.access.sign_in(MEMBER, wish.authentication_key)


async def test_a_store_that_is_down_is_told_as_such_and_costs_no_attempt(platform: Platform) -> None:
    platform.store.before = down
    for _ in range(200):
        with pytest.raises(UnavailableError):
            await platform.sign_up(make_wish())
    platform.store.before = None
    await platform.sign_up(make_wish())


async def test_a_row_put_in_the_place_of_another_does_not_open(platform: Platform) -> None:
    ada, bob = await platform.sign_up(make_wish()), await platform.sign_up(make_wish("bob@sealpost.test"))
    forged = replace(bob, data_key=ada.data_key, identity=ada.identity)
    with refused(InternalError, "account_damaged"):
        platform.graph.vault.identity(forged)
    with refused(InternalError, "account_damaged"):
        platform.graph.vault.identity(replace(ada, identity=bob.identity))


async def test_no_error_text_says_more_than_its_reason(platform: Platform) -> None:
    await platform.sign_up(make_wish())
    for change in ({}, {"address": "secret name@x"}, {"address": "root@sealpost.test"}):
        with pytest.raises(SealpostError) as error:
            await platform.sign_up(make_wish(**change))
        assert str(error.value) == error.value.reason
        assert error.value.reason.replace("_", "").isalpha()
