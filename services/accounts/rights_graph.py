"""What serves the rights of account owners, put together; graph.py takes it in."""

from __future__ import annotations

from dataclasses import dataclass

from libs.policy import Policy
from libs.policy.terms import Terms
from libs.runtime.clock import Clock
from services.accounts.domain.concerns import Concerns
from services.accounts.domain.domains import Domains
from services.accounts.domain.keys import Keys
from services.accounts.domain.notices import Notices
from services.accounts.domain.ports import Kept
from services.accounts.domain.reach import Reach
from services.accounts.domain.rights import OwnersRights
from services.accounts.domain.rights_ports import KeptRights


@dataclass(frozen=True)
class Numbers:
    """The policy of this installation, and the numbers of its versions."""

    policy: Policy
    terms: Terms


@dataclass(frozen=True)
class RightsGraph:
    """Consents and contacts, the choke point of platform mail, notices, concerns."""

    owners: OwnersRights
    reach: Reach
    notices: Notices
    concerns: Concerns
    kept: KeptRights


def make_rights(
    numbers: Numbers, keys: Keys, kept: tuple[Kept, KeptRights], domains: Domains, clock: Clock
) -> RightsGraph:
    """Compose the part."""
    base, rights = kept
    owners = OwnersRights(keys, base, rights, domains, clock)
    return RightsGraph(
        owners=owners,
        reach=Reach(numbers.policy.mail, owners, keys.vault),
        notices=Notices(base, rights, numbers.terms, clock),
        concerns=Concerns(keys.vault, owners, rights.concerns, numbers.terms, clock),
        kept=rights,
    )
