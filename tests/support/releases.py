"""Releases of a running platform, put into its store without having been counted."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from libs.docstore import open_store
from libs.policy.loader import load_policy
from services.analytics.release.graph import COLLECTIONS
from services.analytics.release.mechanism import half_width
from services.analytics.release.outcomes import NO_CODES, NO_KEYS, Cells, Place, Released, Terms
from services.analytics.release.repository import OutcomeRepository
from tests.support.platform import RunningPlatform

HOUR = 3600


def plant(platform: RunningPlatform, cut: tuple[str, str], first: int, values: Sequence[Sequence[int]]) -> None:
    """Keep a release of an hourly cut with known cells for each hour from `first` on, Unix seconds.

    In a thread of its own: the browser's tests have a loop in theirs.
    """
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, _plant(platform, cut, first, values)).result()


async def _plant(platform: RunningPlatform, cut: tuple[str, str], first: int, values: Sequence[Sequence[int]]) -> None:
    metric = load_policy().metrics[cut[0]]
    declared = metric.cuts[cut[1]]
    scale = metric.per_unit / declared.epsilon
    noise = Terms(declared.epsilon, 0.0, 0, scale, half_width(scale))
    store = await open_store(f"sqlite:{platform.home / 'data' / 'analytics'}", "analytics", COLLECTIONS)
    try:
        for place, cells in enumerate(values):
            start = first + place * HOUR
            released = Released(
                Place(*cut, f"hour-{start}", start, start + HOUR),
                noise,
                tuple((name, metric.dimensions[name]) for name in declared.dimensions),
                Cells(np.array(cells, np.int64), NO_CODES, NO_KEYS),
                start + HOUR + 200,
            )
            assert await OutcomeRepository(store).keep(released)
    finally:
        await store.close()
