"""What became of a cut in a window: a release, or the reason why there is none. One document for each, never replaced.

A release says by itself what it means: window, vocabularies of its dimensions as they were, and all of its noise.
Values lie in columns of little-endian integers; places in the vocabularies are in mixed radix, the first dimension
counting most. Where all combinations are known the values are dense and neither places nor keys are written.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from libs.docstore.fields import blob, number, text, texts
from libs.docstore.store import Body, Value
from libs.runtime.errors import InternalError

Reason = Literal["budget", "lost"]


@dataclass(frozen=True)
class Place:
    """A cut and one of its windows: [start, end) in Unix seconds, and the name of the window."""

    metric: str
    cut: str
    window: str
    start: int
    end: int

    @property
    def series(self) -> str:
        """The name of all outcomes of the cut."""
        return series_of(self.metric, self.cut)

    @property
    def key(self) -> str:
        """The key of the outcome's document."""
        return f"{self.series}/{self.window}"


@dataclass(frozen=True)
class Terms:
    """The noise of a release. `epsilon` and `delta`: what a unit pays on that day, all terms; `threshold` 0: none."""

    epsilon: float
    delta: float
    threshold: int
    scale: float
    half_width: int


@dataclass(frozen=True)
class Cells:
    """Columns of one length, or `codes` and `keys` empty: then the values are dense."""

    values: NDArray[np.int64]
    codes: NDArray[np.uint32]
    keys: NDArray[np.uint64]


@dataclass(frozen=True)
class Released:
    """A release. `dimensions`: names and vocabularies, in the order of the cut."""

    place: Place
    noise: Terms
    dimensions: tuple[tuple[str, tuple[str, ...]], ...]
    cells: Cells
    released_at: int


@dataclass(frozen=True)
class Unreleased:
    """Why a window that was due has no release."""

    place: Place
    reason: Reason


Outcome: TypeAlias = Released | Unreleased

NO_CODES = np.zeros(0, np.uint32)
NO_KEYS = np.zeros(0, np.uint64)


def series_of(metric: str, cut: str) -> str:
    """Return the name of all outcomes of a cut."""
    return f"{metric}.{cut}"


def body_of(outcome: Outcome) -> dict[str, Value]:
    """Return the document of an outcome, its cells included."""
    place = outcome.place
    body: dict[str, Value] = {
        "series": place.series,
        "metric": place.metric,
        "cut": place.cut,
        "window": place.window,
        "start": place.start,
        "end": place.end,
    }
    if isinstance(outcome, Unreleased):
        return {**body, "reason": outcome.reason}
    noise = outcome.noise
    return {
        **body,
        **columns_of(outcome.cells),
        "reason": "",
        "epsilon": repr(noise.epsilon),
        "delta": repr(noise.delta),
        "threshold": noise.threshold,
        "scale": repr(noise.scale),
        "half_width": noise.half_width,
        "released_at": outcome.released_at,
        "dimensions": [{"name": name, "values": list(values)} for name, values in outcome.dimensions],
    }


def outcome_of(body: Body) -> Outcome:
    """Return what `body_of` was given. Raises: InternalError("document_damaged")."""
    metric, cut, window = (text(body, name) for name in ("metric", "cut", "window"))
    place = Place(metric, cut, window, number(body, "start"), number(body, "end"))
    if reason := text(body, "reason"):
        return Unreleased(place, cast(Reason, reason))
    try:
        epsilon, delta, scale = (float(text(body, name)) for name in ("epsilon", "delta", "scale"))
    except ValueError as error:
        raise InternalError("document_damaged") from error
    noise = Terms(epsilon, delta, number(body, "threshold"), scale, number(body, "half_width"))
    rows = cast(Sequence[Body], body.get("dimensions") or ())
    dimensions = tuple((text(row, "name"), texts(row, "values")) for row in rows)
    return Released(place, noise, dimensions, cells_of(body), number(body, "released_at"))


def columns_of(cells: Cells) -> dict[str, Value]:
    """Return cells as fields of bytes."""
    return {
        "values": cells.values.astype("<i8").tobytes(),
        "codes": cells.codes.astype("<u4").tobytes(),
        "keys": cells.keys.astype("<u8").tobytes(),
    }


def cells_of(body: Body) -> Cells:
    """Return what `columns_of` was given. Raises: InternalError("document_damaged")."""
    try:
        values = np.frombuffer(blob(body, "values"), "<i8").astype(np.int64)
        codes = np.frombuffer(blob(body, "codes"), "<u4").astype(np.uint32)
        keys = np.frombuffer(blob(body, "keys"), "<u8").astype(np.uint64)
    except ValueError as error:
        raise InternalError("document_damaged") from error
    if len(codes) not in (0, len(values)) or len(keys) not in (0, len(values)):
        raise InternalError("document_damaged")
    return Cells(values, codes, keys)


def split(cells: Cells, most: int) -> list[Cells]:
    """Return cells in pieces of at most `most`; dense cells are never split."""
    if not len(cells.codes):
        return [cells]
    return [
        Cells(cells.values[at : at + most], cells.codes[at : at + most], cells.keys[at : at + most])
        for at in range(0, len(cells.values), most)
    ]


def joined(pieces: Sequence[Cells]) -> Cells:
    """Return pieces as one."""
    return Cells(
        np.concatenate([piece.values for piece in pieces]),
        np.concatenate([piece.codes for piece in pieces]),
        np.concatenate([piece.keys for piece in pieces]),
    )


def of_key(released: Released, key: int) -> Released:
    """Return only the cells of one key."""
    cells = released.cells
    if not len(cells.keys):
        return replace(released, cells=Cells(np.zeros(0, np.int64), NO_CODES, NO_KEYS))
    chosen = cells.keys == np.uint64(key)
    return replace(released, cells=Cells(cells.values[chosen], cells.codes[chosen], cells.keys[chosen]))


def rows_of(released: Released) -> list[tuple[tuple[str, ...], int, int]]:
    """Return the cells in words: values of the dimensions, the number, the key.

    Raises: InternalError("document_damaged").
    """
    cells = released.cells
    if not len(cells.values):
        return []
    vocabularies = [values for _, values in released.dimensions]
    size = math.prod(map(len, vocabularies))
    codes = cells.codes if len(cells.codes) else np.arange(len(cells.values), dtype=np.uint32)
    if len(codes) and int(codes.max()) >= size:
        raise InternalError("document_damaged")
    # Of few combinations the words are made once; of many only those that are there.
    words: Sequence[tuple[str, ...]]
    if len(cells.codes):
        words = _words(vocabularies, codes)
    else:
        words = _all_words(tuple(vocabularies))[: len(cells.values)]
    keys = cells.keys.tolist() if len(cells.keys) else [0] * len(cells.values)
    return list(zip(words, cells.values.tolist(), keys, strict=True))


@lru_cache(maxsize=64)
def _all_words(vocabularies: tuple[tuple[str, ...], ...]) -> list[tuple[str, ...]]:
    return _words(vocabularies, np.arange(math.prod(map(len, vocabularies)), dtype=np.uint32))


def _words(vocabularies: Sequence[tuple[str, ...]], codes: NDArray[np.uint32]) -> list[tuple[str, ...]]:
    columns: list[list[str]] = []
    for vocabulary in reversed(vocabularies):
        codes, digits = np.divmod(codes, np.uint32(len(vocabulary)))
        columns.insert(0, [vocabulary[digit] for digit in digits.tolist()])
    return list(zip(*columns, strict=True)) if columns else [()] * len(codes)
