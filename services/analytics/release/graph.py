"""The releases of one process, put together."""

from __future__ import annotations

from dataclasses import dataclass

from libs.docstore.store import Store
from libs.policy.model import Policy
from libs.runtime.clock import Clock
from services.analytics.domain.ports import PendingWindows
from services.analytics.release.audit import AUDIT, Audit
from services.analytics.release.budget import BUDGETS, Budget
from services.analytics.release.coordinator import Coordinator, Rules, Tools
from services.analytics.release.drawing import check_noise
from services.analytics.release.leading import COORDINATORS, Leading
from services.analytics.release.reading import Reading
from services.analytics.release.repository import OUTCOMES, PARTS, OutcomeRepository
from services.analytics.settings import Settings

COLLECTIONS = (OUTCOMES, PARTS, BUDGETS, AUDIT, COORDINATORS)


@dataclass(frozen=True)
class Releases:
    """`coordinator.run()` goes on for the life of the process; the rest is for the RPCs."""

    coordinator: Coordinator
    reading: Reading
    budget: Budget
    audit: Audit
    policy: Policy


def make_releases(store: Store, clock: Clock, settings: Settings, policy: Policy, windows: PendingWindows) -> Releases:
    """Compose them on `store`, which was opened with COLLECTIONS.

    Raises: InternalError("noise") where OpenDP does not vouch for the noise of a cut: such a policy must not run.
    """
    check_noise(policy)
    outcomes = OutcomeRepository(store)
    leading = Leading(store, clock, max(1, int(settings.lease.total_seconds())))
    budget = Budget(store, policy.budget, outcomes.released_on)
    audit = Audit(store, clock)
    tools = Tools(windows, outcomes, budget, leading, clock)
    poll = min(2.0, settings.hour_seconds / 4)
    return Releases(
        coordinator=Coordinator(tools, Rules(policy, settings.hour_seconds, settings.grace), poll),
        reading=Reading(outcomes, leading, policy, clock, settings.hour_seconds),
        budget=budget,
        audit=audit,
        policy=policy,
    )
