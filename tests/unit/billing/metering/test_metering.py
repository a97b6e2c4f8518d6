"""Counting on a real store: once each, whoever counts, whenever it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Query
from libs.envelope import KeyedHash
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import InternalError
from libs.runtime.secret import Secret
from services.billing.domain.model import DAY, Meter
from services.billing.gone import GONE
from services.billing.metering.counting import Counting
from services.billing.metering.folding import COUNTERS, Folder
from services.billing.metering.intake import Intake, Use
from services.billing.metering.known import KnownIds, bytes_of, ids_of
from services.billing.metering.log import METER_LOG, counted_of, in_order
from services.billing.metering.state import STATE
from tests.support.billing import gone_of
from tests.support.clock import ManualClock

HASHES = KeyedHash(Secret(b"5" * 64))
CLOCK = ManualClock()
TODAY = unix_seconds(CLOCK) // DAY
STORED = Meter.MAILS_STORED


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with await SqliteStore.open(tmp_path, (GONE, METER_LOG, STATE, COUNTERS)) as opened:
        yield opened


def _intake(store: SqliteStore, clock: ManualClock = CLOCK) -> Intake:
    return Intake(store, HASHES, clock, keep_days=40)


def _uses(first: int, last: int, subject: str = "box", day: int = TODAY) -> list[Use]:
    return [Use(f"event{number}", subject, STORED, day) for number in range(first, last)]


async def _total(store: SqliteStore, subject: str = "box", day: int = TODAY) -> int:
    while await Folder(store, gone_of(store)).step():
        pass
    return (await Counting(store).of([subject], day, day)).get(day, {}).get(STORED, 0)


async def test_what_is_told_again_is_not_counted_again(store: SqliteStore) -> None:
    intake = _intake(store)
    assert await intake.take(_uses(0, 100)) == 100
    assert await intake.take(_uses(0, 100)) == 0
    assert await intake.take(_uses(50, 150) * 2) == 50
    assert await _intake(store).take(_uses(0, 160)) == 10
    assert await _total(store) == 160


async def test_each_day_and_subject_and_meter_has_its_own(store: SqliteStore) -> None:
    uses = [
        Use("a", "one", STORED, TODAY, 3),
        Use("b", "two", STORED, TODAY, 4),
        Use("c", "one", Meter.PIECES, TODAY, 5),
        Use("d", "one", STORED, TODAY - 1, 6),
        Use("e", "one", STORED, TODAY + 1, 7),
    ]
    assert await _intake(store).take(uses) == 5
    await _total(store)
    assert await Counting(store).of(["one"], TODAY - 1, TODAY + 1) == {
        TODAY - 1: {STORED: 6},
        TODAY: {STORED: 3, Meter.PIECES: 5},
        TODAY + 1: {STORED: 7},
    }
    assert await Counting(store).of(["one", "two"], TODAY, TODAY) == {TODAY: {STORED: 7, Meter.PIECES: 5}}
    assert await Counting(store).of(["nobody"], 0, TODAY) == {}


async def test_what_comes_too_late_is_not_counted_but_seen(store: SqliteStore) -> None:
    assert await _intake(store).take(_uses(0, 3, day=TODAY - 40) + _uses(3, 5, day=TODAY + 2)) == 0
    found = await store.find(Query(METER_LOG, "number", in_order()))
    assert [counted_of(document).late for document in found] == [{STORED: 5}]
    assert await _intake(store).take(_uses(5, 6, day=TODAY - 39)) == 1
    assert await _total(store, day=TODAY - 40) == 0


async def test_of_two_that_count_at_once_each_use_is_counted_by_one(store: SqliteStore) -> None:
    intakes = [_intake(store), _intake(store)]
    batches = [_uses(start, start + 40) for start in range(0, 400, 20)]
    new = [sum(await asyncio.gather(*(intake.take(batch) for intake in intakes))) for batch in batches]
    assert sum(new) == 420
    assert await _total(store) == 420


async def test_two_that_add_up_at_once_add_once(store: SqliteStore) -> None:
    intake = _intake(store)
    for start in range(0, 300, 10):
        await intake.take(_uses(start, start + 10, subject=f"box{start % 3}"))
    folders = [Folder(store, gone_of(store)), Folder(store, gone_of(store)), Folder(store, gone_of(store))]
    await asyncio.gather(*(folder.step() for folder in folders))
    assert sum([await _total(store, f"box{number}") for number in range(3)]) == 300


async def test_of_an_event_only_its_day_and_a_hash_are_kept(store: SqliteStore) -> None:
    await _intake(store).take([Use("6a23f00d11aa22bb33cc44dd55ee66ff", "box", STORED, TODAY)])
    await _total(store)
    await store.compact()
    content = b"".join(path.read_bytes() for path in store.files() if path.exists())
    assert b"6a23f00d11aa22bb" not in content
    assert bytes.fromhex("6a23f00d11aa22bb") not in content
    assert b"box" in content


async def test_numbers_go_on_after_the_log_was_swept(store: SqliteStore) -> None:
    await _intake(store).take(_uses(0, 10))
    assert await _total(store) == 10
    assert await store.delete_range(METER_LOG, "days", (), TODAY, 100) == 1
    await _intake(store).take(_uses(10, 15))
    assert await _total(store) == 15


async def test_a_batch_is_bounded(store: SqliteStore) -> None:
    with pytest.raises(InternalError, match=r"^too_many_uses$"):
        await _intake(store).take(_uses(0, 20_001))
    assert await _intake(store).take([]) == 0


@given(st.lists(st.sets(st.integers(0, 2**64 - 1), max_size=30), max_size=20), st.sets(st.integers(0, 2**64 - 1)))
def test_ids_are_known_if_they_were_added(batches: list[set[int]], others: set[int]) -> None:
    known, added = KnownIds(), set[int]()
    for batch in batches:
        known.add(np.array(sorted(batch - added), dtype=np.uint64))
        added |= batch
    asked = sorted(added | others | {0, 2**64 - 1})
    found = known.contains(np.array(asked, dtype=np.uint64))
    assert [one for one, is_known in zip(asked, found, strict=True) if is_known] == sorted(added)
    assert len(known) == len(added)


def test_ids_are_written_as_they_are_read() -> None:
    ids = np.array([0, 1, 2**64 - 1], dtype=np.uint64)
    assert ids_of(bytes_of(ids)).tolist() == ids.tolist()
    assert len(bytes_of(ids)) == 24
