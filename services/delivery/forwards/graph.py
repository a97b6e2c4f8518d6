"""Forwarding, put together."""

from __future__ import annotations

from services.delivery.domain.dsn import site_of
from services.delivery.domain.ports import Letters
from services.delivery.forwards.asking import Asking, AskParts
from services.delivery.forwards.copies import Copies, CopyParts, CopyRules
from services.delivery.forwards.counts import COUNTS, DailyCounts
from services.delivery.forwards.returning import Returning, ReturnParts
from services.delivery.forwards.srs import ForwardPaths
from services.delivery.graph import Base, QueueGraph
from services.delivery.rpc.forwards import ForwardParts

COLLECTIONS = (COUNTS,)
# The MX puts its fields in front of what may be as large as a mail can be.
_FIELDS_BYTES = 64 * 1024


def make_forwards(base: Base, queue: QueueGraph, letters: Letters) -> ForwardParts:
    """Compose it on a store that was opened with COLLECTIONS, among others."""
    settings, clock, hashes = base.settings, base.clock, base.secrets.hashes
    counts = DailyCounts(base.store, hashes, clock, base.terms)
    own_hosts = frozenset((settings.bounce_domain.lower(), settings.hostname.lower()))
    submission, site = queue.submission, site_of(settings.hostname)
    copies = CopyParts(queue.entrance, submission.trails, submission.cancelling, hashes, counts, letters, clock)
    rules = CopyRules(
        hold=settings.forward_hold_seconds,
        per_day=settings.forward_per_day,
        max_bytes=settings.max_message_bytes + _FIELDS_BYTES,
        own_hosts=own_hosts,
        site=site,
    )
    asking = AskParts(queue.entrance, counts, site, settings.public_url, own_hosts, clock)
    paths = ForwardPaths(hashes, settings.bounce_domain)
    returning = ReturnParts(paths, submission.trails, queue.entrance, hashes, settings.hostname, clock)
    return ForwardParts(Copies(copies, rules), Asking(asking), Returning(returning))
