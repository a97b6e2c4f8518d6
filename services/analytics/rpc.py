"""The gRPC edge: decode, note who reads, ask, encode. Nothing is answered to a reader before that is noted."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import grpc

from libs.policy.model import Cut, Metric, Policy
from libs.rpc.server import RpcServer
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import InvalidError
from libs.telemetry import metrics
from protos.analytics.v1 import analytics_pb2 as pb
from protos.analytics.v1.analytics_pb2_grpc import AnalyticsServicer, add_AnalyticsServicer_to_server
from services.analytics.domain.ports import DAY_SECONDS
from services.analytics.health.model import Report as HealthReport
from services.analytics.health.model import ServiceReport
from services.analytics.release.audit import MOST, Audit, Entry, Read
from services.analytics.release.budget import DELTA_UNITS, EPSILON_UNITS, Budget, Debit, by_cut, totals
from services.analytics.release.graph import Releases
from services.analytics.release.outcomes import Released, of_key, rows_of
from services.analytics.release.reading import Reading, Report

SERVICE = "sealpost.analytics.v1.Analytics"
CALLERS = frozenset(("gateway",))

_NOTED = frozenset(("holders", "holder_granted", "holder_revoked"))
_READER = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_MOST_DAYS = 92
_MOST_MINUTES = 60
_USUAL_ENTRIES = 100

_READS = metrics.counter(
    "sealpost_statistics_reads_total",
    "Answers by what they are about; those about one key are its owner's, and not in the audit.",
    {"kind": ("releases", "export", "key_releases", "budget", "audit", "health", "note")},
)

_Context = grpc.aio.ServicerContext[object, object]


class HealthSource(Protocol):
    """Who has watched the services."""

    def report(self, minutes: int) -> HealthReport:
        """Return the last `minutes`, at most an hour."""


@dataclass(frozen=True)
class Parts:
    """What the servicer works with."""

    reading: Reading
    budget: Budget
    audit: Audit
    policy: Policy
    health: HealthSource
    clock: Clock


def serve_analytics(server: RpcServer, parts: Parts, callers: Collection[str]) -> None:
    """Add the servicer to `server`, whose list of callers is `callers`, and restrict its methods."""
    server.add(add_AnalyticsServicer_to_server, AnalyticsRpc(parts), SERVICE)
    for method in pb.DESCRIPTOR.services_by_name["Analytics"].methods:
        server.restrict(f"/{SERVICE}/{method.name}", CALLERS & set(callers))


def make_parts(releases: Releases, health: HealthSource, clock: Clock) -> Parts:
    """Return the parts of a process."""
    return Parts(releases.reading, releases.budget, releases.audit, releases.policy, health, clock)


class AnalyticsRpc(AnalyticsServicer):
    """Implements sealpost.analytics.v1.Analytics."""

    def __init__(self, parts: Parts) -> None:
        """Serve from `parts`."""
        self._parts = parts

    async def Catalogue(self, request: pb.CatalogueRequest, context: _Context) -> pb.CatalogueResponse:
        """Return what is declared; nothing of it is about anybody."""
        return pb.CatalogueResponse(metrics=[_metric(*item) for item in sorted(self._parts.policy.metrics.items())])

    async def Releases(self, request: pb.ReleasesRequest, context: _Context) -> pb.ReleasesResponse:
        """Return the releases of a cut; at most 400 days, 20,000 windows and 1,500,000 cells."""
        since, until = getattr(request, "from"), request.until
        subject = self._parts.reading.subject(request.metric, request.cut)
        self._parts.reading.check(since, until)
        what = "export" if request.export else "releases"
        await self._note(Read(request.reader, what, request.metric, request.cut, since, until))
        return await _releases(await self._parts.reading.read(subject, since, until))

    async def KeyReleases(self, request: pb.KeyReleasesRequest, context: _Context) -> pb.ReleasesResponse:
        """Return the cells of one key; whose it is, the caller has checked."""
        subject = self._parts.reading.subject(request.metric, request.cut)
        if not subject.metric.key or not request.key:
            raise InvalidError("key_unknown")
        since, until = getattr(request, "from"), request.until
        report = await self._parts.reading.read(subject, since, until, partial(of_key, key=request.key))
        _READS.inc(kind="key_releases")
        return await _releases(report)

    async def Budget(self, request: pb.BudgetRequest, context: _Context) -> pb.BudgetResponse:
        """Return what days have spent, the present one first."""
        if not 1 <= request.days <= _MOST_DAYS:
            raise InvalidError("days_invalid")
        await self._note_reader(Read(request.reader, "budget"))
        now = unix_seconds(self._parts.clock)
        today = now - now % DAY_SECONDS
        days = [today - DAY_SECONDS * ago for ago in range(request.days)]
        debits = await self._parts.budget.read(days)
        return pb.BudgetResponse(days=[self._day(day, debits[day]) for day in days])

    async def Audit(self, request: pb.AuditRequest, context: _Context) -> pb.AuditResponse:
        """Return who read what, this read included, newest first; 100 entries, or as many as asked up to 500."""
        if request.limit > MOST or request.before < 0:
            raise InvalidError("range_invalid")
        await self._note(Read(request.reader, "audit"))
        before = request.before or unix_seconds(self._parts.clock) + 1
        entries = await self._parts.audit.list(before, request.limit or _USUAL_ENTRIES)
        return pb.AuditResponse(entries=[_entry(entry) for entry in entries])

    async def Health(self, request: pb.HealthRequest, context: _Context) -> pb.HealthResponse:
        """Return how the services are."""
        if not 1 <= request.minutes <= _MOST_MINUTES:
            raise InvalidError("minutes_invalid")
        await self._note_reader(Read(request.reader, "health"))
        report = self._parts.health.report(request.minutes)
        return pb.HealthResponse(times=report.times, services=[_service(one) for one in report.services])

    async def Note(self, request: pb.NoteRequest, context: _Context) -> pb.NoteResponse:
        """Note what another service is about to answer or change."""
        if request.what not in _NOTED:
            raise InvalidError("audit_what")
        await self._note(Read(request.reader, request.what))
        return pb.NoteResponse()

    async def _note_reader(self, read: Read) -> None:
        """Note a read unless it is by a program of ours."""
        if read.reader:
            await self._note(read)
        else:
            _READS.inc(kind=read.what)

    async def _note(self, read: Read) -> None:
        if not _READER.match(read.reader):
            raise InvalidError("reader_invalid")
        await self._parts.audit.write(read)
        _READS.inc(kind="note" if read.what in _NOTED else read.what)

    def _day(self, day: int, debits: list[Debit]) -> pb.BudgetDay:
        epsilon, delta = totals(debits)
        rows = [
            pb.Debit(metric=metric, cut=cut, epsilon=spent[0] / EPSILON_UNITS, delta=spent[1] / DELTA_UNITS)
            for (metric, cut), spent in sorted(by_cut(debits).items())
        ]
        return pb.BudgetDay(
            day_start=day,
            epsilon_spent=epsilon / EPSILON_UNITS,
            epsilon_limit=self._parts.budget.epsilon_limit / EPSILON_UNITS,
            delta_spent=delta / DELTA_UNITS,
            delta_limit=self._parts.budget.delta_limit / DELTA_UNITS,
            debits=rows,
        )


async def _releases(report: Report) -> pb.ReleasesResponse:
    response = pb.ReleasesResponse(
        missing=[pb.Missing(start=gap.start, end=gap.end, reason=gap.reason) for gap in report.missing]
    )
    for released in report.releases:
        response.releases.append(_release(released))
        # A long answer is made in many small steps: others are served in between.
        await asyncio.sleep(0)
    return response


def _release(released: Released) -> pb.Release:
    noise = released.noise
    return pb.Release(
        start=released.place.start,
        end=released.place.end,
        epsilon=noise.epsilon,
        delta=noise.delta,
        threshold=noise.threshold,
        scale=noise.scale,
        half_width=noise.half_width,
        cells=[pb.Cell(values=words, value=value, key=key) for words, value, key in rows_of(released)],
        released_at=released.released_at,
    )


def _metric(name: str, metric: Metric) -> pb.Metric:
    return pb.Metric(
        name=name,
        title=metric.title,
        help=metric.help,
        unit=metric.unit,
        kind=metric.kind,
        per_unit=metric.per_unit,
        dimensions=[pb.Dimension(name=one, values=values) for one, values in metric.dimensions.items()],
        cuts=[_cut(one, cut) for one, cut in sorted(metric.cuts.items())],
    )


def _cut(name: str, cut: Cut) -> pb.Cut:
    return pb.Cut(
        name=name,
        title=cut.title,
        dimensions=cut.dimensions,
        window=cut.window,
        epsilon=cut.epsilon,
        delta=cut.delta,
    )


def _entry(entry: Entry) -> pb.AuditEntry:
    read = entry.read
    made = pb.AuditEntry(
        at=entry.at, reader=read.reader, what=read.what, metric=read.metric, cut=read.cut, until=read.until
    )
    setattr(made, "from", read.since)
    return made


def _service(report: ServiceReport) -> pb.ServiceHealth:
    return pb.ServiceHealth(
        service=report.service,
        up=report.up,
        expected=report.expected,
        series=[pb.Series(name=line.name, unit=line.unit, values=line.values) for line in report.lines],
    )
