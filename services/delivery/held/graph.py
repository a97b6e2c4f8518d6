"""All classes of this service, put together."""

from __future__ import annotations

from dataclasses import dataclass

from libs.owner.classes import StoredClass
from libs.owner.model import HeldClass
from libs.owner.terms import TERMS
from services.delivery.customers.graph import Customers
from services.delivery.customers.ports import DkimKeys
from services.delivery.graph import Base, QueueGraph
from services.delivery.held.customers import held_customers
from services.delivery.held.domains import DomainKeys
from services.delivery.held.gone import HeldMarks
from services.delivery.held.kept import Keeping
from services.delivery.held.mails import OutgoingMails, OutgoingTrails
from services.delivery.queue.keys import DataKeys


@dataclass(frozen=True)
class HeldParts:
    """What the classes are made of: who has the keys of mails, and those of sender domains."""

    queue: QueueGraph
    customers: Customers
    keys: DataKeys
    dkim: DkimKeys


def make_held(base: Base, parts: HeldParts) -> list[HeldClass]:
    """Compose them on the store of `base`."""
    queue = parts.queue
    keeping = Keeping(base.store, queue.erased, base.clock, base.terms)
    mails = OutgoingMails(keeping, queue.repository, parts.keys, queue.shredder, queue.worker.desk)
    trails = OutgoingTrails(keeping, queue.repository)
    customers = held_customers(keeping, parts.customers, DomainKeys(parts.customers.domain_records, parts.dkim))
    marks = HeldMarks(keeping, [mails, trails, *customers])
    return [mails, trails, *customers, marks, StoredClass("terms", base.store, [TERMS])]
