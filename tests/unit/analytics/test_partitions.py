"""Documents of partitions, keys of windows, and what the releases see of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Delete, Insert
from libs.envelope import KeyEncryptionKeys, seal
from libs.runtime.errors import ConflictError, InternalError, InvalidError
from libs.runtime.secret import Secret
from services.analytics.domain.ports import CellCounts, Window
from services.analytics.partitions import PARTITION_COUNT, Heard, Lease, Partitions, Record, Term, Totals, window_of
from services.analytics.partitions_counts import decode_counts, encode_counts, sum_counts
from services.analytics.partitions_keys import KEYS, WindowKeys, counts_place
from services.analytics.partitions_pending import INTAKE_COLLECTIONS, Closing, StoredWindows, terms_of

DAY = 20_780 * 86_400
HOUR = Window("hour", DAY + 3600)
KEK = KeyEncryptionKeys({1: Secret(bytes(range(32)))})


def cells(*rows: tuple[int, int, int]) -> CellCounts:
    """Return cells of (key, code, count)."""
    keys, codes, counts = zip(*rows, strict=True) if rows else ((), (), ())
    return CellCounts(np.array(keys, np.uint64), np.array(codes, np.uint32), np.array(counts, np.int64))


def rows(found: CellCounts) -> list[tuple[int, int, int]]:
    """Return cells as (key, code, count)."""
    return list(zip(found.keys.tolist(), found.codes.tolist(), found.counts.tolist(), strict=True))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """A store of its own."""
    async with SqliteStore.open(tmp_path, INTAKE_COLLECTIONS) as opened:
        yield opened


async def test_a_record_comes_back_as_it_was_written(store: SqliteStore) -> None:
    partitions = Partitions(store)
    record = Record(
        3,
        lease=Lease("a", "b", 7),
        commit=9,
        log=((1, 2**64 - 1), (5, 17)),
        closed_until=DAY,
        emitters={2**64 - 2: Heard(2**40, DAY)},
        days={20_780: {2**63: Term(2, False)}},
        totals={"http_requests": Totals(1, 2, 3, 4)},
        counts={HOUR: b"sealed"},
    )
    assert await partitions.read(3) is None
    version = await partitions.write(record)
    assert await partitions.read(3) == replace(record, version=version)
    assert await partitions.read_all() == {3: replace(record, version=version)}
    with pytest.raises(ConflictError):
        await partitions.write(record)
    with pytest.raises(ConflictError):
        await partitions.write(replace(record, version=version + 7))


async def test_whoever_writes_a_lease_fences_the_owner_before(store: SqliteStore) -> None:
    partitions = Partitions(store)
    record = Record(0)
    record = replace(record, version=await partitions.write(record))
    await partitions.lease(record, Lease("other", "run", 1))
    with pytest.raises(ConflictError):
        await partitions.write(record)


def test_the_writer_of_a_commit_is_known_from_the_first_on() -> None:
    record = Record(0, commit=9, log=((3, 7), (8, 9)))
    assert [record.writer_of(commit) for commit in (2, 3, 7, 8, 9, 10)] == [None, 7, 7, 9, 9, None]


def test_names_of_windows() -> None:
    assert window_of(HOUR.name) == HOUR
    for name in ("week-1", "hour", "hour-x", ""):
        with pytest.raises(InternalError):
            window_of(name)


def test_counts_come_back_and_add_up() -> None:
    one = {("m", "a"): cells((0, 1, 5), (0, 3, 1)), ("k", "b"): cells((2**64 - 1, 0, 2)), ("m", "none"): cells()}
    two = {("m", "a"): cells((0, 0, 1), (0, 3, -2))}
    assert decode_counts(encode_counts({})) == {}
    back = decode_counts(encode_counts(one))
    assert {cut: rows(found) for cut, found in back.items()} == {
        ("m", "a"): [(0, 1, 5), (0, 3, 1)],
        ("k", "b"): [(2**64 - 1, 0, 2)],
    }
    summed = sum_counts([back, two])
    assert rows(summed["m", "a"]) == [(0, 0, 1), (0, 1, 5), (0, 3, -1)]
    assert rows(summed["k", "b"]) == [(2**64 - 1, 0, 2)]
    for blob in (encode_counts(one)[:-1], encode_counts(one) + b"x", b""):
        with pytest.raises(InternalError):
            decode_counts(blob)


async def test_a_window_is_collected_when_all_partitions_have_closed_it(store: SqliteStore) -> None:
    keys = WindowKeys(store, KEK, 3600)
    windows, partitions = StoredWindows(store, keys, 3600), Partitions(store)
    await keys.ensure([HOUR])
    counts = {("m", "a"): cells((0, 1, 5))}
    for number in (1, 6):
        sealed = seal(keys.key(HOUR), counts_place(number, HOUR), encode_counts(counts))
        days = {HOUR.start // 86_400: {1: Term(number), 2: Term(2)}}
        await partitions.write(Record(number, counts={HOUR: sealed}, days=days))
    end = HOUR.start + 3600
    assert await windows.over(end - 1) == []
    assert await windows.over(end) == [HOUR]
    await windows.close(end)
    assert await windows.collect(HOUR) is None
    for number in (1, 6):
        record = await partitions.read(number)
        assert record is not None
        assert record.closed_until == 0
        await partitions.write(replace(record, closed_until=end))
    assert len(await partitions.read_all()) == PARTITION_COUNT

    # Another replica, which remembers no key.
    elsewhere = StoredWindows(store, WindowKeys(store, KEK, 3600), 3600)
    collected = await elsewhere.collect(HOUR)
    assert collected is not None
    assert {cut: rows(found) for cut, found in collected.cells.items()} == {("m", "a"): [(0, 1, 10)]}
    assert collected.terms == 6 + 2

    await windows.destroy(HOUR)
    await windows.destroy(HOUR)
    assert await windows.over(end) == []
    left = await elsewhere.collect(HOUR)
    assert left is not None
    assert left.cells == {}


async def test_closing_only_grows(store: SqliteStore) -> None:
    closing = Closing(store)
    assert await closing.read() is None
    assert await closing.raise_to(100) == 100
    assert await closing.raise_to(50) == 100
    assert await closing.raise_to(200) == 200
    assert await closing.read() == 200


async def test_keys_are_made_once_and_bound_to_their_window(store: SqliteStore) -> None:
    one, two = WindowKeys(store, KEK, 3600), WindowKeys(store, KEK, 3600)
    day = Window("day", DAY)
    await one.ensure([HOUR, day])
    await two.ensure([HOUR])
    assert one.key(HOUR).reveal() == two.key(HOUR).reveal() != one.key(day).reveal()
    assert await two.newest_end() == DAY + 86_400
    assert await two.gone([HOUR]) == set()
    await one.destroy(HOUR)
    assert await two.gone([HOUR, day]) == {HOUR}
    with pytest.raises(InternalError):
        two.key(HOUR)

    found = await store.get(KEYS, day.name)
    assert found is not None
    await store.write(Delete(KEYS, day.name))
    moved = Window("day", DAY + 86_400)
    await store.write(Insert(KEYS, moved.name, found.body))
    with pytest.raises(InvalidError):
        await WindowKeys(store, KEK, 3600).find([moved])


def test_terms_are_at_least_one() -> None:
    assert terms_of([Record(0)], HOUR) == 1
