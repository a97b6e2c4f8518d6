"""Plants canaries once a day, and looks for each when its time is over: at the API and in the raw files.

One that is found is missed: an entry of the ledger, an alert and a line on the public page, until it is gone. It has
to be found again after some sweeps, for when a platform has been off, whatever was due meanwhile is there until the
first of them. Where nobody can say, it is looked for again. A round that no door lets in - the limits that hold for
everybody hold for it too - is planted again for a quarter of an hour before it counts as failed.

Retention's own files are left out of the search, for the register of erasures must name what stays erased.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from libs.runtime.errors import SealpostError
from libs.runtime.ids import new_id
from libs.telemetry import metrics
from libs.telemetry.logs import get_logger
from services.retention.canaries.cage import Cage
from services.retention.canaries.model import Canary, State, Trail
from services.retention.canaries.planting import Planted, Planter
from services.retention.domain.ports import CanaryState, Evidence
from services.retention.leading.lease import Lead
from services.retention.probes.world import UnknowableError, World

_DAY = 86_400
_SHOWN_DAYS = 40
_NOT_OUR_OWN = "retention"
_PATIENCE_SECONDS = 900
# How long a sweep may take.
_SWEPT_SECONDS = 60

_MISSED = metrics.gauge("sealpost_retention_canaries_missed", "Canaries that are still there after their time.")
_FAILED = metrics.counter("sealpost_retention_canaries_failed_total", "Canaries that could not be planted.")

_log = get_logger("canaries")


@dataclass(frozen=True)
class Tools:
    """What it works with."""

    cage: Cage
    planter: Planter
    world: Callable[[], Awaitable[World]]
    evidence: Evidence


class Keeper:
    """The canaries of this installation."""

    def __init__(self, tools: Tools) -> None:
        """Nothing is planted before the first step."""
        self._tools = tools
        # Rounds of a day that could not be planted, and since when, Unix seconds.
        self._shut_out: dict[tuple[str, int], int] = {}
        # Canaries that were found after their time, and since when.
        self._found: dict[str, int] = {}

    async def step(self, lead: Lead) -> None:
        """Do what is due, as a duty of the leader. Raises: UnavailableError."""
        world = await self._tools.world()
        await self._look(world)
        day = world.now // _DAY
        planted = await self._tools.cage.planted_on(day)
        wanted = [kind for kind, classes in self._tools.planter.kinds.items() if planted.isdisjoint(classes)]
        if wanted and await _open(world):
            for kind in wanted:
                await self._plant(kind, world, day)

    async def states(self, now: int) -> Sequence[CanaryState]:
        """Return the canaries of the last weeks, newest first. Raises: UnavailableError."""
        found = await self._tools.cage.of_late(now - _SHOWN_DAYS * _DAY)
        return [CanaryState(one.data_class, one.planted, one.due, one.state.value, one.checked) for one in found]

    async def _plant(self, kind: str, world: World, day: int) -> None:
        try:
            planted = await self._tools.planter.plant(kind, world)
        except (UnknowableError, SealpostError) as error:
            reason = error.reason if isinstance(error, SealpostError) else str(error)
            _log.warning("canary_not_planted", kind=kind, reason=reason)
            if world.now - self._shut_out.setdefault((kind, day), world.now) < _PATIENCE_SECONDS:
                return
            _FAILED.inc()
            for name in self._tools.planter.kinds[kind]:
                await self._keep(Planted(name, world.now, Trail()), day, world.now, State.FAILED)
        else:
            for one in planted:
                await self._keep(one, day, world.now, State.WAITING)
        self._shut_out.pop((kind, day), None)

    async def _keep(self, planted: Planted, day: int, now: int, state: State) -> None:
        canary = Canary(new_id(), planted.data_class, day, now, planted.due, state, 0, planted.trail)
        await self._tools.cage.put(canary)
        if state is State.FAILED:
            await self._tools.evidence.append("canary", {"class": planted.data_class, "state": state.value})

    async def _look(self, world: World) -> None:
        missed = 0
        for canary in [*await self._tools.cage.due(world.now), *await self._tools.cage.missed()]:
            try:
                there = await self._there(canary.trail, world)
            except UnknowableError as error:
                _log.warning("canary_not_looked_for", reason=str(error))
                missed += canary.state is State.MISSED
                continue
            if there and canary.state is State.WAITING and not self._found_again(canary, world):
                continue
            self._found.pop(canary.key, None)
            state = State.MISSED if there else State.GONE
            missed += there
            await self._tools.cage.put(canary.seen(state, world.now))
            if state is not canary.state:
                entry = {"class": canary.data_class, "state": state.value, "day": canary.day}
                await self._tools.evidence.append("canary", entry, once=f"canary:{canary.key}:{state.value}")
        _MISSED.set(missed)

    def _found_again(self, canary: Canary, world: World) -> bool:
        """Tell whether a canary that was found was found before the last sweeps too."""
        since = self._found.setdefault(canary.key, world.now)
        return world.now - since >= 2 * world.numbers.rule("sweep_seconds") + _SWEPT_SECONDS

    async def _there(self, trail: Trail, world: World) -> bool:
        """Tell whether it is still to be found. Raises: UnknowableError, UnavailableError where nobody can say."""
        for path in trail.paths:
            answer = await world.web.ask("GET", path, token=trail.token)
            if answer.status == 200:
                return True
            if answer.status not in (401, 404, 410):
                raise UnknowableError("answer")
        needles = [needle.encode() for needle in trail.needles]
        for name, owner in world.owners.items():
            if needles and name != _NOT_OUR_OWN and any((await owner.traces(needles))[0]):
                return True
        return False


async def _open(world: World) -> bool:
    """Tell whether the doors are open: while a platform starts they are not, and nothing has failed."""
    try:
        return (await world.web.ask("GET", "/v1/info")).status == 200
    except UnknowableError:
        return False
