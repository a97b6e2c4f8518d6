"""The rights of account owners without a wire: an accounts service whose numbers in force a test sets."""

from __future__ import annotations

from dataclasses import dataclass

from libs.policy import load_policy
from libs.policy.terms import Terms, Version
from services.accounts.domain.concerns import Concerns
from services.accounts.domain.model import Account
from services.accounts.domain.notices import Notices
from services.accounts.domain.reach import Reach
from services.accounts.domain.rights import OwnersRights
from services.accounts.graph import make_graph
from services.accounts.repository.claims import ADDRESSES
from tests.support.clock import ManualClock
from tests.unit.accounts.support import Platform, WatchedStore, make_settings, make_wish

RELAY = "relay.test"


@dataclass
class RightsPlatform:
    """What a test of rights needs: the service, and the numbers in force."""

    platform: Platform
    terms: Terms

    def put(self, active: int, **rules: int) -> None:
        """Have a version in force, with the policy's numbers but for `rules`."""
        own = {name: rule.value for name, rule in load_policy().rules.items()}
        self.terms.put([Version(active, own | rules, active=True)])

    async def sign_up(self, name: str, domain: str = "sealpost.test") -> Account:
        """Sign somebody up."""
        return await self.account(await self.platform.sign_up(make_wish(f"{name}@{domain}")))

    async def account(self, account: Account) -> Account:
        """Return an account as it is now."""
        found = await self.platform.graph.accounts.get(account.account_id)
        assert found is not None
        return found

    async def keeps_terms(self, account: Account) -> bool:
        """Tell whether routes of the account have to look for other terms."""
        document = await self.store.get(ADDRESSES, account.address_key)
        return document is not None and document.body.get("keeps_terms") is True

    @property
    def notices(self) -> Notices:
        """Notices."""
        return self.platform.graph.rights.notices

    @property
    def owners(self) -> OwnersRights:
        """Consents and contacts."""
        return self.platform.graph.rights.owners

    @property
    def reach(self) -> Reach:
        """The choke point."""
        return self.platform.graph.rights.reach

    @property
    def concerns(self) -> Concerns:
        """Concerns."""
        return self.platform.graph.rights.concerns

    @property
    def store(self) -> WatchedStore:
        """The store."""
        return self.platform.store

    @property
    def clock(self) -> ManualClock:
        """The clock."""
        return self.platform.clock

    @property
    def now(self) -> int:
        """The time in Unix seconds."""
        return self.platform.now


def run_rights(platform: Platform, active: int) -> RightsPlatform:
    """Return a service on the store of `platform` in which version `active` is in force, with a relay domain."""
    terms = Terms(load_policy())
    settings = make_settings(relay_domains=(RELAY,))
    graph = make_graph(settings, platform.store, platform.clock, terms)
    world = RightsPlatform(Platform(graph, platform.store, platform.clock, settings, platform.path), terms)
    if active:
        world.put(active)
    return world
