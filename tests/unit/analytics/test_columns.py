"""Malformed columns are refused whole, counted, and stop nobody; those beside them count."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protos.facts.v1.facts_pb2 import FactBatch, FactColumns
from services.analytics.domain.counting import PartitionCounter
from services.analytics.domain.ports import DAY_SECONDS, Window
from tests.unit.analytics.naive import HOUR, METRICS, START, Fact, add_columns, cells_of

_NOW = START + 12 * HOUR
_FAULTS: dict[str, Callable[[FactColumns], None]] = {
    "units cut": lambda columns: setattr(columns, "units", columns.units[:-3]),
    "a cell too few": lambda columns: setattr(columns, "cells", columns.cells[:-4]),
    "a cell outside": lambda columns: setattr(columns, "cells", columns.cells[:-4] + b"\x0f\0\0\0"),
    "keys without need": lambda columns: setattr(columns, "keys", bytes(16)),
    "in the future": lambda columns: setattr(columns, "slot", (_NOW + 121) // 10 + 1),
    "too old": lambda columns: setattr(columns, "slot", (_NOW - 2 * DAY_SECONDS) // 10 - 1),
    "a unit astray": lambda columns: setattr(columns, "units", columns.units[:8] + bytes((9, *[0] * 7))),
}


def _batch() -> FactBatch:
    batch = FactBatch(emitter=1, sequence=1, floor=1, salt_id=5)
    add_columns(batch, [Fact("pages", _NOW // 10, unit) for unit in (8, 16)])
    return batch


@pytest.mark.parametrize("fault", _FAULTS)
def test_malformed_columns_are_refused_whole(fault: str) -> None:
    """Columns before and after them count."""
    batch = _batch()
    batch.columns.append(batch.columns[0])
    batch.columns.append(batch.columns[0])
    _FAULTS[fault](batch.columns[1])
    counter = PartitionCounter(METRICS, HOUR, 0)
    fates = counter.count([batch], 0, _NOW).fates
    assert fates["pages"].counted == 4
    assert 1 <= fates["pages"].malformed <= 2
    assert cells_of(counter)[Window("day", START), ("pages", "all")] == {(0, 0): 4}


def test_an_unknown_metric_is_refused_without_its_name() -> None:
    """It may hold anything."""
    batch = _batch()
    batch.columns[0].metric = "no such metric"
    fates = PartitionCounter(METRICS, HOUR, 0).count([batch], 0, _NOW).fates
    assert list(fates) == [""]
    assert fates[""].malformed == 2


def test_a_metric_with_a_key_needs_one_key_for_each_fact() -> None:
    """None at all is malformed."""
    batch = FactBatch(salt_id=5)
    add_columns(batch, [Fact("keyed", _NOW // 10, 8, key=3)])
    add_columns(batch, [Fact("keyed", _NOW // 10, 8, key=4)])
    batch.columns[0].keys = b""
    fates = PartitionCounter(METRICS, HOUR, 0).count([batch], 0, _NOW).fates
    assert (fates["keyed"].malformed, fates["keyed"].counted) == (1, 1)


def test_nothing_counts_nothing() -> None:
    """No batches, and a batch of empty columns."""
    counter = PartitionCounter(METRICS, HOUR, 0)
    batch = FactBatch()
    batch.columns.add(metric="pages", slot=_NOW // 10)
    for batches in ([], [FactBatch()], [batch]):
        counted = counter.count(batches, 0, _NOW)
        assert (counted.units, counted.windows, counted.fates) == ({}, set(), {})


def test_a_short_window_must_divide_the_day() -> None:
    """Else no window would end with the day."""
    with pytest.raises(ValueError, match="divide"):
        PartitionCounter(METRICS, 7000)


_COLUMNS = st.builds(
    FactColumns,
    metric=st.sampled_from(["pages", "keyed", "daily", "none"]),
    slot=st.one_of(st.integers(0, 2**32 - 1), st.just(_NOW // 10)),
    units=st.binary(max_size=33),
    cells=st.one_of(st.binary(max_size=17), st.integers(0, 4).map(lambda size: bytes(4 * size))),
    keys=st.binary(max_size=17),
)


@given(st.lists(_COLUMNS, max_size=5))
@settings(max_examples=150, deadline=None)
def test_no_bytes_raise(columns: list[FactColumns]) -> None:
    """Whatever the columns hold; and nothing is counted that was not there."""
    counter = PartitionCounter(METRICS, HOUR, 0)
    fates = counter.count([FactBatch(columns=columns)], 0, _NOW).fates
    assert sum(one.counted for one in fates.values()) <= sum(len(one.units) // 8 for one in columns)
    for cells in cells_of(counter).values():
        assert np.all(np.array(list(cells.values())) > 0)
