"""Which campaigns count opens and clicks, and who does not want to be counted by any.

A campaign that counts has a number, drawn at random, by which statistics know it; off is what it is without a document.
Who opted out is a keyed hash of an address and a day: the list can tell whether an address is on it and nothing else,
and it holds for every sender of this installation.

What a campaign counts holds the mark of its account, by which an erasure finds it; a document from before there were
any gets it when it is looked at the next time.
"""

from __future__ import annotations

import re
import secrets
from collections import OrderedDict
from dataclasses import dataclass

from libs.docstore.fields import number
from libs.docstore.store import Body, Collection, Document, Index, Insert, Replace, Store
from libs.policy import Terms
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, InvalidError
from services.delivery.customers.fields import insert_new, patch_quietly
from services.delivery.customers.marks import Marks, canonical_address
from services.delivery.domain.limits import DAY

MEASURED = Collection(
    "measured_campaign",
    (Index("expires", ("expires",)), Index("account", ("account", "expires"))),
    fields=("account", "opens", "clicks", "number", "expires"),
)
UNCOUNTED = Collection("uncounted", fields=("day",))

_NAME = re.compile(r"[a-z0-9_-]{1,64}\Z")
_KNOWN_SECONDS = 2.0
_MAX_KNOWN = 10_000
_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Measuring:
    """What a campaign counts; `number` is 0 where it never counted anything."""

    opens: bool = False
    clicks: bool = False
    number: int = 0

    @property
    def is_on(self) -> bool:
        """Whether anything is counted."""
        return self.opens or self.clicks


_OFF = Measuring()


class MeasuredCampaigns:
    """The settings of all campaigns, and the list of those who are not counted."""

    def __init__(self, store: Store, marks: Marks, clock: Clock, terms: Terms) -> None:
        """Keep them in `store`, opened with MEASURED and UNCOUNTED, for as long as `terms` say."""
        self._store = store
        self._terms = terms
        self._marks = marks
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, Measuring]] = OrderedDict()

    async def get(self, account_id: str, campaign: str) -> Measuring:
        """Return what a campaign counts. Another process's change is seen within two seconds."""
        if not campaign:
            return _OFF
        key, now = self._marks.campaign(account_id, campaign), self._clock.monotonic()
        known = self._known.get(key)
        if known is not None and known[0] > now:
            return known[1]
        document = await self._store.get(MEASURED, key)
        if document is not None and document.body.get("account") is None:
            await patch_quietly(self._store, MEASURED, key, {"account": self._marks.account(account_id)})
        measuring = _of(document)
        self._known[key] = now + _KNOWN_SECONDS, measuring
        self._known.move_to_end(key)
        if len(self._known) > _MAX_KNOWN:
            self._known.popitem(last=False)
        return measuring

    async def put(self, account_id: str, campaign: str, *, opens: bool, clicks: bool, terms: int = 0) -> Measuring:
        """Set what a campaign counts from now on; it keeps its number.

        `terms` is the version of the policy by which that is kept; 0: the one in force.

        Raises: InvalidError("campaign_invalid"), UnavailableError; ConflictError if others change it all the time.
        """
        if not _NAME.match(campaign):
            raise InvalidError("campaign_invalid")
        key = self._marks.campaign(account_id, campaign)
        for attempt in range(1, _ATTEMPTS + 1):
            document = await self._store.get(MEASURED, key)
            drawn = _of(document).number or secrets.randbits(62) + 1
            measuring = Measuring(opens, clicks, drawn)
            body: Body = {
                "account": self._marks.account(account_id),
                "opens": int(opens),
                "clicks": int(clicks),
                "number": drawn,
                "expires": unix_seconds(self._clock) + self._terms.rule("campaign_seconds", terms),
            }
            try:
                if document is None:
                    await self._store.write(Insert(MEASURED, key, body))
                else:
                    await self._store.write(Replace(MEASURED, key, body, document.version))
            except ConflictError:
                if attempt == _ATTEMPTS:
                    raise
                continue
            self._known.pop(key, None)
            return measuring
        raise AssertionError("the last attempt returns or raises")

    async def counts(self, address: str) -> bool:
        """Tell whether the holder of an address may be counted."""
        try:
            key = self._marks.uncounted(canonical_address(address))
        except InvalidError:
            return False
        return await self._store.get(UNCOUNTED, key) is None

    async def count_no_more(self, address: str) -> None:
        """Put an address on the list of those that nobody counts. Raises: InvalidError("address_invalid")."""
        key = self._marks.uncounted(canonical_address(address))
        await insert_new(self._store, [Insert(UNCOUNTED, key, {"day": unix_seconds(self._clock) // DAY})])


def _of(document: Document | None) -> Measuring:
    if document is None:
        return _OFF
    body = document.body
    return Measuring(bool(number(body, "opens")), bool(number(body, "clicks")), number(body, "number"))
