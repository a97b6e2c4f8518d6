"""Counts of mail that does not pass through here: each once, however often its sender has to ask for it.

Whoever stores a mail that a member has sealed reserves its recipient first, and the member comes again with the same
mail where the answer got lost, or the upload broke off. What names the reservation is then here already. It is written
after the count: who dies in between counts twice, which is too strict by one, and never too lax.
"""

from __future__ import annotations

from libs.docstore.store import Body, Collection, Index, Insert
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, InvalidError
from services.delivery.customers.limits import Counts
from services.delivery.customers.marks import Marks
from services.delivery.domain.model import Profile
from services.delivery.domain.ports import Limits

RESERVED = Collection(
    "reserved",
    (Index("expires", ("expires",)), Index("account", ("account", "expires"))),
    fields=("account", "expires"),
)

_MOST = 200


class Reservations:
    """Reserves by name. As counts do, a reservation follows the terms in force, for everybody alike."""

    def __init__(self, counts: Counts, marks: Marks, limits: Limits, clock: Clock) -> None:
        """Remember in the store of `counts`, opened with RESERVED, what was counted by `limits`."""
        self._store = counts.store
        self._terms = counts.terms
        self._marks = marks
        self._limits = limits
        self._clock = clock

    async def reserve(self, account_id: str, profile: Profile, recipients: int, name: str) -> None:
        """Count recipients, once for each `name` within an hour, each time where it is empty.

        Raises: as Limits.reserve, and InvalidError("reservation_id") for a name of more than 200 characters.
        """
        if len(name) > _MOST:
            raise InvalidError("reservation_id")
        if not name:
            return await self._limits.reserve(account_id, profile, recipients)
        mark = self._marks.reservation(account_id, name, recipients)
        if await self._store.get(RESERVED, mark) is not None:
            return
        await self._limits.reserve(account_id, profile, recipients)
        expires = unix_seconds(self._clock) + self._terms.rule("reservation_seconds")
        body: Body = {"account": self._marks.account(account_id), "expires": expires}
        try:
            await self._store.write(Insert(RESERVED, mark, body))
        except ConflictError:
            # The same came twice at the same moment.
            return
