"""The table of units against a dictionary, with keys that crowd at its end and at its beginning."""

from __future__ import annotations

import numpy as np
import pytest

from services.analytics.domain.units import UnitTable


@pytest.mark.parametrize("shift", [0, 20, 40, 60])
def test_like_a_dictionary(shift: int) -> None:
    """Whatever the keys look like: spread over the table, all at its beginning, or all at its end."""
    rng = np.random.default_rng(shift)
    table = UnitTable()
    expected: dict[int, int] = {}
    most = (1 << (64 - shift)) - 1
    for turn in range(12):
        keys = np.unique(rng.integers(1, min(most, 1 << 62), 150, np.uint64))
        keys = keys if turn % 2 else np.unique(np.uint64(2**64 - 1) - (keys >> np.uint64(4)))
        used = rng.integers(1, 9, len(keys))
        if turn % 3:
            table.put(keys, used)
            expected |= dict(zip(keys.tolist(), used.tolist(), strict=True))
        else:
            _, after = table.advance(keys, used, np.full(len(keys), 10))
            for key, by in zip(keys.tolist(), used.tolist(), strict=True):
                expected[key] = min(expected.get(key, 0) + by, 10)
            assert after.tolist() == [expected[key] for key in keys.tolist()]
        assert len(table) == len(expected)
    rows = table.rows()
    assert dict(zip(rows[0].tolist(), rows[1].tolist(), strict=True)) == expected
    known = np.array(list(expected), np.uint64)
    assert table.get(known).tolist() == list(expected.values())
    unknown = np.setdiff1d(np.maximum(known ^ np.uint64(3), 1), known)
    assert not table.get(unknown).any()
