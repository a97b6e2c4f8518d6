"""The RPCs, over a real connection: what a reader gets, and that it is noted before he gets it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from libs.docstore.store import Query
from libs.policy import load_policy
from libs.rpc.channel import connect
from libs.rpc.server import RpcServer
from libs.rpc.tls import TlsFiles
from libs.runtime.errors import DeniedError, InvalidError, UnavailableError
from protos.analytics.v1 import analytics_pb2 as pb
from protos.analytics.v1.analytics_pb2_grpc import AnalyticsStub
from services.analytics.domain.ports import DAY_SECONDS
from services.analytics.health.model import Line, Report, ServiceReport
from services.analytics.release.audit import AUDIT
from services.analytics.rpc import make_parts, serve_analytics
from tests.support.rpc import certificates
from tests.unit.analytics.release.world import GRACE, HOUR, PAGES, RARE, World, counts, make_world

if TYPE_CHECKING:
    from protos.analytics.v1.analytics_pb2_grpc import AnalyticsAsyncStub

READER = "0123456789abcdef0123456789abcdef"
TIMEOUT = 10.0


class _Health:
    def report(self, minutes: int) -> Report:
        line = Line("requests", "per_second", (float(minutes),))
        return Report((1000,), (ServiceReport("storage", 1, 2, (line,)),))


@asynccontextmanager
async def _serving(world: World, caller: str = "gateway") -> AsyncIterator[AnalyticsAsyncStub]:
    callers = ("gateway", "storage")
    server = RpcServer("127.0.0.1:0", TlsFiles(certificates("analytics")), callers)
    serve_analytics(server, make_parts(world.releases, _Health(), world.clock), callers)
    await server.start()
    try:
        tls = TlsFiles(certificates(caller))
        async with connect("analytics", f"127.0.0.1:{server.port}", tls) as channel:
            yield AnalyticsStub(channel)
    finally:
        await server.stop(0)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with make_world(tmp_path) as world:
        world.windows.open(
            "hour", world.hour, {PAGES: counts({(0, 0): 1000}), RARE: counts({(7, 0): 9999, (9, 1): 9999})}
        )
        world.clock.advance(HOUR + GRACE)
        await world.coordinator().step()
        yield world


@pytest.fixture
async def stub(world: World) -> AsyncIterator[AnalyticsAsyncStub]:
    async with _serving(world) as stub:
        yield stub


def _wanted(world: World, metric: str = "pages", cut: str = "by_page", **rest: object) -> pb.ReleasesRequest:
    given = {"from": world.day - DAY_SECONDS, "until": world.hour + DAY_SECONDS, "reader": READER, **rest}
    return pb.ReleasesRequest(metric=metric, cut=cut, **given)  # type: ignore[arg-type]


async def _noted(world: World) -> list[tuple[object, ...]]:
    found = await world.plain.find(Query(AUDIT, "at"))
    return [tuple(document.body[name] for name in ("reader", "what", "metric", "cut")) for document in found]


async def test_releases_say_by_themselves_what_they_mean(world: World, stub: AnalyticsAsyncStub) -> None:
    found = await stub.Releases(_wanted(world), timeout=TIMEOUT)
    [release] = found.releases
    assert (release.epsilon, release.scale, release.threshold) == (0.5, 10.0, 0)
    assert release.end - release.start == HOUR
    assert release.half_width == 30
    assert [list(cell.values) for cell in release.cells[:4]] == [
        ["home", "ok"],
        ["home", "bad"],
        ["home", "other"],
        ["help", "ok"],
    ]
    assert abs(release.cells[0].value - 1000) < 400
    assert await _noted(world) == [(READER, "releases", "pages", "by_page")]


async def test_a_file_is_noted_as_such(world: World, stub: AnalyticsAsyncStub) -> None:
    await stub.Releases(_wanted(world, export=True), timeout=TIMEOUT)
    assert await _noted(world) == [(READER, "export", "pages", "by_page")]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"metric": "nothing"}, "cut_unknown"),
        ({"cut": "by_reader"}, "cut_unknown"),
        ({"from": 5, "until": 5}, "range_invalid"),
        ({"from": -1}, "range_invalid"),
        ({"from": 0, "until": 401 * DAY_SECONDS}, "range_invalid"),
        ({"reader": ""}, "reader_invalid"),
        ({"reader": "x y"}, "reader_invalid"),
    ],
)
async def test_what_is_no_question_is_refused_and_not_noted(
    world: World, stub: AnalyticsAsyncStub, change: dict[str, object], reason: str
) -> None:
    with pytest.raises(InvalidError) as caught:
        await stub.Releases(_wanted(world, **change), timeout=TIMEOUT)  # type: ignore[arg-type]
    assert caught.value.reason == reason
    assert await _noted(world) == []


async def test_a_read_that_cannot_be_noted_fails(world: World, stub: AnalyticsAsyncStub) -> None:
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "releases": lambda: stub.Releases(_wanted(world), timeout=TIMEOUT),
        "budget": lambda: stub.Budget(pb.BudgetRequest(days=1, reader=READER), timeout=TIMEOUT),
        "audit": lambda: stub.Audit(pb.AuditRequest(reader=READER), timeout=TIMEOUT),
        "health": lambda: stub.Health(pb.HealthRequest(minutes=1, reader=READER), timeout=TIMEOUT),
        "note": lambda: stub.Note(pb.NoteRequest(reader=READER, what="holders"), timeout=TIMEOUT),
    }
    for call in calls.values():
        # The note is the first thing that each of them asks of the store.
        world.faults.steps, world.faults.at, world.faults.names = 0, 1, []
        with pytest.raises(UnavailableError):
            await call()
        assert world.faults.names == ["write"]
    world.faults.at = 0
    assert await _noted(world) == []
    for call in calls.values():
        await call()
    assert [what for _, what, _, _ in sorted(await _noted(world))] == sorted([*list(calls)[:-1], "holders"])


async def test_owners_of_a_key_see_that_key_alone(world: World, stub: AnalyticsAsyncStub) -> None:
    wanted = pb.KeyReleasesRequest(metric="answers", cut="by_campaign", key=9, until=world.now + 1)
    setattr(wanted, "from", world.now - DAY_SECONDS)
    [release] = (await stub.KeyReleases(wanted, timeout=TIMEOUT)).releases
    [cell] = release.cells
    assert (list(cell.values), cell.key) == (["no"], 9)
    assert abs(cell.value - 9999) < 300
    wanted.key = 8
    [release] = (await stub.KeyReleases(wanted, timeout=TIMEOUT)).releases
    assert len(release.cells) == 0
    assert await _noted(world) == []


async def test_a_metric_without_keys_has_none_to_ask_for(world: World, stub: AnalyticsAsyncStub) -> None:
    wanted = pb.KeyReleasesRequest(metric="pages", cut="by_page", key=9, until=world.now)
    setattr(wanted, "from", world.now - DAY_SECONDS)
    with pytest.raises(InvalidError, match="key_unknown"):
        await stub.KeyReleases(wanted, timeout=TIMEOUT)


async def test_the_budget_of_days(world: World, stub: AnalyticsAsyncStub) -> None:
    found = await stub.Budget(pb.BudgetRequest(days=3), timeout=TIMEOUT)
    assert [day.day_start for day in found.days] == [world.day - ago * DAY_SECONDS for ago in range(3)]
    today = found.days[0]
    assert (today.epsilon_spent, today.epsilon_limit) == (0.8, 2.0)
    assert (today.delta_spent, today.delta_limit) == (1e-5, 3e-5)
    assert [(one.metric, one.cut, one.epsilon) for one in today.debits] == [
        ("answers", "by_campaign", 0.3),
        ("pages", "by_page", 0.5),
    ]
    assert found.days[1].epsilon_spent == 0
    assert await _noted(world) == []
    for days in (0, 93):
        with pytest.raises(InvalidError):
            await stub.Budget(pb.BudgetRequest(days=days), timeout=TIMEOUT)


async def test_the_audit_shows_all_reads_newest_first_and_itself(world: World, stub: AnalyticsAsyncStub) -> None:
    for _ in range(3):
        await stub.Releases(_wanted(world), timeout=TIMEOUT)
        await stub.Note(pb.NoteRequest(reader=READER, what="holder_granted"), timeout=TIMEOUT)
        world.clock.advance(1)
    found = (await stub.Audit(pb.AuditRequest(reader="staff"), timeout=TIMEOUT)).entries
    assert [(one.at, one.reader) for one in found][:2] == [(world.now, "staff"), (world.now - 1, READER)]
    assert len(found) == 7
    [read] = [one for one in found if one.at == world.now - 3 and one.what == "releases"]
    assert (read.metric, read.cut, read.until - getattr(read, "from")) == (
        "pages",
        "by_page",
        world.hour - world.day + 2 * DAY_SECONDS,
    )
    # A page ends with a second, not within one.
    page = (await stub.Audit(pb.AuditRequest(before=world.now, limit=1, reader="staff"), timeout=TIMEOUT)).entries
    assert [one.at for one in page] == [world.now - 1] * 2


async def test_only_what_others_answer_can_be_noted(stub: AnalyticsAsyncStub) -> None:
    for what in ("", "releases", "anything"):
        with pytest.raises(InvalidError, match="audit_what"):
            await stub.Note(pb.NoteRequest(reader=READER, what=what), timeout=TIMEOUT)


async def test_health_is_handed_on(world: World, stub: AnalyticsAsyncStub) -> None:
    found = await stub.Health(pb.HealthRequest(minutes=5), timeout=TIMEOUT)
    [service] = found.services
    assert (list(found.times), service.service, service.up, service.expected) == ([1000], "storage", 1, 2)
    assert [(one.name, one.unit, list(one.values)) for one in service.series] == [("requests", "per_second", [5.0])]
    with pytest.raises(InvalidError):
        await stub.Health(pb.HealthRequest(minutes=61), timeout=TIMEOUT)


async def test_the_catalogue_is_the_policy(world: World, stub: AnalyticsAsyncStub) -> None:
    found = await stub.Catalogue(pb.CatalogueRequest(), timeout=TIMEOUT)
    assert [one.name for one in found.metrics] == ["answers", "pages"]
    assert found.metrics[1].cuts[1].epsilon == 0.5
    assert found.metrics[0].dimensions[0].values == ["yes", "no", "other"]


async def test_nobody_but_the_gateway_asks(world: World) -> None:
    async with _serving(world, "storage") as stub:
        with pytest.raises(DeniedError):
            await stub.Catalogue(pb.CatalogueRequest(), timeout=TIMEOUT)
        with pytest.raises(DeniedError):
            await stub.Releases(_wanted(world), timeout=TIMEOUT)


async def test_the_declared_policy_is_released_whole(tmp_path: Path) -> None:
    """Every cut of policy.yaml, in a day with and in a day without anybody."""
    async with make_world(tmp_path, load_policy()) as world:
        world.windows.open("hour", world.day)
        world.windows.open("day", world.day)
        world.clock.advance(days=1, seconds=GRACE)
        await world.coordinator().step()
        async with _serving(world) as stub:
            for metric in (await stub.Catalogue(pb.CatalogueRequest(), timeout=TIMEOUT)).metrics:
                for cut in metric.cuts:
                    found = await stub.Releases(_wanted(world, metric.name, cut.name), timeout=TIMEOUT)
                    assert len(found.releases) == 1
                    assert bool(found.releases[0].cells) == (cut.delta == 0)
            spent = (await stub.Budget(pb.BudgetRequest(days=2), timeout=TIMEOUT)).days[1]
        assert 0 < spent.epsilon_spent <= spent.epsilon_limit
        assert 0 < spent.delta_spent <= spent.delta_limit
