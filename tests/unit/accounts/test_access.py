"""Passwords, recovery codes, and that nobody learns which addresses exist (enumeration, timing, brute force)."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from libs.runtime.errors import (
    ConflictError,
    ExhaustedError,
    InvalidError,
    NotFoundError,
    SealpostError,
    UnauthenticatedError,
    UnavailableError,
)
from libs.runtime.ids import new_id
from services.accounts.domain.access import NewPassword
from services.accounts.domain.model import Verifier
from services.accounts.domain.verifiers import Purpose, Verifiers
from tests.unit.accounts.support import (
    KDF,
    Platform,
    down,
    make_recovery,
    make_settings,
    make_wish,
    refused,
    wrapped_key,
)

ADA = "ada@sealpost.test"
WRONG = b"w" * 32


def new_password() -> NewPassword:
    return NewPassword(replace(KDF, salt=secrets.token_bytes(16)), secrets.token_bytes(32), wrapped_key())


async def test_the_right_password_signs_in_under_any_spelling(platform: Platform) -> None:
    wish = make_wish()
    ada = await platform.sign_up(wish)
    for spelling in (ADA, "Ada@SEALPOST.test", "ada+tag@sealpost.test"):
        assert (await platform.graph.access.sign_in(spelling, wish.authentication_key)).account_id == ada.account_id


@pytest.mark.parametrize("given", [ADA, "nobody@sealpost.test", "x@public.sealpost.test", "x@elsewhere.example"])
async def test_a_wrong_password_and_an_unknown_address_get_one_answer(platform: Platform, given: str) -> None:
    await platform.sign_up(make_wish())
    with refused(UnauthenticatedError, "bad_proof") as error:
        await platform.graph.access.sign_in(given, WRONG)
    assert error.value.retry_after is None


async def test_malformed_proofs_are_told_as_such(platform: Platform) -> None:
    with refused(InvalidError, "authentication_key"):
        await platform.graph.access.sign_in(ADA, b"short")
    with refused(InvalidError, "address_invalid"):
        await platform.graph.access.sign_in("a da@sealpost.test", WRONG)
    with refused(InvalidError, "address_invalid"):
        await platform.graph.access.kdf("a da@sealpost.test")


async def test_a_known_address_has_its_own_parameters_and_an_unknown_one_stable_ones(platform: Platform) -> None:
    wish = make_wish(kdf=replace(KDF, iterations=4))
    await platform.sign_up(wish)
    assert await platform.graph.access.kdf("ADA@sealpost.test") == wish.kdf
    decoy = await platform.graph.access.kdf("nobody@sealpost.test")
    assert replace(decoy, salt=KDF.salt) == KDF
    assert await platform.again().graph.access.kdf("Nobody+tag@sealpost.test") == decoy


async def same_work(platform: Platform, call: Callable[[str], Awaitable[object]]) -> None:
    """Assert that the store is asked the same questions, in the same order, for a known and an unknown address."""
    asked = []
    for address in (ADA, "nobody@sealpost.test"):
        platform.store.calls.clear()
        try:
            await call(address)
        except UnauthenticatedError:
            pass
        asked.append(list(platform.store.calls))
    assert asked[0] == asked[1]
    assert asked[0]


async def test_the_store_is_asked_the_same_for_known_and_unknown_addresses(platform: Platform) -> None:
    await platform.sign_up(make_wish(recovery=make_recovery()))
    graph = platform.graph
    await same_work(platform, graph.access.kdf)
    await same_work(platform, lambda address: graph.access.sign_in(address, WRONG))
    await same_work(platform, lambda address: graph.access.start_recovery(address, WRONG))
    await same_work(platform, lambda address: graph.access.complete_recovery(address, WRONG, new_password()))
    await same_work(platform, lambda address: graph.programs.by_app_password(address, "0000-" * 5 + "0000"))


class CountingVerifiers(Verifiers):
    """Counts digests: the only costly step of a check that is not a question to the store."""

    digests = 0

    def _digest(self, account_id: str, purpose: Purpose, salt: bytes, authentication_key: bytes) -> bytes:
        self.digests += 1
        return super()._digest(account_id, purpose, salt, authentication_key)


@pytest.mark.parametrize("known", [True, False])
def test_a_check_is_one_digest_with_or_without_a_verifier(known: bool) -> None:
    maker = CountingVerifiers(make_settings().lookup_key)
    verifier = Verifier(b"s" * 16, b"d" * 32) if known else None
    assert not maker.matches(new_id(), Purpose.PASSWORD, verifier, WRONG)
    assert maker.digests == 1


async def test_an_account_without_recovery_looks_like_none(platform: Platform) -> None:
    await platform.sign_up(make_wish())
    for address in (ADA, "nobody@sealpost.test"):
        with refused(UnauthenticatedError, "bad_proof"):
            await platform.graph.access.start_recovery(address, WRONG)


@pytest.mark.parametrize("given", [ADA, "nobody@sealpost.test"])
async def test_guessing_ends_for_known_and_unknown_addresses_alike(platform: Platform, given: str) -> None:
    wish = make_wish()
    await platform.sign_up(wish)
    for _ in range(20):
        with refused(UnauthenticatedError, "bad_proof"):
            await platform.graph.access.sign_in(given, secrets.token_bytes(32))
    with refused(ExhaustedError, "too_many_attempts") as error:
        await platform.graph.access.sign_in(given, wish.authentication_key)
    assert error.value.retry_after == 900
    platform.clock.advance(minutes=15)
    if given == ADA:
        await platform.graph.access.sign_in(given, wish.authentication_key)


async def test_guessing_passwords_does_not_lock_the_recovery_code(platform: Platform) -> None:
    recovery = make_recovery()
    await platform.sign_up(make_wish(recovery=recovery))
    for _ in range(21):
        with pytest.raises(SealpostError):
            await platform.graph.access.sign_in(ADA, secrets.token_bytes(32))
    assert await platform.graph.access.start_recovery(ADA, recovery.authentication_key)


async def test_a_new_password_replaces_the_old_one_and_keeps_the_private_key(platform: Platform) -> None:
    wish, new = make_wish(), new_password()
    ada = await platform.sign_up(wish)
    await platform.graph.access.change_password(ada.account_id, wish.authentication_key, new)
    with refused(UnauthenticatedError, "bad_proof"):
        await platform.graph.access.sign_in(ADA, wish.authentication_key)
    changed = await platform.graph.access.sign_in(ADA, new.authentication_key)
    assert changed.wrapped_private_key == new.wrapped_private_key
    assert await platform.graph.access.kdf(ADA) == new.kdf
    assert platform.graph.vault.identity(changed).fingerprint == wish.fingerprint


async def test_a_password_is_changed_by_whoever_knows_it(platform: Platform) -> None:
    ada = await platform.sign_up(make_wish())
    for _ in range(20):
        with refused(UnauthenticatedError, "bad_proof"):
            await platform.graph.access.change_password(ada.account_id, secrets.token_bytes(32), new_password())
    with refused(ExhaustedError, "too_many_attempts"):
        await platform.graph.access.set_recovery(ada.account_id, secrets.token_bytes(32), None)
    with refused(NotFoundError, "account_not_found"):
        await platform.graph.access.change_password(new_id(), WRONG, new_password())


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"kdf": replace(KDF, memory_kib=1)}, "kdf_cost"),
        ({"authentication_key": b""}, "authentication_key"),
        ({"wrapped_private_key": b""}, "wrapped_private_key"),
    ],
)
async def test_a_new_password_keeps_the_bounds(platform: Platform, change: dict[str, object], reason: str) -> None:
    recovery = make_recovery()
    wish = make_wish(recovery=recovery)
    ada = await platform.sign_up(wish)
    new = replace(new_password(), **change)  # type: ignore[arg-type]
    with refused(InvalidError, reason):
        await platform.graph.access.change_password(ada.account_id, wish.authentication_key, new)
    with refused(InvalidError, reason):
        await platform.graph.access.complete_recovery(ADA, recovery.authentication_key, new)
    assert await platform.graph.access.sign_in(ADA, wish.authentication_key)


async def test_two_changes_at_the_same_moment_are_not_mixed(platform: Platform) -> None:
    wish = make_wish()
    ada = await platform.sign_up(wish)
    first = platform.again()

    async def change_first(kind: str, collection: object) -> None:
        if kind == "patch":
            await platform.graph.access.change_password(ada.account_id, wish.authentication_key, new_password())

    first.store.before = change_first
    with refused(ConflictError, "account_changed"):
        await first.graph.access.change_password(ada.account_id, wish.authentication_key, new_password())


async def test_a_recovery_code_brings_the_private_key_back_and_sets_a_password(platform: Platform) -> None:
    recovery, new = make_recovery(), new_password()
    wish = make_wish(recovery=recovery)
    ada = await platform.sign_up(wish)
    wrapped, fingerprint = await platform.graph.access.start_recovery(ADA, recovery.authentication_key)
    assert (wrapped, fingerprint) == (recovery.wrapped_private_key, wish.fingerprint)
    # Nothing is kept between the two steps: another process may complete it.
    done = await platform.again().graph.access.complete_recovery(ADA, recovery.authentication_key, new)
    assert done.account_id == ada.account_id
    assert done.epoch == ada.epoch + 1
    with refused(UnauthenticatedError, "bad_proof"):
        await platform.graph.access.sign_in(ADA, wish.authentication_key)
    assert (await platform.graph.access.sign_in(ADA, new.authentication_key)).recovery == done.recovery
    assert (await platform.graph.access.start_recovery(ADA, recovery.authentication_key))[0] == wrapped


async def test_a_password_is_no_recovery_code_nor_the_reverse(platform: Platform) -> None:
    recovery = make_recovery()
    wish = make_wish(recovery=recovery)
    await platform.sign_up(wish)
    with refused(UnauthenticatedError, "bad_proof"):
        await platform.graph.access.complete_recovery(ADA, wish.authentication_key, new_password())
    with refused(UnauthenticatedError, "bad_proof"):
        await platform.graph.access.sign_in(ADA, recovery.authentication_key)


async def test_recovery_is_switched_on_replaced_and_off(platform: Platform) -> None:
    wish = make_wish()
    ada = await platform.sign_up(wish)
    access = platform.graph.access
    first, second = make_recovery(), make_recovery()
    await access.set_recovery(ada.account_id, wish.authentication_key, first)
    assert (await access.start_recovery(ADA, first.authentication_key))[0] == first.wrapped_private_key
    await access.set_recovery(ada.account_id, wish.authentication_key, second)
    with refused(UnauthenticatedError, "bad_proof"):
        await access.start_recovery(ADA, first.authentication_key)
    await access.set_recovery(ada.account_id, wish.authentication_key, None)
    with refused(UnauthenticatedError, "bad_proof"):
        await access.start_recovery(ADA, second.authentication_key)
    with refused(InvalidError, "wrapped_private_key"):
        await access.set_recovery(ada.account_id, wish.authentication_key, replace(first, wrapped_private_key=b"x"))


async def test_a_store_that_is_down_is_told_as_such_and_costs_no_attempt(platform: Platform) -> None:
    wish = make_wish()
    await platform.sign_up(wish)
    platform.store.before = down
    for _ in range(30):
        with pytest.raises(UnavailableError):
            await platform.graph.access.sign_in(ADA, wish.authentication_key)
        with pytest.raises(UnavailableError):
            await platform.graph.access.kdf(ADA)
    platform.store.before = None
    assert await platform.graph.access.sign_in(ADA, wish.authentication_key)
