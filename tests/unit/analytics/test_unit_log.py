"""The unit log says the state of a commit exactly, or says that it cannot."""

from __future__ import annotations

import numpy as np
import pytest

from services.analytics.domain.bounding import Used
from services.analytics.intake.unit_log import messages, recover
from services.analytics.partitions import Record


def used(*rows: tuple[int, int]) -> Used:
    """Return (unit, used) as columns."""
    units, numbers = zip(*rows, strict=True) if rows else ((), ())
    return Used(np.array(units, np.uint64), np.array(numbers, np.uint16))


def state(record: Record, log: list[bytes]) -> dict[int, dict[int, int]] | None:
    """Return what was recovered, by day and unit."""
    found = recover(record, log)
    if found is None:
        return None
    return {
        day: {int(u): int(n) for part in parts for u, n in zip(part.units, part.used, strict=True)}
        for day, parts in found.items()
    }


ONE = messages(7, 1, {5: used((1, 1), (2, 1))})
TWO = messages(7, 2, {5: used((2, 2)), 6: used((1, 1))})
THREE = messages(8, 3, {6: used((9, 4))})
RECORD = Record(0, commit=3, log=((1, 7), (3, 8)))
WHOLE = {5: {1: 1, 2: 2}, 6: {1: 1, 9: 4}}


def test_changes_add_up() -> None:
    assert state(Record(0), []) == {}
    assert state(RECORD, ONE + TWO + THREE) == WHOLE
    assert state(RECORD, ONE + TWO + TWO + THREE + THREE) == WHOLE


def test_a_snapshot_replaces_what_was_before() -> None:
    snapshot = messages(7, 2, {5: used((1, 1), (2, 2)), 6: used((1, 1))}, snapshot=True)
    assert state(RECORD, ONE + TWO + snapshot + THREE) == WHOLE
    assert state(RECORD, snapshot + THREE) == WHOLE
    assert len(snapshot) == 2
    assert state(RECORD, snapshot[:1] + THREE) is None
    assert state(RECORD, ONE + TWO + snapshot[1:] + THREE) == WHOLE


@pytest.mark.parametrize("log", [[], ONE, ONE + THREE, TWO + THREE, ONE + TWO, ONE + TWO[:1] + THREE])
def test_a_gap_is_seen(log: list[bytes]) -> None:
    assert state(RECORD, log) is None


def test_what_never_happened_is_passed_over() -> None:
    beyond = messages(8, 4, {5: used((1, 9))})
    zombie = messages(7, 3, {5: used((1, 9))})
    whole_zombie = messages(7, 3, {5: used((1, 9))}, snapshot=True)
    assert state(RECORD, ONE + TWO + zombie + whole_zombie + THREE + beyond + [b"\xff\xff"]) == WHOLE
    assert state(Record(0, commit=3, log=((2, 7), (3, 8))), ONE + TWO + THREE) is None


def test_parts_of_two_snapshots_are_never_mixed() -> None:
    one = messages(8, 3, {5: used((1, 1)), 6: used((2, 2))}, snapshot=True)
    two = messages(8, 3, {5: used((2, 2)), 6: used((1, 1))}, snapshot=True)
    record = Record(0, commit=3, log=((3, 8),))
    assert state(record, one[:1] + two[1:]) is None
    assert state(record, one[:1] + two) == {5: {2: 2}, 6: {1: 1}}


def test_messages_are_bounded() -> None:
    many = Used(np.arange(50_000, dtype=np.uint64), np.ones(50_000, np.uint16))
    made = messages(1, 1, {5: many})
    assert len(made) == 3
    assert max(map(len, made)) < 200 * 1024
    assert state(Record(0, commit=1, log=((1, 1),)), made) == {5: {unit: 1 for unit in range(50_000)}}
    assert len(messages(1, 1, {})) == 1
