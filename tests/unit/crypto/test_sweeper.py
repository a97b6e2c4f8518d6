"""The sweeper does all that is due, in batches, and survives a store that does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from libs.docstore.store import Store
from libs.envelope import KeyedHash, KeyEncryptionKeys
from libs.runtime.errors import UnavailableError
from libs.runtime.ids import new_id
from libs.runtime.secret import Secret
from services.crypto.domain.keys import DataKeys
from services.crypto.domain.model import KeyRecord
from services.crypto.repository import KeyRepository
from services.crypto.sweeper import Sweeper
from tests.unit.crypto.support import KEK, TODAY, World


class Unsteady(KeyRepository):
    """A repository that fails when told to, and counts how often keys are looked for and files compacted."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.failing = False
        self.compactions = 0
        self.failed = asyncio.Event()
        self.compacted = asyncio.Event()

    async def due(self, now: int, limit: int) -> Sequence[KeyRecord]:
        if self.failing:
            self.failed.set()
            raise UnavailableError("store")
        return await super().due(now, limit)

    async def compact(self) -> None:
        if self.failing:
            raise UnavailableError("store")
        self.compactions += 1
        self.compacted.set()
        await super().compact()


def keys_on(records: KeyRepository, here: World) -> DataKeys:
    return DataKeys(records, KEK, KeyedHash(Secret(b"l" * 32)), here.clock, (10, 60.0))


async def test_everything_due_is_destroyed_and_wrapped_anew(here: World) -> None:
    accounts = [new_id() for _ in range(5)]
    for number, account in enumerate(accounts):
        await here.keys.of_day(replace(TODAY, domain=f"d{number}.test"))
        await here.keys.of_account(account)
    here.clock.advance(days=30)
    new = Secret(b"n" * 32)
    both = here.another_process(KeyEncryptionKeys({1: Secret(b"k" * 32), 2: new}))
    await Sweeper(both.keys, 60, 2).sweep()
    only_new = here.another_process(KeyEncryptionKeys({2: new}))
    assert len(await only_new.keys.of_accounts(accounts)) == 5
    assert await both.keys.sweep(10) == 0


async def test_a_failed_sweep_is_tried_again(here: World) -> None:
    records = Unsteady(here.store)
    records.failing = True
    task = asyncio.create_task(Sweeper(keys_on(records, here), 0.01, 10).run())
    async with asyncio.timeout(10):
        await records.failed.wait()
        records.failing = False
        await records.compacted.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_compaction_that_failed_is_made_up_for(here: World) -> None:
    records = Unsteady(here.store)
    keys = keys_on(records, here)
    await keys.of_day(TODAY)
    records.failing = True
    with pytest.raises(UnavailableError):
        await keys.destroy_day(TODAY.domain, TODAY.day)
    records.failing = False
    await keys.sweep(10)
    assert records.compactions == 1
    await keys.sweep(10)
    assert records.compactions == 1
