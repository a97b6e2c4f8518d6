"""Ends of days: made by the leader once a day is over, signed, kept, published.

A day on which nothing was written has no root of its own; the next one covers it. Roots are created and never changed.
While the clock is not trusted no day ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from libs.docstore.fields import number, text
from libs.docstore.store import Body, Collection, Document, Index, Insert, Query, Store
from libs.runtime.errors import ConflictError, InternalError
from services.retention.domain.ports import TrustedTime
from services.retention.leading.lease import Lead
from services.retention.ledger.ledger import Ledger
from services.retention.ledger.signing import Root, SigningKeys, all_keys

ROOTS = Collection(
    "root",
    (Index("day", ("day",)), Index("entry", ("entry",))),
    fields=("day", "entry", "hash", "signature", "public_key"),
)
_DAY = 86_400
MOST = 400


class Roots:
    """The signed ends of days."""

    def __init__(self, store: Store, ledger: Ledger, keys: SigningKeys, time: TrustedTime) -> None:
        """Use `store`, opened with ROOTS."""
        self._store = store
        self._ledger = ledger
        self._keys = keys
        self._time = time

    async def run(self, lead: Lead) -> None:
        """Sign the end of the last day that is over, if it has entries. Raises: UnavailableError."""
        today = self._time.now() // _DAY
        last = await self._ledger.last_until(today * _DAY - 1)
        if last is None:
            return
        day = day_name(last.at // _DAY)
        newest = await self.newest(1)
        if newest and (newest[0].day >= day or newest[0].entry >= last.number):
            return
        root = self._keys.sign(day, last.number, last.hash)
        try:
            await self._store.write(Insert(ROOTS, day, _body(root)))
        except ConflictError:
            return

    async def newest(self, limit: int) -> Sequence[Root]:
        """Return at most `limit` roots, newest first. Raises: UnavailableError."""
        return [_root(one) for one in await self._store.find(Query(ROOTS, "day", descending=True, limit=limit))]

    async def between(self, first: int, last: int) -> Sequence[Root]:
        """Return the roots of entries `first` to `last`, at most 1,000, oldest first. Raises: UnavailableError."""
        found = await self._store.find(Query(ROOTS, "entry", lower=first, upper=last, limit=1000))
        return [_root(one) for one in found]

    async def before(self, day: str) -> Root | None:
        """Return the last root of a day before `day`. Raises: UnavailableError."""
        found = await self._store.find(Query(ROOTS, "day", upper=day, descending=True, limit=2))
        return next((_root(one) for one in found if one.key < day), None)

    def keys(self, roots: Sequence[Root]) -> list[bytes]:
        """Return the public keys of `roots` and the current ones, the newest last."""
        return all_keys(self._keys.public, roots)


def day_name(day: int) -> str:
    """Return YYYY-MM-DD of a day since 1970."""
    return datetime.fromtimestamp(day * _DAY, UTC).strftime("%Y-%m-%d")


def _body(root: Root) -> Body:
    return {
        "day": root.day,
        "entry": root.entry,
        "hash": root.hash,
        "signature": root.signature,
        "public_key": root.key,
    }


def _root(document: Document) -> Root:
    body = document.body
    signature, key = body.get("signature"), body.get("public_key")
    if not isinstance(signature, bytes) or not isinstance(key, bytes):
        raise InternalError("document_damaged")
    return Root(text(body, "day"), number(body, "entry"), text(body, "hash"), signature, key)
