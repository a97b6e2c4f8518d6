"""Versions of the policy, notices and disclosure, put together: what they keep, do and answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from libs.docstore.store import Collection
from libs.owner.classes import StoredClass
from libs.owner.model import HeldClass
from libs.policy.document import Document, document
from libs.policy.model import Policy
from libs.policy.terms import Version
from libs.runtime.errors import SealpostError
from libs.telemetry.logs import get_logger
from services.retention.cases_rpc import CasesRpc
from services.retention.domain.cases import Disclosable
from services.retention.domain.cases_archive import Archives
from services.retention.domain.cases_book import Cases
from services.retention.domain.cases_book import Tools as CaseTools
from services.retention.domain.cases_duty import CaseDuty
from services.retention.domain.cases_seal import CaseKeys
from services.retention.domain.transparency import Transparency
from services.retention.domain.versions import read
from services.retention.domain.versions_book import Tools, Versions
from services.retention.domain.versions_notices import Notices
from services.retention.graph import Base
from services.retention.leading.duties import Duty
from services.retention.leading.lease import Lead
from services.retention.owners.cases import DisclosureCases
from services.retention.repository.cases import CASES, CaseRepository
from services.retention.repository.transparency import HALF_YEARS, HalfYearRepository
from services.retention.repository.versions import VERSIONS, VersionRepository
from services.retention.rights_peers import AccountsNotices, PlatformLetters
from services.retention.rpc import CaseCalls, VersionCalls
from services.retention.versions_rpc import VersionsRpc

COLLECTIONS: tuple[Collection, ...] = (VERSIONS, CASES, HALF_YEARS)
_EVERY = 2.0
_LEVELS = ("none", "facts", "sealed")

_log = get_logger("rights")


class RunningPolicy:
    """domain.versions.Running: the policy that this process was started with."""

    def __init__(self, policy: Policy) -> None:
        """Take the policy, overrides applied."""
        self._policy = policy

    @property
    def rules(self) -> Mapping[str, int]:
        """See Running."""
        return {name: rule.value for name, rule in self._policy.rules.items()}

    def document(self, version: int) -> Document:
        """See Running."""
        return document(self._policy, version)


@dataclass(frozen=True)
class Rights:
    """What the part adds. `duties` only while this replica leads; `held` are classes that retention owns."""

    book: Versions
    versions: VersionCalls | None = None
    cases: CaseCalls | None = None
    duties: tuple[Duty, ...] = ()
    held: tuple[HeldClass, ...] = ()

    async def known_versions(self) -> Sequence[Version]:
        """Return the versions whose numbers every owner must know; empty: the running policy's alone."""
        return await self.book.numbers()

    async def in_force(self) -> int:
        """Return the version in force; 0 before the first."""
        found = await self.book.in_force()
        return found.number if found else 0


def make_rights(base: Base) -> Rights:
    """Compose the part on a store that was opened with COLLECTIONS."""
    accounts = AccountsNotices(base.peers.accounts)
    purposes = {letter: purpose for purpose, mail in base.policy.mail.items() for letter in mail.letters}
    letters = PlatformLetters(base.peers.delivery, purposes)
    versions = Versions(
        Tools(
            store=VersionRepository(base.store),
            running=RunningPolicy(base.policy),
            book=accounts,
            notices=Notices(accounts, letters, base.time),
            evidence=base.ledger,
            time=base.time,
            tell=lambda told: _tell(base, told),
        )
    )

    cases, duty = _make_cases(base, accounts, letters, versions)

    async def step(lead: Lead) -> None:
        await versions.step(lead.term)

    async def look(lead: Lead) -> None:
        await duty.step()

    return Rights(
        book=versions,
        versions=VersionsRpc(versions),
        cases=cases,
        duties=(Duty("versions", _EVERY, step), Duty("cases", _EVERY, look)),
        held=(
            StoredClass("policy_version", base.store, [VERSIONS]),
            DisclosureCases(base.store, base.terms, base.clock),
            StoredClass("transparency", base.store, [HALF_YEARS]),
        ),
    )


def _make_cases(
    base: Base, accounts: AccountsNotices, letters: PlatformLetters, versions: Versions
) -> tuple[CasesRpc, CaseDuty]:
    async def allowed() -> Disclosable:
        return disclosable(read(await versions.get(0)), base.policy)

    store = CaseRepository(base.store)
    transparency = Transparency(HalfYearRepository(base.store))
    tools = CaseTools(
        store=store,
        subjects=accounts,
        allowed=allowed,
        keys=CaseKeys(base.keks),
        evidence=base.ledger,
        counting=transparency,
        numbers=base.terms,
        time=base.time,
    )
    cases = Cases(tools)
    archives = Archives(cases, base.peers.owners, base.clock)
    return CasesRpc(cases, tools, archives, transparency), CaseDuty(cases, store, letters, base.terms, base.time)


def disclosable(in_force: Document, running: Policy) -> Disclosable:
    """Return what both the version in force and the running configuration let disclose: a candidate adds nothing."""
    services: dict[str, str] = {}
    facts: dict[str, frozenset[str] | None] = {}
    ours = running.disclosure.facts if running.disclosure else {}
    bases = running.disclosure.legal_bases if running.disclosure else {}
    for name, one in running.classes.items():
        published = in_force["classes"].get(name, {"disclosure": "none"})["disclosure"]
        level = _LEVELS[min(_LEVELS.index(published), _LEVELS.index(one.disclosure))]
        named = frozenset(ours.get(name, ())) & set(in_force["disclosure"]["facts"].get(name, ()))
        if level == "sealed" or (level == "facts" and named):
            services[name], facts[name] = one.service, None if level == "sealed" else named
    return Disclosable(frozenset(bases) & set(in_force["disclosure"]["legal_bases"]), services, facts)


async def _tell(base: Base, versions: Sequence[Version]) -> None:
    """Tell every owner now; whoever cannot be reached is told by the duty that tells each again and again."""
    base.terms.put(versions)
    owners = list(base.peers.owners.values())
    for result in await asyncio.gather(*(one.put_terms(versions) for one in owners), return_exceptions=True):
        if isinstance(result, SealpostError):
            _log.info("terms_told_later", error=result)
        elif isinstance(result, BaseException):
            raise result
