"""Probes and canaries, put together: what they keep, do and answer."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field

from libs.docstore.store import Collection
from libs.owner.classes import Due, StoredClass
from libs.owner.model import HeldClass
from libs.runtime.clock import unix_seconds
from services.retention.canaries.cage import CANARIES, Cage
from services.retention.canaries.keeping import Keeper
from services.retention.canaries.keeping import Tools as KeeperTools
from services.retention.canaries.planting import Planter
from services.retention.domain.ports import CanaryState, ClauseResult, Results
from services.retention.graph import Base
from services.retention.leading.duties import Duty
from services.retention.probes.doors import HttpDoor, SmtpDoor
from services.retention.probes.people import PEOPLE, Accounts
from services.retention.probes.prober import RESULTS, Prober, Tools
from services.retention.probes.results import NoResults
from services.retention.probes.table import PROBES
from services.retention.probes.world import World

COLLECTIONS: tuple[Collection, ...] = (RESULTS, PEOPLE, CANARIES)
_CANARIES_EVERY = 60.0
_PROBES_EVERY = 5.0


@dataclass(frozen=True)
class Probing:
    """What the part adds. `duties` only while this replica leads; `held` are classes that retention owns."""

    results: Results = field(default_factory=NoResults)
    duties: tuple[Duty, ...] = ()
    held: tuple[HeldClass, ...] = ()


@dataclass(frozen=True)
class Found:
    """domain.ports.Results."""

    prober: Prober
    keeper: Keeper
    base: Base

    async def clauses(self) -> Sequence[ClauseResult]:
        """See Results."""
        return await self.prober.clauses()

    async def canaries(self) -> Sequence[CanaryState]:
        """See Results."""
        return await self.keeper.states(unix_seconds(self.base.clock))

    async def run(self, clause: str) -> None:
        """See Results."""
        await self.prober.run(clause)


def make_probing(base: Base) -> Probing:
    """Compose the part on a store that was opened with COLLECTIONS; without doors nothing is probed."""
    settings = base.settings
    web = HttpDoor(settings.http_url, settings.public_url)
    smtp = SmtpDoor(settings.smtp_address, "probe.invalid")
    people = Accounts(web, base.store, base.keks, base.clock)

    async def world() -> World:
        return World(
            web=web,
            smtp=smtp,
            people=people,
            owners=base.peers.owners,
            accounts=base.peers.accounts,
            delivery=base.peers.delivery,
            numbers=base.terms,
            policy=base.policy,
            ledger=base.ledger,
            now=unix_seconds(base.clock),
        )

    named = {clause: one.probe or "" for clause, one in base.policy.clauses.items()}
    probes = {clause: PROBES[name] for clause, name in named.items() if name in PROBES}
    every = functools.partial(base.terms.rule, "probe_seconds")
    prober = Prober(Tools(probes, world, base.store, base.ledger, base.clock, every))
    keeper = Keeper(KeeperTools(Cage(base.store, base.keks), Planter(base.terms, base.clock), world, base.ledger))
    duties = (
        Duty("probes", _PROBES_EVERY, prober.step, timed=False),
        Duty("canaries", _CANARIES_EVERY, keeper.step),
    )
    life = functools.partial(base.terms.rule, "canary_seconds")
    held = (
        StoredClass("canary", base.store, [CANARIES, PEOPLE], due={"canary": Due("planted", offset=life)}),
        StoredClass("probe_result", base.store, [RESULTS]),
    )
    return Probing(Found(prober, keeper, base), duties if settings.http_url else (), held)
