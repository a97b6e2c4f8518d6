"""Sweeps, erasures, the replay, the ledger's roots and what is told about them, put together."""

from __future__ import annotations

from dataclasses import dataclass

from libs.owner.model import HeldClass
from libs.runtime.settings import SettingsError
from services.retention.calls import Calls, Parts
from services.retention.erasing.erasing import Erasing
from services.retention.erasing.erasing import Tools as ErasingTools
from services.retention.erasing.register import Register
from services.retention.erasing.replay import Replay
from services.retention.graph import Base
from services.retention.leading.duties import Duty
from services.retention.leading.guard import CLOCKS
from services.retention.leading.leader import Leader
from services.retention.leading.lease import LEASES, Lease
from services.retention.ledger.export import LedgerFile
from services.retention.ledger.roots import Roots
from services.retention.ledger.signing import SigningKeys
from services.retention.owners.classes import ErasureRegister, EvidenceLedger, Receipts, Schedule
from services.retention.owners.telling import KnownTerms, Teller
from services.retention.peers import AccountsClient
from services.retention.probes.graph import Probing
from services.retention.repository.books import BOOKS, Books
from services.retention.repository.erasures import ERASURES, Erasures
from services.retention.rights_graph import Rights
from services.retention.sweeping.sweeps import Sweeper
from services.retention.sweeping.sweeps import Tools as SweepTools

_ROOTS_EVERY = 30.0
_TELL_EVERY = 60.0
_REPLAY_EVERY = 1.0


@dataclass(frozen=True)
class Core:
    """The core of a process. `leader.run(duties)` goes on for its life."""

    leader: Leader
    duties: tuple[Duty, ...]
    held: tuple[HeldClass, ...]
    calls: Calls
    terms: KnownTerms
    replay: Replay


@dataclass(frozen=True)
class _Stored:
    """What several of them work with."""

    lease: Lease
    books: Books
    erasures: Erasures
    roots: Roots
    register: Register
    accounts: AccountsClient


def make_core(base: Base, rights: Rights, probing: Probing) -> Core:
    """Compose it beside the other parts. Raises: SettingsError if the evidence key is none."""
    stored = _make_stored(base)
    replay = Replay(base.settings.register_dir, stored.register, base.peers.owners, base.ledger)
    terms = KnownTerms(base.policy, base.terms, rights.known_versions)
    tick = base.settings.tick.total_seconds()
    duties = (
        Duty("replay", _REPLAY_EVERY, replay.run, timed=False),
        Duty("erasures", tick, _make_erasing(base, stored).run),
        Duty("roots", _ROOTS_EVERY, stored.roots.run),
        *_of_owners(base, SweepTools(stored.books, base.time, base.ledger, base.clock), terms),
    )
    held = (
        EvidenceLedger(base.store, base.ledger, base.terms),
        ErasureRegister(stored.register, base.terms),
        Receipts(base.store, base.terms),
        Schedule(base.store, LEASES, CLOCKS, BOOKS, ERASURES),
    )
    parts = Parts(
        books=stored.books,
        erasures=stored.erasures,
        accounts=stored.accounts,
        lease=stored.lease,
        guard=base.time,
        roots=stored.roots,
        file=LedgerFile(base.ledger, stored.roots),
        replay=replay,
        results=probing.results,
        in_force=rights.in_force,
        services=tuple(base.peers.owners),
        clock=base.clock,
    )
    return Core(Leader(stored.lease, base.time, base.clock, tick), duties, held, Calls(parts), terms, replay)


def _make_stored(base: Base) -> _Stored:
    settings, store = base.settings, base.store
    try:
        keys = SigningKeys(settings.evidence_key.reveal())
    except ValueError as error:
        raise SettingsError([f"SEALPOST_EVIDENCE_KEY_FILE: {error}"]) from error
    return _Stored(
        lease=Lease(store, base.clock, max(1, int(settings.lease.total_seconds()))),
        books=Books(store, base.fenced),
        erasures=Erasures(store, base.fenced),
        roots=Roots(store, base.ledger, keys, base.time),
        register=Register(settings.register_dir, store),
        accounts=AccountsClient(base.peers.accounts),
    )


def _make_erasing(base: Base, stored: _Stored) -> Erasing:
    tools = ErasingTools(
        accounts=stored.accounts,
        owners=base.peers.owners,
        erasures=stored.erasures,
        register=stored.register,
        evidence=base.ledger,
        time=base.time,
        clock=base.clock,
        store=base.store,
    )
    return Erasing(tools, base.settings.batch)


def _of_owners(base: Base, tools: SweepTools, terms: KnownTerms) -> list[Duty]:
    """Return the duties that each owner has for itself, so that none waits for another."""

    def every() -> float:
        return float(base.terms.rule("sweep_seconds"))

    duties = []
    for name, owner in base.peers.owners.items():
        duties.append(Duty(f"sweep_{name}", every, Sweeper(owner, tools, base.settings.batch).run, timed=False))
        duties.append(Duty(f"terms_{name}", lambda: min(every(), _TELL_EVERY), Teller(owner, terms).run, timed=False))
    return duties
