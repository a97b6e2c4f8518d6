"""Keeps outcomes: created once, never replaced, found by cut and start.

A release whose cells do not fit one document has them in parts, written before it under the id of their draw. The
document that names the draw is what makes it readable, and it can be created only once: of two draws one is kept. Parts
of another draw are removed once it is there; until then they may belong to somebody who is about to create it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace

from libs.docstore.fields import delete_quietly, number, text
from libs.docstore.store import Collection, Index, Insert, Query, Store, Value
from libs.runtime.errors import ConflictError, InternalError
from libs.runtime.ids import new_id
from services.analytics.domain.ports import DAY_SECONDS
from services.analytics.release.outcomes import (
    Outcome,
    Place,
    Released,
    body_of,
    cells_of,
    columns_of,
    joined,
    outcome_of,
    split,
)

_CELLS = ("values", "codes", "keys")
OUTCOMES = Collection(
    "release",
    (Index("series", ("series", "start")), Index("start", ("start",))),
    fields=(
        *("series", "metric", "cut", "window", "start", "end", "reason", "released_at", "dimensions", "draw", "parts"),
        *("epsilon", "delta", "threshold", "scale", "half_width"),
        *_CELLS,
    ),
)
PARTS = Collection(
    "release_part",
    (Index("of", ("of", "number")), Index("start", ("start",))),
    fields=("of", "number", "start", "draw", *_CELLS),
)

# 20 bytes a cell: 6 MB a document.
CELLS_IN_PART = 300_000


@dataclass(frozen=True)
class Span:
    """Windows of a cut that begin in [from, until), both in Unix seconds."""

    series: str
    since: int
    until: int


class OutcomeRepository:
    """Outcomes of all cuts."""

    def __init__(self, store: Store, cells_in_part: int = CELLS_IN_PART) -> None:
        """Use `store`, opened with OUTCOMES and PARTS."""
        self._store = store
        self._most = cells_in_part

    async def existing(self, places: Iterable[Place]) -> set[Place]:
        """Return those of at most 1,000 places that have an outcome."""
        asked = {place.key: place for place in places}
        return {asked[key] for key in await self._store.get_many(OUTCOMES, list(asked))}

    async def keep(self, outcome: Outcome) -> bool:
        """Create the document of an outcome; False where there is one already: that one counts.

        Raises: UnavailableError, after which it may be there or not.
        """
        body = body_of(outcome)
        key, draw = outcome.place.key, new_id()
        pieces = split(outcome.cells, self._most) if isinstance(outcome, Released) else []
        if len(pieces) > 1:
            for place, piece in enumerate(pieces):
                part: dict[str, Value] = {"of": key, "number": place, "start": outcome.place.start, "draw": draw}
                await self._store.write(Insert(PARTS, f"{key}/{draw}/{place}", {**part, **columns_of(piece)}))
            body |= {"draw": draw, "parts": len(pieces), "values": b"", "codes": b"", "keys": b""}
        try:
            await self._store.write(Insert(OUTCOMES, key, body))
        except ConflictError:
            await delete_quietly(self._store, PARTS, [f"{key}/{draw}/{place}" for place in range(len(pieces))])
            return False
        return True

    async def tidy(self, place: Place) -> None:
        """Remove parts of draws that were not kept, once the outcome of `place` exists."""
        document = await self._store.get(OUTCOMES, place.key)
        if document is None:
            return
        kept = document.body.get("draw", "")
        after: tuple[int, str] | None = None
        while True:
            # Few at a time: each is up to 6 MB.
            found = await self._store.find(Query(PARTS, "of", (place.key,), after=after, limit=4))
            await delete_quietly(self._store, PARTS, [part.key for part in found if part.body.get("draw") != kept])
            if len(found) < 4:
                return
            after = (number(found[-1].body, "number"), found[-1].key)

    async def read(self, span: Span, page: int) -> AsyncIterator[Outcome]:
        """Yield outcomes, oldest first, reading `page` documents at once. Raises: InternalError("document_damaged")."""
        after: tuple[int, str] | None = None
        while True:
            query = Query(OUTCOMES, "series", (span.series,), span.since, span.until - 1, after, limit=page)
            found = await self._store.find(query)
            for document in found:
                outcome = outcome_of(document.body)
                if isinstance(outcome, Released) and (parts := number(document.body, "parts", absent=0)):
                    outcome = await self._with_parts(outcome, text(document.body, "draw"), parts)
                yield outcome
            if len(found) < page:
                return
            after = (number(found[-1].body, "start"), found[-1].key)

    async def oldest(self, series: str) -> int | None:
        """Return the start of the oldest outcome of a cut, None where there is none."""
        found = await self._store.find(Query(OUTCOMES, "series", (series,), limit=1))
        return number(found[0].body, "start") if found else None

    async def released_on(self, day: int) -> bool:
        """Tell whether there is a release of the day that begins at `day`."""
        after: tuple[int, str] | None = None
        while True:
            query = Query(OUTCOMES, "start", (), day, day + DAY_SECONDS - 1, after, limit=16)
            found = await self._store.find(query)
            if any(not document.body.get("reason") for document in found):
                return True
            if len(found) < 16:
                return False
            after = (number(found[-1].body, "start"), found[-1].key)

    async def _with_parts(self, released: Released, draw: str, parts: int) -> Released:
        keys = [f"{released.place.key}/{draw}/{place}" for place in range(parts)]
        pieces = []
        for key in keys:
            document = await self._store.get(PARTS, key)
            if document is None:
                raise InternalError("document_damaged")
            pieces.append(cells_of(document.body))
        return replace(released, cells=joined(pieces))


def places_of(series: Sequence[tuple[str, str]], window: str, start: int, end: int) -> list[Place]:
    """Return the places of several cuts in one window."""
    return [Place(metric, cut, window, start, end) for metric, cut in series]
