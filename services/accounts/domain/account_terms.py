"""The numbers of the policy as they hold for one account: those of the version in force, or of one its owner kept."""

from __future__ import annotations

from libs.policy.terms import Terms
from libs.runtime.clock import Clock, unix_seconds
from services.accounts.domain.model import Standing
from services.accounts.domain.notices import terms_in_force


class AccountTerms:
    """Reads `Terms` for accounts."""

    def __init__(self, terms: Terms, clock: Clock) -> None:
        """Read from `terms`."""
        self._terms = terms
        self._clock = clock

    @property
    def active(self) -> int:
        """Return the version in force; 0 before any has been told."""
        return self._terms.active

    def version(self, standing: Standing) -> int:
        """Return the version whose terms hold for an account that stands so."""
        return terms_in_force(standing, self._terms.active, unix_seconds(self._clock))

    def rule(self, name: str, standing: Standing | None = None) -> int:
        """Return the number of a rule for an account that stands so; without one, of the version in force."""
        return self._terms.rule(name, self.version(standing) if standing is not None else 0)
