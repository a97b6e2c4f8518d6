"""Tells every owner the numbers of the policy's versions, again and again: an owner may have been restored."""

from __future__ import annotations

from collections.abc import Sequence

from libs.policy.model import Policy
from libs.policy.terms import Terms, Version
from services.retention.domain.ports import DataOwner, Versions
from services.retention.leading.lease import Lead


class KnownTerms:
    """The versions whose numbers hold, for retention itself and for the owners."""

    def __init__(self, policy: Policy, terms: Terms, versions: Versions) -> None:
        """Ask `versions`; as long as there are none, the policy that the program was started with is in force."""
        self._own = Version(policy.version, {name: rule.value for name, rule in policy.rules.items()}, True)
        self._terms = terms
        self._versions = versions

    async def refresh(self) -> Sequence[Version]:
        """Return them, and have this process know them. Raises: UnavailableError."""
        versions = await self._versions() or [self._own]
        self._terms.put(versions)
        return versions


class Teller:
    """Tells one owner."""

    def __init__(self, owner: DataOwner, known: KnownTerms) -> None:
        """Tell `owner` what is `known`."""
        self._owner = owner
        self._known = known

    async def run(self, lead: Lead) -> None:
        """Tell it once. Raises: UnavailableError and what else the owner says."""
        await self._owner.put_terms(await self._known.refresh())
