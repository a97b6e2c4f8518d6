"""The service analytics in memory, in the place of a stub or of a servicer: the declared cuts, with invented numbers.

The numbers of a window are the same whenever they are asked for, as those of releases are: drawn from a seed that the
window gives, a day's rise and fall with noise of the declared scale. Some windows are missing, each with its reason.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from libs.policy.loader import load_policy
from libs.policy.model import Cut, Metric
from libs.runtime.errors import InvalidError
from protos.analytics.v1 import analytics_pb2 as pb

_LENGTH = {"hour": 3600, "day": 86400}
_SERVICES = {"ingest": 2, "crypto": 2, "storage": 2, "accounts": 2, "delivery": 2, "analytics": 2, "gateway": 3}
_USUAL = {"ingest": 24.0, "crypto": 22.0, "storage": 31.0, "accounts": 40.0, "delivery": 9.0, "gateway": 55.0}
READER = "c" * 32


@dataclass(eq=False)
class FakeAnalytics:
    """Releases from `begins` to `now`, Unix seconds; `error` is raised by every call. `noted` is the audit."""

    now: Callable[[], int] = lambda: 1_795_366_800
    begins: int = 0
    error: Exception | None = None
    noted: list[pb.AuditEntry] = field(default_factory=list)
    asked: list[Any] = field(default_factory=list)
    down: str = ""
    of_key: pb.ReleasesResponse = field(default_factory=pb.ReleasesResponse)

    async def Catalogue(self, request: pb.CatalogueRequest, context: Any = None, timeout: float = 0) -> Any:
        """List what policy.yaml declares."""
        self._take(request)
        return pb.CatalogueResponse(metrics=[_metric(*one) for one in load_policy().metrics.items()])

    async def Releases(self, request: pb.ReleasesRequest, context: Any = None, timeout: float = 0) -> Any:
        """Invent them."""
        self._take(request)
        first = int(getattr(request, "from"))
        metric = load_policy().metrics.get(request.metric)
        if metric is None or request.cut not in metric.cuts:
            raise InvalidError("cut_unknown")
        self._note(request.reader, "export" if request.export else "releases", request.metric, request.cut)
        setattr(self.noted[0], "from", first)
        self.noted[0].until = request.until
        cut, answer = metric.cuts[request.cut], pb.ReleasesResponse()
        length = _LENGTH[cut.window]
        for start in range(-(-max(first, self.begins) // length) * length, min(request.until, self.now()), length):
            reason = self._missing(start, length)
            if reason:
                answer.missing.add(start=start, end=start + length, reason=reason)
            else:
                answer.releases.append(_release(request.metric, metric, cut, start))
        return answer

    async def KeyReleases(self, request: pb.KeyReleasesRequest, context: Any = None, timeout: float = 0) -> Any:
        """Tell the same of every key."""
        self._take(request)
        return self.of_key

    async def Budget(self, request: pb.BudgetRequest, context: Any = None, timeout: float = 0) -> Any:
        """Debit what the policy's cuts cost, more of it the older the day is."""
        self._take(request)
        self._note(request.reader, "budget")
        policy, answer, today = load_policy(), pb.BudgetResponse(), self.now() // 86400
        for ago in range(request.days):
            if (today - ago + 1) * 86400 <= self.begins:
                break
            day = answer.days.add(
                day_start=(today - ago) * 86400,
                epsilon_limit=policy.budget.epsilon_per_day,
                delta_limit=policy.budget.delta_per_day,
            )
            for (name, metric), terms in itertools.product(policy.metrics.items(), (2 if ago == 3 else 1,)):
                for cut, declared in metric.cuts.items():
                    if ago or declared.window == "hour":
                        day.debits.add(
                            metric=name, cut=cut, epsilon=declared.epsilon * terms, delta=declared.delta * terms
                        )
            day.epsilon_spent = math.fsum(one.epsilon for one in day.debits)
            day.delta_spent = math.fsum(one.delta for one in day.debits)
        return answer

    async def Audit(self, request: pb.AuditRequest, context: Any = None, timeout: float = 0) -> Any:
        """List what was noted, newest first."""
        self._take(request)
        known = [one for one in self.noted if not request.before or one.at < request.before]
        self._note(request.reader, "audit")
        return pb.AuditResponse(entries=known[: request.limit])

    async def Note(self, request: pb.NoteRequest, context: Any = None, timeout: float = 0) -> Any:
        """Note it."""
        self._take(request)
        self._note(request.reader, request.what)
        return pb.NoteResponse()

    async def Health(self, request: pb.HealthRequest, context: Any = None, timeout: float = 0) -> Any:
        """Invent an hour, a point for every half minute."""
        self._take(request)
        count, now = request.minutes * 2, self.now() // 30 * 30
        answer = pb.HealthResponse(times=[now - (count - 1 - i) * 30 for i in range(count)])
        for service, expected in _SERVICES.items():
            up = expected - 1 if service == self.down else expected
            answer.services.append(_health(service, (up, expected), count))
        return answer

    def _take(self, request: Any) -> None:
        self.asked.append(request)
        if self.error is not None:
            raise self.error

    def _note(self, reader: str, what: str, metric: str = "", cut: str = "") -> None:
        self.noted.insert(0, pb.AuditEntry(at=self.now(), reader=reader, what=what, metric=metric, cut=cut))

    def _missing(self, start: int, length: int) -> str:
        if start + length + 180 > self.now():
            return "open"
        odd = random.Random(f"missing{start}").random()
        return "lost" if odd < 0.02 else "budget" if odd < 0.03 else ""


def _metric(name: str, metric: Metric) -> pb.Metric:
    return pb.Metric(
        name=name,
        title=metric.title,
        help=metric.help,
        unit=metric.unit,
        kind=metric.kind,
        per_unit=metric.per_unit,
        dimensions=[pb.Dimension(name=one, values=values) for one, values in metric.dimensions.items()],
        cuts=[
            pb.Cut(
                name=one,
                title=cut.title,
                dimensions=cut.dimensions,
                window=cut.window,
                epsilon=cut.epsilon,
                delta=cut.delta,
            )
            for one, cut in metric.cuts.items()
        ],
    )


def _release(name: str, metric: Metric, cut: Cut, start: int) -> pb.Release:
    length, scale = _LENGTH[cut.window], metric.per_unit / cut.epsilon
    half, threshold = math.ceil(scale * math.log(20)), math.ceil(scale * 14) if cut.delta else 0
    release = pb.Release(
        start=start,
        end=start + length,
        epsilon=cut.epsilon,
        delta=cut.delta,
        threshold=threshold,
        scale=scale,
        half_width=half,
        released_at=start + length + 190,
    )
    draw = random.Random(f"{name}{cut.title}{start}")
    # So that there is something to see above the noise.
    tall = scale * (40 if cut.window == "hour" else 60)
    wave = (
        1.15 + math.sin((start % 86400) / 86400 * 2 * math.pi - 2.1) if cut.window == "hour" else 1 + draw.random() / 5
    )
    for values, share in _shares([metric.dimensions[one] for one in cut.dimensions]):
        count = tall * share * wave * (0.94 + draw.random() * 0.12)
        value = round(count + draw.expovariate(1 / scale) - draw.expovariate(1 / scale))
        if value >= threshold or not threshold:
            release.cells.add(values=values, value=value, key=0xA3F1_0000_5EA1_9057 if metric.key else 0)
    return release


def _shares(vocabularies: list[tuple[str, ...]]) -> Iterator[tuple[tuple[str, ...], float]]:
    for values in itertools.product(*vocabularies):
        places = [words.index(value) for words, value in zip(vocabularies, values, strict=True)]
        yield values, math.prod(0.62**place for place in places)


def _health(service: str, up: tuple[int, int], count: int) -> pb.ServiceHealth:
    draw = random.Random(service)
    usual = _USUAL.get(service, 2.0)
    found = pb.ServiceHealth(service=service, up=up[0], expected=up[1])

    def series(name: str, unit: str, level: float, shake: float) -> None:
        line = [max(0.0, level * (1 + 0.2 * math.sin(i / 14)) + draw.gauss(0, shake * level)) for i in range(count)]
        if service == "analytics":
            line[:10] = [math.nan] * min(10, count)
        found.series.add(name=name, unit=unit, values=line)

    series("requests", "per_second", usual, 0.08)
    series("errors", "per_second", usual * (0.09 if up[0] < up[1] else 0.0005), 0.9)
    series("p50", "seconds", 0.004, 0.1)
    series("p99", "seconds", 0.031, 0.25)
    series("queue", "count", 3 if service != "delivery" else 140, 0.3)
    series("memory", "bytes", 120e6 + usual * 2e6, 0.01)
    series("cpu", "ratio", 0.02 + usual / 200, 0.15)
    series("saturation", "ratio", 0.1 + usual / 300, 0.1)
    return found
