"""Cells of keys that are not known beforehand are bounded: a document has to hold them."""

from __future__ import annotations

import numpy as np

from libs.policy import load_policy
from services.analytics.domain.bounding import Facts
from services.analytics.domain.cells import MOST_KEYED_CELLS, Cells
from services.analytics.domain.ports import CellCounts, Window

METRIC = "campaign_responses"
DAY = Window("day", 20_000 * 86_400)


def facts(*keys: int) -> Facts:
    many = len(keys)
    return Facts(
        metrics=np.zeros(many, np.int64),
        units=np.arange(many, dtype=np.uint64),
        hours=np.full(many, DAY.start, np.int64),
        keys=np.array(keys, np.uint64),
        cells=np.zeros(many, np.uint32),
        days=np.full(many, DAY.start, np.int64),
    )


def test_beyond_the_bound_only_known_keys_count() -> None:
    cells = Cells([(METRIC, load_policy().metrics[METRIC])])
    keys = np.arange(1, MOST_KEYED_CELLS + 1, dtype=np.uint64)
    full = CellCounts(keys, np.zeros(len(keys), np.uint32), np.ones(len(keys), np.int64))
    cells.put(DAY, {(METRIC, "by_campaign"): full})
    cells.add(facts(5, 5, MOST_KEYED_CELLS + 7), 3600)
    counts = cells.counts(DAY)[METRIC, "by_campaign"]
    assert len(counts.keys) == MOST_KEYED_CELLS
    assert counts.counts[4] == 3
    assert counts.counts.sum() == MOST_KEYED_CELLS + 2


def test_below_the_bound_new_keys_count() -> None:
    cells = Cells([(METRIC, load_policy().metrics[METRIC])])
    cells.add(facts(5, 9, 5), 3600)
    counts = cells.counts(DAY)[METRIC, "by_campaign"]
    assert dict(zip(counts.keys.tolist(), counts.counts.tolist(), strict=True)) == {5: 2, 9: 1}
