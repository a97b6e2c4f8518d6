"""What an attempt needs of others."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from libs.policy import Terms
from libs.runtime.clock import Clock
from libs.telemetry.facts import NoFacts, Recorder
from services.delivery.domain.ports import Campaigns, Happenings, Suppressions, Teller
from services.delivery.domain.queue import Judge, Report
from services.delivery.queue.entry import Entry
from services.delivery.queue.repository import QueueRepository
from services.delivery.worker.lanes import Lanes
from services.delivery.worker.local import LocalDelivery
from services.delivery.worker.remote import RemoteDelivery


class Reporter(Protocol):
    """Writes reports to senders."""

    def make(self, entry: Entry, content: bytes, report: Report, now: datetime) -> bytes:
        """Return the mail of a report; `content` is the mail that it is about, or the beginning of it."""


@dataclass(frozen=True)
class Parts:
    """Everything that attempts work with. `lease`: seconds."""

    queue: QueueRepository
    lanes: Lanes
    remote: RemoteDelivery
    local: LocalDelivery
    campaigns: Campaigns
    suppressions: Suppressions
    happenings: Happenings
    reporter: Reporter
    judge: Judge
    clock: Clock
    lease: float
    terms: Terms
    # None: everything is told before a mail is settled.
    teller: Teller | None = None
    facts: Recorder = field(default_factory=NoFacts)

    def trail(self, terms: int) -> int:
        """For how many seconds the outcome of a mail is remembered by a version of the policy, see Order.terms."""
        return self.terms.rule("outgoing_trail_seconds", terms)
