"""Batches of events become uses; what is read is exact at any moment of the adding up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Event
from libs.envelope import KeyedHash
from libs.runtime.clock import unix_seconds
from libs.runtime.secret import Secret
from protos.events.v1.events_pb2 import MailStored
from services.billing.domain.model import DAY, Meter
from services.billing.gone import GONE
from services.billing.metering.consuming import Consuming
from services.billing.metering.counting import Counting
from services.billing.metering.folding import COUNTERS, Folder
from services.billing.metering.intake import Intake
from services.billing.metering.log import METER_LOG
from services.billing.metering.state import STATE
from tests.support.billing import gone_of
from tests.support.clock import ManualClock

CLOCK = ManualClock()
NOW = unix_seconds(CLOCK)
TODAY = NOW // DAY


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with await SqliteStore.open(tmp_path, (GONE, METER_LOG, STATE, COUNTERS)) as opened:
        yield opened


def _event(number: int, mailbox: str, *, owned: bool = True) -> Event:
    stored = MailStored(mailbox_id=mailbox, message_id=f"{NOW:010x}{number:022x}", owned=owned)
    return Event(f"e{number}", "mail.stored.v1", stored.SerializeToString())


async def test_a_batch_is_counted_once_and_what_is_free_or_unreadable_leaves_the_rest(store: SqliteStore) -> None:
    consuming = Consuming(Intake(store, KeyedHash(Secret(b"h" * 32)), CLOCK, keep_days=40))
    batch = [
        _event(1, "m1"),
        _event(2, "m1"),
        _event(1, "m1"),
        _event(3, "m2", owned=False),
        Event("e4", "mail.stored.v1", b"\xff\xff"),
        Event("e5", "nobody.knows.v1", b""),
    ]
    await consuming.take(batch)
    await consuming.take(batch)
    counting = Counting(store)
    assert await counting.of(["m1", "m2"], TODAY, TODAY) == {TODAY: {Meter.MAILS_STORED: 2}}


async def test_it_is_exact_before_amid_and_after_the_adding_up(store: SqliteStore) -> None:
    intake = Intake(store, KeyedHash(Secret(b"h" * 32)), CLOCK, keep_days=40)
    consuming, counting, folder = Consuming(intake), Counting(store), Folder(store, gone_of(store))
    for number in range(6):
        await consuming.take([_event(number, "m1")])
        assert await counting.of(["m1"], TODAY, TODAY) == {TODAY: {Meter.MAILS_STORED: number + 1}}
        if number % 3 == 1:
            await folder.step()
            assert await counting.of(["m1"], TODAY, TODAY) == {TODAY: {Meter.MAILS_STORED: number + 1}}
    assert await counting.of(["m1"], TODAY + 1, TODAY + 2) == {}


async def test_an_account_sees_what_its_mailbox_got_and_what_is_granted(store: SqliteStore) -> None:
    intake = Intake(store, KeyedHash(Secret(b"h" * 32)), CLOCK, keep_days=40)
    await Consuming(intake).take([_event(1, "m1")])

    async def granted(account_id: str) -> dict[int, dict[Meter, int]]:
        return {TODAY: {Meter.SENDS: 3}, TODAY - 40: {Meter.SENDS: 9}} if account_id == "a1" else {}

    counting = Counting(store, granted)
    expected = {TODAY: {Meter.MAILS_STORED: 1, Meter.SENDS: 3}}
    assert await counting.of_account("a1", "m1", TODAY - 30, TODAY) == expected
    assert await counting.of_account("a2", "", TODAY - 30, TODAY) == {}
