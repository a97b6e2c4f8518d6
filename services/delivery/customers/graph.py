"""The customers' side, put together."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from libs.docstore.store import Store
from libs.envelope import KeyedHash, Vault
from libs.policy import Terms, load_policy
from libs.runtime.clock import Clock
from libs.runtime.upkeep import Upkeep
from services.delivery.customers.campaigns import STOPPED, StoppedCampaigns
from services.delivery.customers.dispatch import Dispatcher
from services.delivery.customers.domain_records import OWNERS, SENDER_DOMAINS, DomainRecords
from services.delivery.customers.events import EVENTS, Events
from services.delivery.customers.happenings import AllHappenings
from services.delivery.customers.limits import SENT, Counts, SendingLimits
from services.delivery.customers.marks import Marks
from services.delivery.customers.own_domains import OwnDomains
from services.delivery.customers.pausing import PauseNotices
from services.delivery.customers.ports import Http
from services.delivery.customers.posting import Poster
from services.delivery.customers.reservations import RESERVED, Reservations
from services.delivery.customers.sender_domains import DomainPeers, SenderDomains
from services.delivery.customers.standing import STANDING, Standings
from services.delivery.customers.suppressions import SUPPRESSIONS, Suppressions
from services.delivery.customers.webhook_records import POSTS, WEBHOOKS, WebhookRecords
from services.delivery.customers.webhooks import Webhooks
from services.delivery.domain.limits import LimitRules
from services.delivery.domain.ports import Letters
from services.delivery.domain.sender_domains import Installation

COLLECTIONS = (SENT, RESERVED, STANDING, SUPPRESSIONS, EVENTS, STOPPED, SENDER_DOMAINS, OWNERS, WEBHOOKS, POSTS)

Spawn = Callable[[str, Coroutine[Any, Any, None]], None]


@dataclass(frozen=True)
class Needs:
    """What the customers' side is made of. `store` was opened with COLLECTIONS, among others."""

    store: Store
    hashes: KeyedHash
    vault: Vault
    clock: Clock
    peers: DomainPeers
    http: Http
    letters: Letters
    installation: Installation
    rules: LimitRules = field(default_factory=LimitRules)
    terms: Terms = field(default_factory=lambda: Terms(load_policy()))
    fetch_ports: Sequence[int] = (443,)


@dataclass(frozen=True)
class Customers:
    """What the customers' side can do. limits, domains, campaigns, suppressions, happenings: ports of the queue."""

    limits: SendingLimits
    reservations: Reservations
    standings: Standings
    suppressions: Suppressions
    events: Events
    happenings: AllHappenings
    campaigns: StoppedCampaigns
    domains: SenderDomains
    domain_records: DomainRecords
    own_domains: OwnDomains
    webhooks: Webhooks
    hooks: WebhookRecords
    dispatcher: Dispatcher
    upkeep: Upkeep

    def start(self, spawn: Spawn) -> None:
        """Have the tasks run that belong to it."""
        spawn("webhooks", self.dispatcher.run())
        spawn("customers", self.upkeep.run())

    async def close(self) -> None:
        """Finish what is under way. Raises: UnavailableError."""
        await self.limits.close()
        await self.standings.close()


def make_customers(needs: Needs) -> Customers:
    """Compose it."""
    store, clock, vault = needs.store, needs.clock, needs.vault
    marks = Marks(needs.hashes)
    standings = Standings(store, marks, vault, clock)
    suppressions = Suppressions(store, marks, clock)
    events = Events(store, marks, vault, clock, needs.terms)
    hooks = WebhookRecords(store, vault, needs.terms)
    dispatcher = Dispatcher(hooks, events, Poster(needs.http, needs.fetch_ports, clock), clock)
    webhooks = Webhooks(hooks, marks, events, dispatcher, clock)
    counts = Counts(store, needs.terms)
    limits = SendingLimits(counts, marks, standings, needs.peers.accounts, needs.rules, clock)
    reservations = Reservations(counts, marks, limits, clock)
    campaigns = StoppedCampaigns(store, marks, clock, needs.terms)
    records = DomainRecords(store, marks, vault)
    domains = SenderDomains(records, marks, needs.peers, needs.installation, clock)
    notices = PauseNotices(standings, needs.letters, clock)

    return Customers(
        limits=limits,
        reservations=reservations,
        standings=standings,
        suppressions=suppressions,
        events=events,
        happenings=AllHappenings(store, events, suppressions, standings, webhooks),
        campaigns=campaigns,
        domains=domains,
        domain_records=records,
        own_domains=OwnDomains(needs.peers, needs.installation, clock),
        webhooks=webhooks,
        hooks=hooks,
        dispatcher=dispatcher,
        upkeep=Upkeep({"notices": notices.send, "sender_domains": domains.recheck}),
    )
