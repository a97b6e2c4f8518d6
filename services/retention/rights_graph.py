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
from services.retention.domain.versions_book import Tools, Versions
from services.retention.domain.versions_notices import Notices
from services.retention.graph import Base
from services.retention.leading.duties import Duty
from services.retention.leading.lease import Lead
from services.retention.repository.versions import VERSIONS, VersionRepository
from services.retention.rights_peers import AccountsNotices, PlatformLetters
from services.retention.rpc import CaseCalls, VersionCalls
from services.retention.versions_rpc import VersionsRpc

COLLECTIONS: tuple[Collection, ...] = (VERSIONS,)
_VERSIONS_EVERY = 2.0

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

    async def step(lead: Lead) -> None:
        await versions.step(lead.term)

    return Rights(
        book=versions,
        versions=VersionsRpc(versions),
        duties=(Duty("versions", _VERSIONS_EVERY, step),),
        held=(StoredClass("policy_version", base.store, [VERSIONS]),),
    )


async def _tell(base: Base, versions: Sequence[Version]) -> None:
    """Tell every owner now; whoever cannot be reached is told by the duty that tells each again and again."""
    base.terms.put(versions)
    owners = list(base.peers.owners.values())
    for result in await asyncio.gather(*(one.put_terms(versions) for one in owners), return_exceptions=True):
        if isinstance(result, SealpostError):
            _log.info("terms_told_later", error=result)
        elif isinstance(result, BaseException):
            raise result
