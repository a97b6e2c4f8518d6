"""The sweeper does all that is due, in batches, and survives a store that does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from libs.docstore.store import Store
from libs.envelope import KeyedHash, KeyEncryptionKeys
from libs.runtime.errors import UnavailableError
from libs.runtime.ids import new_id
from libs.runtime.secret import Secret
from services.crypto.domain.compaction import Compaction
from services.crypto.domain.keys import DataKeys
from services.crypto.domain.mail_keys import MailKeys
from services.crypto.domain.model import KeyRecord
from services.crypto.repository import KeyRepository, MailKeyRepository
from services.crypto.sweeper import KeyFamilies, Sweeper
from tests.unit.crypto.support import FAR, KEK, TODAY, World


class Unsteady(KeyRepository):
    """A repository that fails when told to, and counts how often keys are looked for and files compacted."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.failing = False
        self.compactions = 0
        self.at_compaction: Callable[[], None] | None = None
        self.failed = asyncio.Event()
        self.compacted = asyncio.Event()

    async def wrapped_before(self, kek: int, limit: int) -> Sequence[KeyRecord]:
        if self.failing:
            self.failed.set()
            raise UnavailableError("store")
        return await super().wrapped_before(kek, limit)

    async def compact(self) -> None:
        if self.failing:
            raise UnavailableError("store")
        self.compactions += 1
        self.compacted.set()
        if self.at_compaction is not None:
            self.at_compaction()
        await super().compact()


def families_on(records: KeyRepository, here: World) -> KeyFamilies:
    keys = DataKeys(records, KEK, KeyedHash(Secret(b"l" * 32)), here.clock, (10, 60.0))
    mail = MailKeys(MailKeyRepository(here.store), KEK, here.clock, keys.compaction)
    return KeyFamilies(keys, mail, here.dkim)


async def test_everything_is_wrapped_anew(here: World) -> None:
    accounts = [new_id() for _ in range(5)]
    for number, account in enumerate(accounts):
        await here.keys.of_day(replace(TODAY, domain=f"d{number}.test"))
        await here.keys.of_account(account)
    now = int(here.clock.now().timestamp())
    await here.mail_keys.new(5, now + 10 * 86_400)
    (kept,) = await here.mail_keys.new(1, now + 50 * 86_400)
    (public, _) = await here.dkim.ensure("relay.sealpost.test")
    here.clock.advance(days=30)
    new = Secret(b"n" * 32)
    both = here.another_process(KeyEncryptionKeys({1: Secret(b"k" * 32), 2: new}))
    await Sweeper(both.families, 60, 2).sweep()
    only_new = here.another_process(KeyEncryptionKeys({2: new}))
    assert len(await only_new.keys.of_accounts(accounts)) == 5
    # What is due waits for retention, and is destroyed whatever key wraps it.
    assert (await both.keys.sweep(FAR, 10), await both.mail_keys.sweep(FAR, 10)) == (5, 5)
    (secret,) = await only_new.mail_keys.get([kept[0]])
    assert isinstance(secret, Secret) and secret.reveal() == kept[1].reveal()
    assert public in await only_new.dkim.ensure("relay.sealpost.test")


async def test_a_failed_sweep_is_tried_again(here: World) -> None:
    records = Unsteady(here.store)
    records.failing = True
    task = asyncio.create_task(Sweeper(families_on(records, here), 0.01, 10).run())
    async with asyncio.timeout(10):
        await records.failed.wait()
        records.failing = False
        await records.compacted.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_compaction_that_failed_is_made_up_for(here: World) -> None:
    records = Unsteady(here.store)
    families = families_on(records, here)
    sweeper = Sweeper(families, 60, 10)
    await families.data.of_day(TODAY)
    records.failing = True
    with pytest.raises(UnavailableError):
        await families.data.destroy_day(TODAY.domain, TODAY.day)
    records.failing = False
    await sweeper.sweep()
    assert records.compactions == 1
    await sweeper.sweep()
    assert records.compactions == 1


async def test_many_destructions_owe_one_compaction(here: World) -> None:
    records = Unsteady(here.store)
    families = families_on(records, here)
    sweeper = Sweeper(families, 60, 10)
    await sweeper.sweep()
    assert records.compactions == 1
    keys = await families.mail.new(20, int(here.clock.now().timestamp()) + 60)
    for key_id, _ in keys:
        await families.mail.destroy([key_id])
    assert records.compactions == 1
    await sweeper.sweep()
    assert records.compactions == 2
    await sweeper.sweep()
    assert records.compactions == 2


async def test_what_goes_while_the_files_are_compacted_owes_the_next(here: World) -> None:
    records = Unsteady(here.store)
    compaction = Compaction(records)
    records.at_compaction = compaction.owe
    await compaction.pay()
    records.at_compaction = None
    await compaction.pay()
    await compaction.pay()
    assert records.compactions == 2
