"""The numbers in force, kept: a service that starts while retention is away must not fall back on other numbers."""

from __future__ import annotations

from collections.abc import Iterable

from libs.docstore.store import Body, Collection, Insert, Patch, Query, Store
from libs.docstore.store import Index as StoreIndex
from libs.policy.terms import Terms, Version
from libs.runtime.errors import ConflictError, InvalidError

TERMS = Collection("terms", (StoreIndex("version", ("version",)),), small=True, fields=("version", "rules", "active"))
_MOST = 1000


class StoredTerms:
    """Keeps what retention tells in the service's own store, and gives it to `terms`."""

    def __init__(self, store: Store, terms: Terms) -> None:
        """Use `store`, opened with TERMS."""
        self._store = store
        self.terms = terms

    async def load(self) -> None:
        """Take up what is kept; called once, before the service takes calls. Raises: UnavailableError."""
        found = await self._store.find(Query(TERMS, "version", limit=_MOST))
        self.terms.put(_version(document.body) for document in found)

    async def put(self, versions: Iterable[Version]) -> None:
        """Keep and apply. A version that is known keeps its numbers; only that it is in force is news.

        Raises: InvalidError("terms"), UnavailableError.
        """
        told = sorted(versions, key=lambda one: one.version)
        if any(one.version < 1 for one in told):
            raise InvalidError("terms")
        for one in told:
            await self._keep(one)
        self.terms.put(told)

    async def _keep(self, one: Version) -> None:
        key = f"{one.version:010d}"
        known = await self._store.get(TERMS, key)
        if known is None:
            body: Body = {"version": one.version, "rules": dict(one.rules), "active": one.active}
            try:
                await self._store.write(Insert(TERMS, key, body))
            except ConflictError:
                # Told twice at once; the other one said the same.
                return
        elif one.active and known.body["active"] is not True:
            await self._store.write(Patch(TERMS, key, {"active": True}))


def _version(body: object) -> Version:
    if not isinstance(body, dict):
        raise TypeError("a document is a mapping")
    return Version(int(body["version"]), {name: int(value) for name, value in body["rules"].items()}, body["active"])
