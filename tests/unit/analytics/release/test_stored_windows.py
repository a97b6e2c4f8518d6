"""Releases together with the windows that the intake really keeps: sealed, closed partition by partition, destroyed."""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Query
from libs.envelope import KeyEncryptionKeys, seal
from libs.runtime.clock import unix_seconds
from libs.runtime.secret import Secret
from services.analytics.domain.ports import DAY_SECONDS, Window
from services.analytics.partitions import Partitions
from services.analytics.partitions_counts import encode_counts
from services.analytics.partitions_keys import KEYS, WindowKeys, counts_place
from services.analytics.partitions_pending import INTAKE_COLLECTIONS, StoredWindows
from services.analytics.release.graph import COLLECTIONS, make_releases
from services.analytics.release.outcomes import rows_of
from tests.support.clock import ManualClock
from tests.unit.analytics.release.world import GRACE, HOUR, PAGES, POLICY, SETTINGS, counts


async def test_sealed_counts_are_summed_released_and_destroyed(tmp_path: Path) -> None:
    clock = ManualClock()
    start = unix_seconds(clock) // HOUR * HOUR
    hour, day = Window("hour", start), Window("day", start - start % DAY_SECONDS)
    keks = KeyEncryptionKeys({1: Secret(secrets.token_bytes(32))})
    async with await SqliteStore.open(tmp_path / "store.db", (*COLLECTIONS, *INTAKE_COLLECTIONS)) as store:
        keys = WindowKeys(store, keks, HOUR)
        releases = make_releases(store, clock, SETTINGS, POLICY, StoredWindows(store, keys, HOUR))
        partitions = Partitions(store)
        await keys.ensure([hour, day])
        await partitions.create_all(0)
        key = (await keys.find([hour]))[hour]
        for number, record in (await partitions.read_all()).items():
            blob = encode_counts({PAGES: counts({(0, 0): 100, (0, 8): number})})
            sealed = seal(key, counts_place(number, hour), blob)
            await partitions.write(replace(record, counts={hour: sealed}))

        clock.advance(HOUR + GRACE)
        assert await releases.coordinator.step() == 0, "no partition has closed the window yet"
        for record in (await partitions.read_all()).values():
            await partitions.write(replace(record, closed_until=start + HOUR))
        assert await releases.coordinator.step() == 1
        assert await releases.coordinator.step() == 0

        report = await releases.reading.read(releases.reading.subject(*PAGES), start, start + HOUR)
        values = [value for _, value, _ in rows_of(report.releases[0])]
        assert abs(values[0] - 800) < 400
        assert abs(values[8] - sum(range(8))) < 400
        assert [document.key for document in await store.find(Query(KEYS, "ends"))] == [day.name]
