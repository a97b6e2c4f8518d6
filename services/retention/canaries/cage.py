"""Where canaries are kept. What finds one again is sealed, or looking for it would find it here."""

from __future__ import annotations

from collections.abc import Sequence

from libs.docstore.fields import blob, choice, number, text
from libs.docstore.store import Body, Collection, Document, Index, Insert, Query, Replace, Store
from libs.envelope import KeyEncryptionKeys, new_data_key, open_sealed, place_of, seal
from libs.runtime.errors import ConflictError
from services.retention.canaries.model import Canary, State, Trail

CANARIES = Collection(
    "canary",
    (Index("due", ("state", "due")), Index("planted", ("planted",)), Index("day", ("day",))),
    fields=("data_class", "day", "planted", "due", "state", "checked", "data_key", "trail"),
)
_PAGE = 500


class Cage:
    """Canaries on a store."""

    def __init__(self, store: Store, keks: KeyEncryptionKeys) -> None:
        """Use `store`, opened with CANARIES."""
        self._store = store
        self._keks = keks

    async def put(self, canary: Canary) -> None:
        """Keep a new one, or one that was looked at. Raises: UnavailableError."""
        key = new_data_key()
        body: Body = {
            "data_class": canary.data_class,
            "day": canary.day,
            "planted": canary.planted,
            "due": canary.due,
            "state": canary.state.value,
            "checked": canary.checked,
            "data_key": self._keks.wrap(key, place_of("canary", canary.key, "data_key")),
            "trail": seal(key, place_of("canary", canary.key, "trail"), canary.trail.encoded()),
        }
        try:
            if canary.version:
                await self._store.write(Replace(CANARIES, canary.key, body, canary.version))
            else:
                await self._store.write(Insert(CANARIES, canary.key, body))
        except ConflictError:
            # Somebody else has looked at it at the same moment, and has found what there was.
            return

    async def due(self, now: int) -> Sequence[Canary]:
        """Return those that wait and whose time was over at `now`, the most overdue first."""
        found = await self._store.find(Query(CANARIES, "due", (State.WAITING.value,), upper=now, limit=_PAGE))
        return [self._canary(one) for one in found]

    async def missed(self) -> Sequence[Canary]:
        """Return those that were missed: they are looked for until they are gone."""
        found = await self._store.find(Query(CANARIES, "due", (State.MISSED.value,), limit=_PAGE))
        return [self._canary(one) for one in found]

    async def of_late(self, since: int) -> Sequence[Canary]:
        """Return those planted since then, newest first, without their trails."""
        found = await self._store.find(Query(CANARIES, "planted", lower=since, descending=True, limit=_PAGE))
        return [_shown(one) for one in found]

    async def planted_on(self, day: int) -> frozenset[str]:
        """Return the classes of which canaries were planted on a day, or could not be."""
        found = await self._store.find(Query(CANARIES, "day", (day,), limit=_PAGE))
        return frozenset(text(one.body, "data_class") for one in found)

    def _canary(self, document: Document) -> Canary:
        shown = _shown(document)
        key = self._keks.unwrap(blob(document.body, "data_key"), place_of("canary", document.key, "data_key"))
        content = open_sealed(key, place_of("canary", document.key, "trail"), blob(document.body, "trail"))
        return Canary(**{**vars(shown), "trail": Trail.decoded(content)})


def _shown(document: Document) -> Canary:
    body = document.body
    return Canary(
        key=document.key,
        data_class=text(body, "data_class"),
        day=number(body, "day"),
        planted=number(body, "planted"),
        due=number(body, "due"),
        state=choice(State, text(body, "state")),
        checked=number(body, "checked"),
        trail=Trail(),
        version=document.version,
    )
