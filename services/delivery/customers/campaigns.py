"""Campaigns that were stopped: what is submitted for one later is refused, what waits is cancelled.

The mark of a stop comes first and the queue is cleaned after it, so that no mail slips in between: what was taken
before the mark is in the queue by then or is refused, and workers ask once more before each attempt.

A stop holds the mark of its account, by which an erasure finds it; one from before there were any gets it when it is
found the next time.
"""

from __future__ import annotations

import re
from collections import OrderedDict

from libs.docstore.store import Body, Collection, Index, Insert, Store
from libs.policy import Terms
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import InvalidError
from services.delivery.customers.fields import insert_new, patch_quietly
from services.delivery.customers.marks import Marks
from services.delivery.domain.ports import Stopper

STOPPED = Collection(
    "stopped_campaign",
    (Index("expires", ("expires",)), Index("account", ("account", "expires"))),
    fields=("account", "stopped", "expires"),
)

_NAME = re.compile(r"[a-z0-9_-]{1,64}\Z")
_KNOWN_SECONDS = 2.0
_MAX_KNOWN = 10_000


class StoppedCampaigns:
    """Implements domain.ports.Campaigns."""

    def __init__(self, store: Store, marks: Marks, clock: Clock, terms: Terms) -> None:
        """Keep stops in `store`, for as long as `terms` say."""
        self._store = store
        self._terms = terms
        self._marks = marks
        self._clock = clock
        # Until when it is taken for running; a stop made by this process counts at once.
        self._running: OrderedDict[str, float] = OrderedDict()

    async def stopped(self, account_id: str, campaign: str) -> bool:
        """See domain.ports.Campaigns. Another process's stop is seen within two seconds."""
        key, now = self._marks.campaign(account_id, campaign), self._clock.monotonic()
        if self._running.get(key, 0.0) > now:
            return False
        found = await self._store.get(STOPPED, key)
        if found is not None:
            if found.body.get("account") is None:
                await patch_quietly(self._store, STOPPED, key, {"account": self._marks.account(account_id)})
            return True
        self._running[key] = now + _KNOWN_SECONDS
        self._running.move_to_end(key)
        if len(self._running) > _MAX_KNOWN:
            self._running.popitem(last=False)
        return False

    async def stop(self, account_id: str, campaign: str, queue: Stopper, terms: int = 0) -> int:
        """Stop a campaign and cancel what waits; return how many recipients. Repeated it cancels what has come since.

        `terms` is the version of the policy by which the stop is kept; 0: the one in force.

        Raises: InvalidError("campaign_invalid"), UnavailableError.
        """
        if not _NAME.match(campaign):
            raise InvalidError("campaign_invalid")
        key, now = self._marks.campaign(account_id, campaign), unix_seconds(self._clock)
        kept = self._terms.rule("campaign_seconds", terms)
        body: Body = {"account": self._marks.account(account_id), "stopped": now, "expires": now + kept}
        await insert_new(self._store, [Insert(STOPPED, key, body)])
        self._running.pop(key, None)
        return await queue.stop_campaign(account_id, campaign)
