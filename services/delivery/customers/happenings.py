"""What follows when something happened to recipients: events, webhook posts, suppressions, the standing of the account.

Everything but the standing is written under a name that is the same the next time, so that a happening that is told
again, because a process died before it had settled its mail, changes nothing. The standing counts what is new only; it
judges a thousand recipients, and a count that a crash has lost does not matter to it.

Suppressed is, for customers who send to lists, an address that does not exist (RFC 3463: 5.1.x, 5.2.1), not one whose
mailbox is full or whose server did not like the mail; and for everybody, whoever complained or unsubscribed. A member
who mistypes an address is told so each time instead: he would not know of a list that swallows his mail.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from typing import Protocol

from libs.docstore.store import Insert, Store, Written
from services.delivery.customers.events import Events
from services.delivery.customers.fields import are_new, insert_new
from services.delivery.customers.standing import Standings
from services.delivery.customers.suppressions import Suppressions
from services.delivery.domain.limits import Tally
from services.delivery.domain.model import Profile
from services.delivery.domain.ports import Beside, Happening, Kind

# 5.1.7 and 5.1.8 are about the sender's address.
_NO_SUCH_ADDRESS = re.compile(r"5\.1\.(?![78]\Z)\d{1,3}\Z|5\.2\.1\Z")
_TALLIES = {
    Kind.DELIVERED: Tally(1, 0, 0),
    Kind.BOUNCED: Tally(1, 1, 0),
    Kind.EXPIRED: Tally(1, 0, 0),
    # Its recipient was settled before.
    Kind.COMPLAINED: Tally(0, 0, 1),
}


class Posts(Protocol):
    """The webhooks, as happenings see them."""

    async def inserts(self, happenings: Sequence[Happening]) -> Sequence[Insert]:
        """Return the writes that queue a post of each happening to each webhook that wants it."""

    async def wake(self, posts: Sequence[Insert]) -> None:
        """Have these posts, which are durable, sent."""


class AllHappenings:
    """Implements domain.ports.Happenings and domain.ports.Teller."""

    def __init__(
        self, store: Store, events: Events, suppressions: Suppressions, standings: Standings, posts: Posts
    ) -> None:
        """Write to `store`."""
        self._store = store
        self._events = events
        self._suppressions = suppressions
        self._standings = standings
        self._posts = posts

    async def note(self, happenings: Sequence[Happening]) -> None:
        """See domain.ports.Happenings."""
        if not happenings:
            return
        events = [self._events.insert(one) for one in happenings]
        posts = await self._posts.inserts(happenings)
        suppressed = [
            self._suppressions.insert(one.account_id, one.recipient, reason)
            for one in happenings
            if (reason := _reason_to_suppress(one))
        ]
        news = await insert_new(self._store, [*events, *posts, *suppressed])
        await self._posts.wake(posts)
        self._count([one for one, new in zip(happenings, news[: len(events)], strict=True) if new])

    async def beside(self, happenings: Sequence[Happening]) -> Beside | None:
        """See domain.ports.Teller. A webhook would have to be woken, and a suppression must stand before the end."""
        if any(map(_reason_to_suppress, happenings)) or await self._posts.inserts(happenings):
            return None
        return Beside([self._events.insert(one) for one in happenings], partial(self._written, happenings))

    def _written(self, happenings: Sequence[Happening], results: Sequence[Written | Exception]) -> None:
        self._count([one for one, new in zip(happenings, are_new(results), strict=True) if new])

    def _count(self, happenings: Sequence[Happening]) -> None:
        tallies: defaultdict[str, Tally] = defaultdict(Tally)
        for one in happenings:
            if one.kind in _TALLIES:
                tallies[one.account_id] = tallies[one.account_id].plus(_TALLIES[one.kind])
        for account_id, tally in tallies.items():
            self._standings.note(account_id, tally)


def _reason_to_suppress(happening: Happening) -> str:
    if happening.kind in (Kind.COMPLAINED, Kind.UNSUBSCRIBED):
        return str(happening.kind.value)
    if happening.kind is Kind.BOUNCED and happening.profile is Profile.RELAY:
        return str(Kind.BOUNCED.value) if _NO_SUCH_ADDRESS.match(happening.status) else ""
    return ""
