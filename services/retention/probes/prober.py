"""Runs probes and remembers what they found.

One after the other, each within its time, so that probes never are a load. A result is written after each probe; what
changed, and each full round, is an entry of the ledger of evidence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from libs.docstore.fields import number, text
from libs.docstore.store import Body, Collection, Document, Index, Insert, Query, Replace, Store
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, NotFoundError, SealpostError
from libs.telemetry import metrics
from libs.telemetry.logs import get_logger
from services.retention.domain.ports import ClauseResult, Evidence
from services.retention.leading.lease import Lead
from services.retention.probes.world import Broken, UnknowableError, World

RESULTS = Collection(
    "probe_result",
    (Index("clause", ("clause",)),),
    fields=("clause", "result", "at", "detail", "since"),
)
_SECONDS = 60.0
# What could not be found out is tried again after so many seconds.
_SOON = 20
_MOST = 1000

_FAILING = metrics.gauge("sealpost_retention_probes_failing", "Clauses that did not hold when last looked at.")
_UNKNOWN = metrics.gauge("sealpost_retention_probes_unknown", "Clauses of which it could not be found out.")

_log = get_logger("probes")

Probe = Callable[[World], Awaitable[None]]


@dataclass(frozen=True)
class Tools:
    """What it works with. `probes` by clause; `world` makes what is looked at, for the time of one round."""

    probes: Mapping[str, Probe]
    world: Callable[[], Awaitable[World]]
    store: Store
    evidence: Evidence
    clock: Clock
    # Seconds between two looks at a clause.
    every: Callable[[], int]


class Prober:
    """The probes of this installation."""

    def __init__(self, tools: Tools) -> None:
        """Run nothing yet."""
        self._tools = tools
        self._running = asyncio.Lock()

    async def step(self, lead: Lead) -> None:
        """Run those whose time has come, as a duty of the leader. Raises: UnavailableError."""
        now, every = unix_seconds(self._tools.clock), self._tools.every()
        due = [one.clause for one in await self.clauses() if one.at + (_SOON if _open(one) else every) <= now]
        if not due:
            return
        await self._run(tuple(due))
        results = await self.clauses()
        counts = {word: sum(one.result == word for one in results) for word in ("pass", "fail", "unknown")}
        _FAILING.set(counts["fail"])
        _UNKNOWN.set(counts["unknown"])
        if len(due) == len(self._tools.probes):
            await self._tools.evidence.append("probe", {"clause": "all", **counts})

    async def run(self, clause: str) -> None:
        """See Results."""
        if clause and clause not in self._tools.probes:
            raise NotFoundError("clause")
        await self._run((clause,) if clause else tuple(self._tools.probes))

    async def clauses(self) -> list[ClauseResult]:
        """See Results."""
        found = await self._tools.store.find(Query(RESULTS, "clause", limit=_MOST))
        known = {text(one.body, "clause"): _result(one) for one in found}
        return [known.get(clause, ClauseResult(clause, "pending")) for clause in self._tools.probes]

    async def _run(self, clauses: tuple[str, ...]) -> list[ClauseResult]:
        async with self._running:
            world = await self._tools.world()
            return [await self._one(clause, world) for clause in clauses]

    async def _one(self, clause: str, world: World) -> ClauseResult:
        result, detail = "pass", ""
        try:
            async with asyncio.timeout(_SECONDS):
                await self._tools.probes[clause](world)
        except Broken as broken:
            result, detail = "fail", str(broken)
        except UnknowableError as unknown:
            result, detail = "unknown", str(unknown)
        except TimeoutError:
            result, detail = "unknown", "late"
        except SealpostError as error:
            result, detail = "unknown", error.reason
        except (KeyError, TypeError, ValueError, IndexError) as error:
            # What answers is not what this probe knows; that is no proof of anything.
            _log.warning("probe_confused", clause=clause, error=error)
            result, detail = "unknown", "confused"
        return await self._keep(clause, result, detail)

    async def _keep(self, clause: str, result: str, detail: str) -> ClauseResult:
        tools, now = self._tools, unix_seconds(self._tools.clock)
        before = await tools.store.get(RESULTS, clause)
        same = before is not None and text(before.body, "result") == result
        since = number(before.body, "since") if before is not None and same else now
        body: Body = {"clause": clause, "result": result, "at": now, "detail": detail, "since": since}
        try:
            if before is None:
                await tools.store.write(Insert(RESULTS, clause, body))
            else:
                await tools.store.write(Replace(RESULTS, clause, body, before.version))
        except ConflictError:
            # Somebody else has looked at the same moment; his result is as good.
            return ClauseResult(clause, result, now, detail, since)
        if not same:
            await tools.evidence.append("probe", {"clause": clause, "result": result, "detail": detail})
            if result == "fail":
                _log.error("clause_broken", clause=clause, reason=detail)
        return ClauseResult(clause, result, now, detail, since)


def _result(document: Document) -> ClauseResult:
    body = document.body
    return ClauseResult(
        text(body, "clause"), text(body, "result"), number(body, "at"), text(body, "detail"), number(body, "since")
    )


def _open(result: ClauseResult) -> bool:
    """Tell whether it is still to be found out how a clause stands."""
    return result.result not in ("pass", "fail")
