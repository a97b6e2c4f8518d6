"""The object graph of the queue and its worker, top to bottom; what belongs to customers and the wires is main's."""

from __future__ import annotations

from dataclasses import dataclass, field

from libs.docstore.store import Store
from libs.envelope import Secrets
from libs.policy import Terms, load_policy
from libs.runtime.clock import Clock
from libs.telemetry.facts import Facts, NoFacts
from services.delivery.customers.marks import Marks
from services.delivery.domain.model import Signer, Transport
from services.delivery.domain.ports import (
    Campaigns,
    Happenings,
    Limits,
    Senders,
    Suppressions,
    Teller,
    Unsubscribes,
)
from services.delivery.domain.queue import Judge
from services.delivery.domain.return_path import ReturnPaths
from services.delivery.domain.schedule import Schedule
from services.delivery.domain.submission import Desks, Submissions
from services.delivery.erased import ErasedAccounts
from services.delivery.forwards.remote import ForwardRemote
from services.delivery.forwards.sealing import ArcSealer, Keys
from services.delivery.forwards.srs import ForwardPaths
from services.delivery.measuring.campaigns import MeasuredCampaigns
from services.delivery.measuring.links import MeasuringLinks
from services.delivery.measuring.measure import Measure
from services.delivery.queue.codec import Hashes, MailCodec
from services.delivery.queue.idempotency import IdempotencyKeys
from services.delivery.queue.keys import DataKeys, KeyRing
from services.delivery.queue.repository import QueueRepository
from services.delivery.queue.shredder import Shredder
from services.delivery.queue.trails import MailTrails
from services.delivery.rpc.submission import SubmissionParts
from services.delivery.settings import Settings
from services.delivery.worker.cancelling import Cancelling
from services.delivery.worker.desk import Room
from services.delivery.worker.entrance import Entrance
from services.delivery.worker.lanes import LaneRules, Lanes
from services.delivery.worker.local import LocalDelivery, MailboxPeers
from services.delivery.worker.parts import Parts
from services.delivery.worker.remote import RemoteDelivery
from services.delivery.worker.reports import DsnReporter
from services.delivery.worker.worker import Worker


@dataclass(frozen=True)
class Outside:
    """Other services, and the world."""

    keys: DataKeys
    mailboxes: MailboxPeers
    signer: Signer
    transport: Transport
    # Who seals what is forwarded; None where nothing is.
    arc_keys: Keys | None = None


@dataclass(frozen=True)
class Customers:
    """What the queue asks about customers, and tells of them."""

    limits: Limits
    senders: Senders
    campaigns: Campaigns
    suppressions: Suppressions
    happenings: Happenings
    unsubscribes: Unsubscribes
    teller: Teller | None = None


@dataclass(frozen=True)
class QueueGraph:
    """The queue and its worker."""

    submission: SubmissionParts
    repository: QueueRepository
    keys: KeyRing
    shredder: Shredder
    worker: Worker
    entrance: Entrance
    paths: ReturnPaths
    measure: Measure
    erased: ErasedAccounts


@dataclass(frozen=True)
class Base:
    """What everything stands on."""

    settings: Settings
    store: Store
    clock: Clock
    secrets: Secrets
    facts: Facts | NoFacts = field(default_factory=NoFacts)
    # The numbers of the policy.
    terms: Terms = field(default_factory=lambda: Terms(load_policy()))


def make_local(base: Base, outside: Outside) -> LocalDelivery:
    """Return what brings mails into mailboxes of this installation."""
    return LocalDelivery(base.settings.hostname, outside.mailboxes, base.clock, base.facts)


def make_erased(base: Base) -> ErasedAccounts:
    """Return who is erased."""
    return ErasedAccounts(base.store, base.secrets.hashes, base.clock, base.terms)


def _make_measure(base: Base) -> Measure:
    campaigns = MeasuredCampaigns(base.store, Marks(base.secrets.hashes), base.clock, base.terms)
    return Measure(campaigns, MeasuringLinks(base.secrets.vault, base.settings.public_url, base.clock), base.facts)


def make_queue(base: Base, outside: Outside, customers: Customers, local: LocalDelivery) -> QueueGraph:
    """Compose the queue on a store that was opened with its collections."""
    settings, clock = base.settings, base.clock
    keys = KeyRing(outside.keys, clock)
    shredder = Shredder(base.store, outside.keys, clock)
    codec = MailCodec(Hashes(base.secrets.hashes), base.secrets.vault)
    repository = QueueRepository(base.store, codec, keys, shredder, clock)

    def life(terms: int) -> int:
        return base.terms.rule("outgoing_mail_seconds", terms)

    schedule = Schedule(life, settings.delay_notice_seconds, pauses=settings.retry_seconds)
    paths = ReturnPaths(base.secrets.hashes, settings.bounce_domain)
    judge = Judge(schedule)
    rules = LaneRules(settings.per_destination, settings.max_concurrency, max(1, settings.max_held_mails // 2))
    remote = RemoteDelivery(outside.transport, outside.signer, paths, customers.unsubscribes)
    remote.measure = measure = _make_measure(base)
    if outside.arc_keys is not None:
        sealer = ArcSealer(outside.arc_keys, settings.hostname, clock)
        remote.forwards = ForwardRemote(sealer, ForwardPaths(base.secrets.hashes, settings.bounce_domain), clock)
    parts = Parts(
        queue=repository,
        lanes=Lanes(outside.transport, rules),
        remote=remote,
        local=local,
        campaigns=customers.campaigns,
        suppressions=customers.suppressions,
        happenings=customers.happenings,
        reporter=DsnReporter(settings.hostname, judge),
        judge=judge,
        clock=clock,
        lease=settings.lease_seconds,
        terms=base.terms,
        facts=base.facts,
        teller=customers.teller,
    )
    room = Room(settings.max_concurrency, settings.max_held_mails, settings.max_held_bytes)
    worker = Worker(parts, room, settings.poll_seconds)
    idempotency = IdempotencyKeys(base.store, clock, base.terms)
    entrance = Entrance(repository, keys, worker, schedule, clock)
    entrance.erased = erased = make_erased(base)
    desks = Desks(
        queue=entrance,
        keys=idempotency,
        names=codec.hashes,
        accounts=outside.mailboxes.accounts,
        senders=customers.senders,
        limits=customers.limits,
        campaigns=customers.campaigns,
    )
    submissions = Submissions(desks, settings.hostname, settings.max_message_bytes, clock)
    trails = MailTrails(repository)
    submission = SubmissionParts(submissions, trails, Cancelling(repository, trails, worker))
    return QueueGraph(submission, repository, keys, shredder, worker, entrance, paths, measure, erased)
