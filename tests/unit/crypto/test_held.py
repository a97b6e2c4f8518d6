"""What crypto answers for: as every data owner, and when the store fails in the middle of an erasure."""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import pytest

from libs.docstore.store import Store
from libs.owner.model import Erased, Subject, Wanted
from libs.owner.owner import Owner
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import NotFoundError, SealpostError, UnavailableError
from libs.runtime.ids import new_id
from services.crypto.domain.model import PublicDay
from services.crypto.held import held_classes
from tests.support.clock import ManualClock
from tests.support.owner import ADA, Failing, Left, check_owner, found_in_files
from tests.unit.crypto.support import TODAY, World, entry_of, make_key

_DAY = 86_400


def owner_of(here: World) -> Owner:
    """Return crypto as a data owner."""
    return Owner(held_classes(here.store, here.directory, here.keys, here.mail_keys), here.store, here.clock)


@dataclass
class Trial:
    """One process of crypto, and what somebody leaves in it."""

    here: World
    store: Store
    clock: ManualClock
    owner: Owner
    left: Mapping[str, Left]
    put: Callable[[Subject, bytes], Awaitable[None]]


def trial_of(here: World) -> Trial:
    """Return a trial in which everybody leaves one certificate, one public day, two mails and one domain."""
    lifetime = 3 * _DAY
    end = unix_seconds(here.clock) + lifetime
    left = {
        "account_key": Left(keys=1),
        "certificate": Left(erased=1, exported=True),
        "public_day_key": Left(lifetime=lifetime),
        "mail_key": Left(2, lifetime=lifetime),
        "domain_key": Left(),
    }

    async def put(subject: Subject, mark: bytes) -> None:
        name = mark.decode()
        key = make_key(f"{name}@sealpost.test")
        await here.directory.put(entry_of(key, name, subject.account_id))
        await here.keys.of_day(PublicDay(f"{name}.test", TODAY.day, end))
        await here.mail_keys.new(2, end)
        await here.dkim.ensure(f"{name}.relay.test")

    return Trial(here, here.store, here.clock, owner_of(here), left, put)


async def test_crypto_is_an_owner_like_every_other(here: World) -> None:
    await check_owner(trial_of(here))


@pytest.mark.parametrize("done", [True, False])
async def test_an_erasure_that_failed_anywhere_is_finished_by_the_next_process(here: World, done: bool) -> None:
    trial = trial_of(here)
    failures = 0
    for after in range(20):
        await here.another_process().directory.put(entry_of(make_key(), account_id=ADA.account_id))
        broken = World(Failing(here.store, after, done=done), here.clock)  # type: ignore[arg-type]
        try:
            await owner_of(broken).erase(ADA, 100)
        except UnavailableError:
            failures += 1
        gone = await owner_of(here.another_process()).erase(ADA, 100)
        assert not gone.more
        assert await here.another_process().keys.of_accounts([ADA.account_id]) == {}
        with pytest.raises(NotFoundError):
            await here.another_process().directory.get(ADA.account_id)
        assert await found_in_files(trial, ADA.account_id.encode()) == 0
    # The key, what it leaves in the files, the certificate, and that again.
    assert failures >= 4


async def test_what_was_sealed_opens_for_nobody_once_the_answer_is_there(here: World) -> None:
    await here.directory.put(entry_of(make_key(), account_id=ADA.account_id))
    there = here.another_process()
    assert (await there.keys.of_accounts([ADA.account_id])).keys() == {ADA.account_id}
    # Not one document may be deleted yet: keys go all the same, and before.
    done = await owner_of(here).erase(ADA, 1)
    assert done.classes["account_key"] == Erased(keys=1)
    here.clock.advance(61)
    assert await there.keys.of_accounts([ADA.account_id]) == {}


async def test_a_key_opens_nothing_after_its_time_though_nobody_sweeps(here: World) -> None:
    key_id, _ = await here.keys.of_day(TODAY)
    (mail, _), *_rest = await here.mail_keys.new(1, TODAY.destroy_after)
    here.clock.advance(TODAY.destroy_after - unix_seconds(here.clock) - 1)
    # One process holds it, the other one reads it.
    await here.keys.of_id(key_id)
    assert not isinstance((await here.mail_keys.get([mail]))[0], SealpostError)
    here.clock.advance(1)
    for process in (here, here.another_process()):
        with pytest.raises(NotFoundError, match="key_destroyed"):
            await process.keys.of_id(key_id)
        assert isinstance((await process.mail_keys.get([mail]))[0], NotFoundError)


async def test_each_class_counts_its_own(here: World) -> None:
    now = unix_seconds(here.clock)
    await here.directory.put(entry_of(make_key()))
    await here.keys.of_day(TODAY)
    await here.mail_keys.new(3, now + 10 * _DAY)
    await here.dkim.ensure("relay.sealpost.test")
    held = await owner_of(here).inventory()
    counts = {name: one.count for name, one in held.items()}
    assert counts.pop("domain_key") > 0
    assert not counts.pop("terms")
    assert counts == {"account_key": 1, "certificate": 1, "public_day_key": 1, "mail_key": 3}
    assert held["public_day_key"].first_due == TODAY.destroy_after
    assert held["mail_key"].first_due == now + 10 * _DAY


async def test_keys_end_when_both_clocks_say_so(here: World) -> None:
    owner, now = owner_of(here), unix_seconds(here.clock)
    await here.keys.of_day(TODAY)
    await here.mail_keys.new(5, now + 60)
    for name in ("public_day_key", "mail_key"):
        assert (await owner.sweep(name, 1 << 40, 10)).deleted == 0, "ours is behind"
    here.clock.advance(days=30)
    for name in ("public_day_key", "mail_key"):
        assert (await owner.sweep(name, now, 10)).deleted == 0, "the caller's is behind"
    later = unix_seconds(here.clock)
    swept = await owner.sweep("mail_key", later, 3)
    assert (swept.deleted, swept.more) == (3, True)
    assert (await owner.sweep("mail_key", later, 3)).deleted == 2
    assert (await owner.sweep("public_day_key", later, 10)).deleted == 1
    assert (await owner.sweep("certificate", later, 10)).deleted == 0


async def test_the_owner_gets_his_certificate_and_an_order_nothing(here: World) -> None:
    ada, key = new_id(), make_key()
    await here.directory.put(entry_of(key, account_id=ada))
    owner = owner_of(here)
    items = [item async for _, item in owner.export(Subject(ada), (), Wanted())]
    (content,) = [b"".join([block async for block in item.content]) for item in items]
    assert base64.b64decode(json.loads(content)["certificate"]) == key.certificate
    assert [item async for item in owner.export(Subject(ada), (), Wanted(disclosure=True))] == []
    assert [item async for item in owner.export(Subject(new_id()), (), Wanted())] == []
