"""Whom an account does not write to: because he does not exist, complained, asked not to be, or was put on the list.

An entry is a keyed hash of account and address, a reason and a day. The list can tell whether an address is on it, and
cannot tell which addresses are; and no account's list helps to read another's.
"""

from __future__ import annotations

from collections.abc import Collection as Some
from collections.abc import Sequence
from dataclasses import dataclass

from libs.docstore.fields import delete_quietly, number, text
from libs.docstore.store import Body, Collection, Document, Index, Insert, Query, Store
from libs.runtime.batch import Batcher
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import InvalidError, NotFoundError
from libs.runtime.ids import is_id
from services.delivery.customers.fields import cursor_after, insert_new, page_size, read_cursor
from services.delivery.customers.marks import Marks, canonical_address
from services.delivery.domain.limits import DAY

SUPPRESSIONS = Collection(
    "suppression", (Index("account", ("account", "day")),), small=True, fields=("account", "reason", "day")
)

MANUAL = "manual"


@dataclass(frozen=True, slots=True)
class Suppression:
    """An entry: an opaque id, why, and since which day (of 1970, UTC)."""

    suppression_id: str
    reason: str
    created_day: int


class Suppressions:
    """The lists of all accounts; implements domain.ports.Suppressions."""

    def __init__(self, store: Store, marks: Marks, clock: Clock) -> None:
        """Keep them in `store`."""
        self._store = store
        self._marks = marks
        self._clock = clock
        self._looking: Batcher[Sequence[str], Some[str]] = Batcher(
            self._look, max_items=1000, max_weight=1000, weigh=len, max_delay=0.0, concurrency=1, max_queued=200_000
        )

    async def of(self, account_id: str, addresses: Sequence[str]) -> Some[str]:
        """See domain.ports.Suppressions."""
        keys: dict[str, list[str]] = {}
        for address in addresses:
            keys.setdefault(self._key(account_id, address), []).append(address)
        found = await self._looking.submit(list(keys))
        return frozenset(address for key in found for address in keys[key])

    def insert(self, account_id: str, address: str, reason: str) -> Insert:
        """Return the write that puts an address on the list, unless it is there: the first reason stays."""
        today = unix_seconds(self._clock) // DAY
        body: Body = {"account": self._marks.account(account_id), "reason": reason, "day": today}
        return Insert(SUPPRESSIONS, self._key(account_id, address), body)

    async def put(self, account_id: str, address: str) -> Suppression:
        """Put an address on the list by hand; return its entry. Raises: InvalidError("address_invalid")."""
        await insert_new(self._store, [self.insert(account_id, canonical_address(address), MANUAL)])
        found = await self.find(account_id, address)
        if found is None:
            raise NotFoundError("suppression")
        return found

    async def find(self, account_id: str, address: str) -> Suppression | None:
        """Return the entry of an address, if there is one. Raises: InvalidError("address_invalid")."""
        found = await self._store.get(SUPPRESSIONS, self._key(account_id, canonical_address(address)))
        return _decode(found) if found is not None else None

    async def page(self, account_id: str, limit: int, cursor: str) -> tuple[list[Suppression], str]:
        """Return a page of the list, newest first, and the cursor of the next. Raises: InvalidError."""
        query = Query(
            SUPPRESSIONS,
            "account",
            (self._marks.account(account_id),),
            after=read_cursor(cursor),
            descending=True,
            limit=page_size(limit),
        )
        found = await self._store.find(query)
        return [_decode(document) for document in found], cursor_after("day", found, query.limit)

    async def delete(self, account_id: str, suppression_id: str, address: str) -> None:
        """Take an entry off the list, by its id or by the address; absent is fine.

        Raises: InvalidError("id"), InvalidError("address_invalid").
        """
        if suppression_id:
            if not is_id(suppression_id):
                raise InvalidError("id")
            key = f"{self._marks.account(account_id)}/{suppression_id}"
        else:
            key = self._key(account_id, canonical_address(address))
        await delete_quietly(self._store, SUPPRESSIONS, [key])

    async def _look(self, wanted: Sequence[Sequence[str]]) -> Sequence[Some[str]]:
        """Return which of these documents exist; for a mail alone a look would cost as much as for many."""
        found = await self._store.get_many(SUPPRESSIONS, [key for keys in wanted for key in keys])
        return [[key for key in keys if key in found] for keys in wanted]

    def _key(self, account_id: str, address: str) -> str:
        try:
            canonical = canonical_address(address)
        except InvalidError:
            # Whatever it is, it is the same thing the next time.
            canonical = address
        return f"{self._marks.account(account_id)}/{self._marks.suppression(account_id, canonical)}"


def _decode(document: Document) -> Suppression:
    body = document.body
    return Suppression(document.key.partition("/")[2], text(body, "reason"), number(body, "day"))
