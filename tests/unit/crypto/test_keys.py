"""Data keys: one per account, one per public domain and day, made once, destroyed for good."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from libs.docstore.store import Query
from libs.envelope import KeyEncryptionKeys
from libs.runtime.errors import DeniedError, InvalidError, NotFoundError, SealpostError, UnavailableError
from libs.runtime.ids import is_id, new_id
from libs.runtime.secret import Secret
from services.crypto.domain.model import PublicDay
from services.crypto.repository import DATA_KEYS
from tests.unit.crypto.support import FAR, KEK, TODAY, World

YESTERDAY = replace(TODAY, day="2026-11-21")
TOMORROW = replace(TODAY, day="2026-11-23")


async def refusal(here: World, day: PublicDay) -> SealpostError:
    with pytest.raises(SealpostError) as caught:
        await here.keys.of_day(day)
    return caught.value


async def live_keys(here: World) -> int:
    return len(await here.store.find(Query(DATA_KEYS, "due", ("live",))))


async def test_a_day_has_one_key_in_every_process(here: World) -> None:
    key_id, secret = await here.keys.of_day(TODAY)
    assert is_id(key_id)
    there = here.another_process()
    assert (await there.keys.of_day(TODAY))[1].reveal() == secret.reveal()
    assert (await there.keys.of_id(key_id)).reveal() == secret.reveal()
    other_id, other = await here.keys.of_day(replace(TODAY, domain="other.sealpost.test"))
    assert other_id != key_id
    assert other.reveal() != secret.reveal()


async def test_many_at_once_agree_on_one_key(here: World) -> None:
    worlds = [here.another_process() for _ in range(10)]
    answers = await asyncio.gather(*(one.keys.of_day(TODAY) for one in worlds for _ in range(3)))
    assert len({secret.reveal() for _, secret in answers}) == 1
    account = new_id()
    keys = await asyncio.gather(*(one.keys.of_account(account) for one in worlds))
    assert len({secret.reveal() for secret in keys}) == 1


async def test_keys_are_stored_wrapped(here: World) -> None:
    key_id, secret = await here.keys.of_day(TODAY)
    document = await here.store.get(DATA_KEYS, key_id)
    assert document is not None
    assert secret.reveal() not in str(document.body).encode()
    assert "public.sealpost.test" not in str(document)


@pytest.mark.parametrize("day", [TODAY, YESTERDAY, TOMORROW])
async def test_days_around_now_are_open(here: World, day: PublicDay) -> None:
    await here.keys.of_day(day)


@pytest.mark.parametrize(
    ("day", "reason"),
    [
        (replace(TODAY, day="2026-11-20"), "day_not_open"),
        (replace(TODAY, day="2026-11-24"), "day_not_open"),
        (replace(TODAY, destroy_after=1_795_366_800), "destroy_after"),
        (replace(TODAY, day="22.11.2026"), "public_day"),
        (replace(TODAY, day="2026-11-1"), "public_day"),
        (replace(TODAY, day="9999-12-31"), "public_day"),
        (replace(TODAY, day=""), "public_day"),
        (replace(TODAY, domain=""), "public_day"),
    ],
)
async def test_other_days_are_refused(here: World, day: PublicDay, reason: str) -> None:
    error = await refusal(here, day)
    assert (type(error), error.reason) == (InvalidError, reason)


async def test_destroying_a_day_leaves_no_key_and_no_way_back(here: World) -> None:
    key_id, _ = await here.keys.of_day(TODAY)
    await here.keys.destroy_day(TODAY.domain, TODAY.day)
    await here.keys.destroy_day(TODAY.domain, TODAY.day)
    for one in (here, here.another_process()):
        assert (await refusal(one, TODAY)).reason == "key_destroyed"
        with pytest.raises(NotFoundError, match="key_destroyed"):
            await one.keys.of_id(key_id)
    document = await here.store.get(DATA_KEYS, key_id)
    assert document is not None
    assert document.body["wrapped"] is None


async def test_a_day_is_destroyed_before_its_first_mail(here: World) -> None:
    await here.keys.destroy_day(TODAY.domain, TODAY.day)
    assert (await refusal(here, TODAY)).reason == "key_destroyed"


async def test_a_bad_day_cannot_be_destroyed(here: World) -> None:
    with pytest.raises(InvalidError, match="public_day"):
        await here.keys.destroy_day(TODAY.domain, "yesterday")


async def test_another_process_forgets_within_the_time_of_its_cache(here: World) -> None:
    there = here.another_process()
    await there.keys.of_day(TODAY)
    await here.keys.destroy_day(TODAY.domain, TODAY.day)
    here.clock.advance(61)
    assert (await refusal(there, TODAY)).reason == "key_destroyed"


async def test_the_sweeper_destroys_what_is_due_and_forgets_tombstones(here: World) -> None:
    await here.keys.of_day(TODAY)
    later = replace(TODAY, domain="other.sealpost.test", destroy_after=TODAY.destroy_after + 86_400)
    key_id, _ = await here.keys.of_day(later)
    assert await here.keys.sweep(FAR, 100) == 0
    here.clock.advance(TODAY.destroy_after - here.clock.now().timestamp())
    assert await here.keys.sweep(FAR, 100) == 1
    await here.keys.of_id(key_id)
    here.clock.advance(days=1)
    assert await here.keys.sweep(FAR, 100) == 1
    with pytest.raises(DeniedError, match="not_public"):
        await here.keys.of_id(key_id)
    assert await here.store.find(Query(DATA_KEYS, "due", ("gone",))) == []


async def test_the_sweeper_works_in_bounded_batches(here: World) -> None:
    for number in range(7):
        await here.keys.of_day(replace(TODAY, domain=f"d{number}.test"))
    here.clock.advance(days=30)
    assert [await here.keys.sweep(FAR, 3) for _ in range(4)] == [3, 3, 1, 0]
    assert await live_keys(here) == 0


async def test_a_tombstone_stays_while_the_day_is_open(here: World) -> None:
    await here.keys.of_day(replace(TODAY, destroy_after=int(here.clock.now().timestamp()) + 60))
    here.clock.advance(120)
    assert await here.keys.sweep(FAR, 100) == 1
    assert (await refusal(here, TODAY)).reason == "key_destroyed"
    here.clock.advance(days=2)
    await here.keys.sweep(FAR, 100)
    assert await here.store.find(Query(DATA_KEYS, "due", ("gone",))) == []
    assert (await refusal(here, TODAY)).reason == "day_not_open"


async def test_destruction_is_put_off_but_never_moved_up(here: World) -> None:
    longer = replace(TODAY, destroy_after=TODAY.destroy_after + 3600)
    for day in (TODAY, longer, TODAY):
        await here.keys.of_day(day)
        await here.another_process().keys.of_day(day)
    here.clock.advance(TODAY.destroy_after + 1 - here.clock.now().timestamp())
    assert await here.keys.sweep(FAR, 100) == 0
    here.clock.advance(3600)
    assert await here.keys.sweep(FAR, 100) == 1


@pytest.mark.parametrize("key_id", ["", "0" * 32, "a" * 40, "account/x", "../x"])
async def test_only_public_keys_are_found_by_id(here: World, key_id: str) -> None:
    with pytest.raises(DeniedError, match="not_public"):
        await here.keys.of_id(key_id)


async def test_an_accounts_key_is_not_public(here: World) -> None:
    account = new_id()
    await here.keys.of_account(account)
    for key_id in (account, f"account/{account}"):
        with pytest.raises(DeniedError, match="not_public"):
            await here.keys.of_id(key_id)


async def test_destroying_an_account_leaves_no_key(here: World) -> None:
    account = new_id()
    before = await here.keys.of_account(account)
    await here.keys.destroy_account(account)
    assert await here.keys.of_accounts([account]) == {}
    assert (await here.keys.of_account(account)).reveal() != before.reveal()


async def test_keys_are_wrapped_anew_after_the_kek_has_changed(here: World) -> None:
    account, (key_id, secret) = new_id(), await here.keys.of_day(TODAY)
    await here.keys.of_account(account)
    new = Secret(b"n" * 32)
    both = here.another_process(KeyEncryptionKeys({1: Secret(b"k" * 32), 2: new}))
    assert await both.keys.rewrap(1) == (1, 0)
    assert await both.keys.rewrap(10) == (1, 0)
    assert await both.keys.rewrap(10) == (0, 0)
    only_new = here.another_process(KeyEncryptionKeys({2: new}))
    assert (await only_new.keys.of_id(key_id)).reveal() == secret.reveal()
    await only_new.keys.of_account(account)


async def test_a_missing_kek_is_temporary_and_destroys_nothing(here: World) -> None:
    account, (key_id, secret) = new_id(), await here.keys.of_day(TODAY)
    await here.keys.of_account(account)
    wrong = here.another_process(KeyEncryptionKeys({2: Secret(b"x" * 32)}))
    assert (await refusal(wrong, TODAY)).reason == "kek_missing"
    with pytest.raises(UnavailableError, match="kek_missing"):
        await wrong.keys.of_account(account)
    assert await wrong.keys.rewrap(10) == (0, 2)
    assert (await here.another_process(KEK).keys.of_id(key_id)).reveal() == secret.reveal()


async def test_a_damaged_key_is_temporary(here: World) -> None:
    wrong = here.another_process(KeyEncryptionKeys({1: Secret(b"x" * 32)}))
    await here.keys.of_day(TODAY)
    assert (await refusal(wrong, TODAY)).reason == "key_damaged"
