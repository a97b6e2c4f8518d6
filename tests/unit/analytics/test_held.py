"""What analytics keeps: in the policy, counted, swept, and an audit that forgets who but not what."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Body, Insert, Query
from libs.owner.model import Subject, Wanted
from libs.owner.owner import Owner
from libs.policy import Terms, Version, load_policy
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import InvalidError, UnavailableError
from services.analytics.graph import COLLECTIONS
from services.analytics.held import make_held
from services.analytics.partitions_keys import KEYS
from services.analytics.release.audit import AUDIT, Audit, Read
from tests.support.clock import ManualClock

READER, OTHER = "a" * 32, "b" * 32
DAY = 86_400


class Desk:
    """A store with an owner of it."""

    def __init__(self, store: SqliteStore) -> None:
        self.store, self.clock = store, ManualClock()
        self.terms = Terms(load_policy())
        self.owner = Owner(make_held(store, self.terms), store, self.clock)
        self.audit = Audit(store, self.clock)

    @property
    def now(self) -> int:
        return unix_seconds(self.clock)

    async def export(self, account_id: str, **wanted: object) -> list[dict[str, object]]:
        """Return the rows that an account is shown."""
        rows: list[dict[str, object]] = []
        async for name, item in self.owner.export(Subject(account_id), (), Wanted(**wanted)):  # type: ignore[arg-type]
            assert name == "statistics_audit"
            rows += json.loads(b"".join([block async for block in item.content]))
        return rows

    async def erase(self, account_id: str, limit: int) -> int:
        """Erase to the end; return how many names went."""
        names, more = 0, True
        while more:
            step = await self.owner.erase(Subject(account_id), limit)
            names, more = names + sum(one.deleted for one in step.classes.values()), step.more
        return names


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with SqliteStore.open(tmp_path / "analytics.db", COLLECTIONS) as store:
        yield Desk(store)


def test_classes_and_fields_are_those_of_the_policy() -> None:
    classes = {name: one for name, one in load_policy().classes.items() if one.service == "analytics"}
    where: dict[str, set[str]] = {}
    for one in classes.values():
        for name, fields in one.where.items():
            where.setdefault(name, set()).update(fields)
    assert where == {one.name: set(one.fields) for one in COLLECTIONS if one.name != "terms"}


async def test_every_class_is_answered_for(desk: Desk) -> None:
    classes = {name for name, one in load_policy().classes.items() if one.service == "analytics"}
    assert set(await desk.owner.inventory()) == {*classes, "terms"}
    with pytest.raises(InvalidError, match="data_class"):
        await desk.owner.sweep("mailbox", desk.now, 1)


async def test_a_reader_sees_what_he_read_and_goes_out_of_it(desk: Desk) -> None:
    for hour in range(7):
        await desk.audit.write(Read(READER, "releases", "visitors", "in_hour", hour, hour + 1))
        desk.clock.advance(hours=1)
    await desk.audit.write(Read(OTHER, "budget"))
    rows = await desk.export(READER)
    assert [one["from"] for one in rows] == list(range(7)) and READER not in str(rows)
    assert len(await desk.export(READER, since=desk.now - 2 * 3600)) == 2
    assert len(await desk.export(READER, until=desk.now - 6 * 3600)) == 2
    assert await desk.export(READER, disclosure=True) == []
    assert await desk.erase(READER, 2) == 7
    assert await desk.erase(READER, 2) == 0
    assert await desk.export(READER) == []
    assert len(await desk.export(OTHER)) == 1
    entries = await desk.audit.list(desk.now + 1, 100)
    assert [one.read.reader for one in entries] == [OTHER, *["erased"] * 7]
    assert [one.read.since for one in entries[1:]] == list(range(6, -1, -1))
    # Not in the files either.
    traces = await desk.owner.traces([READER.encode(), OTHER.encode()])
    assert traces.found[0] == 0 and traces.found[1] > 0


async def test_an_erasure_goes_on_where_it_was_cut_off(desk: Desk) -> None:
    for _ in range(5):
        await desk.audit.write(Read(READER, "audit"))
    assert (await desk.owner.erase(Subject(READER), 3)).more
    again = Owner(make_held(desk.store, desk.terms), desk.store, desk.clock)
    assert not (await again.erase(Subject(READER), 3)).more
    assert await desk.export(READER) == []


async def test_a_store_that_is_away_is_told(tmp_path: Path) -> None:
    async with SqliteStore.open(tmp_path / "analytics.db", COLLECTIONS) as store:
        desk = Desk(store)
    with pytest.raises(UnavailableError):
        await desk.owner.inventory()


async def test_the_numbers_are_those_in_force(desk: Desk) -> None:
    await desk.audit.write(Read(READER, "audit"))
    desk.clock.advance(days=31)
    assert (await desk.owner.sweep("statistics_audit", desk.now, 10)).deleted == 0
    desk.terms.put([Version(2, {"statistics_audit_seconds": 30 * DAY}, active=True)])
    assert (await desk.owner.inventory())["statistics_audit"].first_due == desk.now - DAY
    assert (await desk.owner.sweep("statistics_audit", desk.now, 10)).deleted == 1


async def test_counts_that_nobody_releases_are_given_up(desk: Desk) -> None:
    await desk.store.write(Insert(KEYS, "hour-0", {"key": b"k", "ends": desk.now}))
    desk.clock.advance(3 * DAY - 1)
    assert (await desk.owner.sweep("pending_cells", desk.now + DAY, 10)).deleted == 0
    desk.clock.advance(1)
    assert (await desk.owner.sweep("pending_cells", desk.now, 10)).deleted == 1


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    reads=st.lists(st.integers(0, 900), min_size=1, max_size=15),
    kept=st.integers(30, 500),
    sweeps=st.lists(st.integers(0, 400), min_size=1, max_size=8),
    limit=st.integers(1, 5),
)
async def test_nothing_outlives_its_time_and_nothing_goes_early(
    tmp_path_factory: pytest.TempPathFactory, reads: list[int], kept: int, sweeps: list[int], limit: int
) -> None:
    async with SqliteStore.open(tmp_path_factory.mktemp("sweeps") / "a.db", COLLECTIONS) as store:
        desk = Desk(store)
        desk.terms.put([Version(1, {"statistics_audit_seconds": kept * DAY}, active=True)])
        start = desk.now
        for number, day in enumerate(reads):
            names: Body = {"reader": READER, "what": "audit", "metric": "", "cut": ""}
            body: Body = {**names, "at": start + day * DAY, "from": number, "until": 0}
            await store.write(Insert(AUDIT, f"{number:032x}", body))
        for days in sweeps:
            desk.clock.advance(days=days)
            more = True
            while more:
                more = (await desk.owner.sweep("statistics_audit", desk.now, limit)).more
            left = {one.body["from"] for one in await store.find(Query(AUDIT, "at", limit=100))}
            assert left == {n for n, day in enumerate(reads) if start + (day + kept) * DAY > desk.now}
