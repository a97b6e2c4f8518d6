"""What may be done so often in a day, counted in the store for all processes together, under keyed hashes."""

from __future__ import annotations

from libs.docstore.store import Body, Collection, Increment, Index, Store
from libs.envelope import KeyedHash
from libs.policy import Terms
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ExhaustedError
from services.delivery.customers.marks import Marks

COUNTS = Collection(
    "forward_counts",
    (Index("expires", ("expires",)), Index("account", ("account", "expires"))),
    fields=("count", "account", "expires"),
)

_DAY = 86400
_FIELD = "count"


class DailyCounts:
    """Counts per UTC day."""

    def __init__(self, store: Store, hashes: KeyedHash, clock: Clock, terms: Terms) -> None:
        """Count in `store`, opened with COUNTS, and forget a day's counts when `terms` say.

        Counts guard against abuse and hold a number only: they follow the terms in force, for everybody alike.
        """
        self._store = store
        self._terms = terms
        self._marks = Marks(hashes)
        self._hashes = hashes
        self._clock = clock

    async def add(self, kind: str, name: str, most: int, *, account_id: str = "") -> None:
        """Count one for `name`; of `account_id` where it is about an account.

        Raises: ExhaustedError("forward_asks") with the seconds until tomorrow above `most`; UnavailableError.
        """
        now = unix_seconds(self._clock)
        key = f"{kind}/{now // _DAY}/{self._hashes.digest(f'forwards/{kind}', name.encode()).hex()}"
        expires = now // _DAY * _DAY + self._terms.rule("forward_count_seconds")
        account = self._marks.account(account_id) if account_id else None
        defaults: Body = {"account": account, "expires": expires}
        try:
            await self._store.write(Increment(COUNTS, key, {_FIELD: 1}, {_FIELD: most}, defaults))
        except ExhaustedError as error:
            raise ExhaustedError("forward_asks", retry_after=float(_DAY - now % _DAY)) from error
