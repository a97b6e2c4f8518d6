"""Versions of the policy, notices and disclosure, put together: what they keep, do and answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from libs.docstore.store import Collection
from libs.owner.model import HeldClass
from libs.policy.terms import Version
from services.retention.graph import Base
from services.retention.leading.duties import Duty
from services.retention.rpc import CaseCalls, VersionCalls

COLLECTIONS: tuple[Collection, ...] = ()


@dataclass(frozen=True)
class Rights:
    """What the part adds. `duties` only while this replica leads; `held` are classes that retention owns."""

    versions: VersionCalls | None = None
    cases: CaseCalls | None = None
    duties: tuple[Duty, ...] = ()
    held: tuple[HeldClass, ...] = ()

    async def known_versions(self) -> Sequence[Version]:
        """Return the versions whose numbers every owner must know; empty: the running policy's alone."""
        return ()

    async def in_force(self) -> int:
        """Return the version in force; 0 before the first."""
        return 0


def make_rights(base: Base) -> Rights:
    """Compose the part on a store that was opened with COLLECTIONS."""
    return Rights()
