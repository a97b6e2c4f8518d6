"""Data keys of mails on their way out: many at once, found by id, gone when destroyed, kept wrapped."""

from __future__ import annotations

from pathlib import Path

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Store
from libs.envelope import KeyEncryptionKeys
from libs.runtime.errors import DeniedError, InvalidError, NotFoundError, SealpostError, UnavailableError
from libs.runtime.ids import is_id, new_id
from libs.runtime.secret import Secret
from services.crypto.repository import COLLECTIONS, MAIL_KEYS
from services.crypto.sweeper import Sweeper
from tests.support.clock import ManualClock
from tests.unit.crypto.support import FAR, KEK, World

_DAY = 86_400


def after(here: World, seconds: float) -> int:
    return int(here.clock.now().timestamp() + seconds)


async def found(here: World, *key_ids: str) -> list[bytes | str]:
    """Return keys, and the reasons of those that are none."""
    results = await here.mail_keys.get(key_ids)
    return [result.reason if isinstance(result, SealpostError) else result.reveal() for result in results]


async def test_a_thousand_are_made_and_found_in_the_order_asked(here: World) -> None:
    made = await here.mail_keys.new(1000, after(here, 40 * _DAY))
    assert all(is_id(key_id) for key_id, _ in made)
    assert len({key_id for key_id, _ in made}) == len({secret.reveal() for _, secret in made}) == 1000
    wanted = list(reversed(made))
    assert await found(here.another_process(), *(key_id for key_id, _ in wanted)) == [s.reveal() for _, s in wanted]


@pytest.mark.parametrize("count", [0, -1, 1001])
async def test_how_many_is_bounded(here: World, count: int) -> None:
    with pytest.raises(InvalidError, match="key_count"):
        await here.mail_keys.new(count, after(here, 60))


@pytest.mark.parametrize("seconds", [-1, 0, 60 * _DAY + 1])
async def test_how_long_is_bounded(here: World, seconds: int) -> None:
    with pytest.raises(InvalidError, match="destroy_after"):
        await here.mail_keys.new(1, after(here, seconds))
    await here.mail_keys.new(1, after(here, 60 * _DAY))


async def test_a_destroyed_one_is_gone_at_once_in_every_process(here: World) -> None:
    there = here.another_process()
    (one, first), (two, _), (three, third) = await here.mail_keys.new(3, after(here, _DAY))
    assert len(await found(there, one, two, three)) == 3
    await here.mail_keys.destroy([two, two, new_id(), "no id at all"])
    await here.mail_keys.destroy([two])
    for world in (here, there):
        assert await found(world, one, two, three, two) == [
            first.reveal(), "key_destroyed", third.reveal(), "key_destroyed",
        ]  # fmt: skip


@pytest.mark.parametrize("key_id", ["", "0" * 32, "a" * 40, "account/x", "../x", "é"])
async def test_what_is_no_key_is_not_found(here: World, key_id: str) -> None:
    (result,) = await here.mail_keys.get([key_id])
    assert isinstance(result, NotFoundError) and result.reason == "key_destroyed"


async def test_the_same_id_may_be_asked_twice(here: World) -> None:
    ((key_id, secret),) = await here.mail_keys.new(1, after(here, 60))
    assert await found(here, key_id, key_id) == [secret.reveal()] * 2
    assert await found(here) == []


async def test_its_time_ends_it_and_the_sweeper_removes_it(here: World) -> None:
    ((early, _),) = await here.mail_keys.new(1, after(here, 60))
    ((late, secret),) = await here.mail_keys.new(1, after(here, 120))
    here.clock.advance(60)
    assert await found(here, early, late) == ["key_destroyed", secret.reveal()]
    assert [await here.mail_keys.sweep(FAR, 10) for _ in range(2)] == [1, 0]
    assert await here.store.get(MAIL_KEYS, early) is None
    assert await here.store.get(MAIL_KEYS, late) is not None


async def test_sweeping_works_in_bounded_batches(here: World) -> None:
    await here.mail_keys.new(7, after(here, 60))
    here.clock.advance(60)
    assert [await here.mail_keys.sweep(FAR, 3) for _ in range(4)] == [3, 3, 1, 0]


async def test_none_of_them_opens_public_mail_and_no_other_key_is_theirs(here: World) -> None:
    ((key_id, _),) = await here.mail_keys.new(1, after(here, 60))
    with pytest.raises(DeniedError, match="not_public"):
        await here.keys.of_id(key_id)
    account = new_id()
    await here.keys.of_account(account)
    assert await found(here, account, f"account/{account}") == ["key_destroyed"] * 2


async def test_they_are_wrapped_anew_after_the_kek_has_changed(here: World) -> None:
    made = await here.mail_keys.new(5, after(here, _DAY))
    new = Secret(b"n" * 32)
    both = here.another_process(KeyEncryptionKeys({1: Secret(b"k" * 32), 2: new}))
    assert [await both.mail_keys.rewrap(3) for _ in range(3)] == [(3, 0), (2, 0), (0, 0)]
    only_new = here.another_process(KeyEncryptionKeys({2: new}))
    assert await found(only_new, *(key_id for key_id, _ in made)) == [secret.reveal() for _, secret in made]


async def test_a_missing_or_wrong_kek_is_temporary_and_destroys_nothing(here: World) -> None:
    ((key_id, secret),) = await here.mail_keys.new(1, after(here, _DAY))
    for kek, reason in (({2: b"x" * 32}, "kek_missing"), ({1: b"x" * 32}, "key_damaged")):
        wrong = here.another_process(KeyEncryptionKeys({version: Secret(key) for version, key in kek.items()}))
        (result,) = await wrong.mail_keys.get([key_id])
        assert isinstance(result, UnavailableError) and result.reason == reason
        assert await wrong.mail_keys.rewrap(10) == (0, int(reason == "kek_missing"))
    assert await found(here, key_id) == [secret.reveal()]


async def open_at(path: Path) -> Store:
    return await SqliteStore.open(path / "crypto.db", COLLECTIONS)


async def test_they_outlive_the_process_and_leave_nothing_behind(tmp_path: Path) -> None:
    clock = ManualClock()
    store = await open_at(tmp_path)
    here = World(store, clock)
    made = await here.mail_keys.new(50, after(here, _DAY))
    await store.close()
    store = await open_at(tmp_path)
    here = World(store, clock, KEK)
    try:
        documents = await store.get_many(MAIL_KEYS, [key_id for key_id, _ in made])
        wrapped = [document.body["wrapped"] for document in documents.values()]
        assert await found(here, *(key_id for key_id, _ in made)) == [secret.reveal() for _, secret in made]
        await here.mail_keys.destroy([key_id for key_id, _ in made])
        await Sweeper(here.families, 60, 100).sweep()
        kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        for blob, (key_id, secret) in zip(wrapped, made, strict=True):
            assert isinstance(blob, bytes)
            assert blob not in kept and secret.reveal() not in kept and key_id.encode() not in kept
    finally:
        await store.close()
