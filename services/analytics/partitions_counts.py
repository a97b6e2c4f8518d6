"""Counts of a window as bytes, to be sealed: columns per cut, little-endian, with nothing that a reader must guess.

    cuts: u16; per cut: length u8, metric, length u8, cut, cells u32, keyed u8, [keys u64], codes u32, counts i64

Sums over partitions sort the cells once and add up equal neighbours.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from libs.runtime.errors import InternalError
from services.analytics.domain.ports import CellCounts, CutId

_HEAD = struct.Struct("<IB")


def encode_counts(counts: Mapping[CutId, CellCounts]) -> bytes:
    """Return `counts` as bytes; cuts without cells are left out."""
    parts = [b""]
    for (metric, cut), cells in sorted(counts.items()):
        if not len(cells.counts):
            continue
        keyed = bool(cells.keys.any())
        parts += [_name(metric), _name(cut), _HEAD.pack(len(cells.counts), keyed)]
        if keyed:
            parts.append(cells.keys.astype("<u8").tobytes())
        parts += [cells.codes.astype("<u4").tobytes(), cells.counts.astype("<i8").tobytes()]
    parts[0] = sum(1 for cells in counts.values() if len(cells.counts)).to_bytes(2, "little")
    return b"".join(parts)


def decode_counts(blob: bytes) -> dict[CutId, CellCounts]:
    """Return what `encode_counts` was given. Raises: InternalError("counts_form")."""
    reader = _Reader(blob)
    counts: dict[CutId, CellCounts] = {}
    for _ in range(int.from_bytes(reader.take(2), "little")):
        metric, cut = reader.name(), reader.name()
        size, keyed = _HEAD.unpack(reader.take(_HEAD.size))
        keys = np.frombuffer(reader.take(8 * size), "<u8") if keyed else np.zeros(size, np.uint64)
        codes = np.frombuffer(reader.take(4 * size), "<u4")
        numbers = np.frombuffer(reader.take(8 * size), "<i8")
        counts[metric, cut] = CellCounts(keys.astype(np.uint64), codes.astype(np.uint32), numbers.astype(np.int64))
    if reader.left:
        raise InternalError("counts_form")
    return counts


def sum_counts(many: Iterable[Mapping[CutId, CellCounts]]) -> dict[CutId, CellCounts]:
    """Return the sums of the cells, cut by cut."""
    gathered: dict[CutId, list[CellCounts]] = {}
    for counts in many:
        for cut, cells in counts.items():
            gathered.setdefault(cut, []).append(cells)
    return {cut: parts[0] if len(parts) == 1 else _sum(parts) for cut, parts in gathered.items()}


def _sum(parts: list[CellCounts]) -> CellCounts:
    keys = np.concatenate([part.keys for part in parts])
    codes = np.concatenate([part.codes for part in parts])
    counts = np.concatenate([part.counts for part in parts])
    order = np.lexsort((codes, keys))
    keys, codes, counts = keys[order], codes[order], counts[order]
    first: NDArray[np.bool_] = np.ones(len(keys), bool)
    first[1:] = (keys[1:] != keys[:-1]) | (codes[1:] != codes[:-1])
    starts = np.flatnonzero(first)
    return CellCounts(keys[starts], codes[starts], np.add.reduceat(counts, starts) if len(starts) else counts)


def _name(text: str) -> bytes:
    raw = text.encode()
    return bytes((len(raw),)) + raw


class _Reader:
    def __init__(self, blob: bytes) -> None:
        self._blob = memoryview(blob)

    @property
    def left(self) -> int:
        return len(self._blob)

    def take(self, size: int) -> memoryview:
        if size > len(self._blob):
            raise InternalError("counts_form")
        taken, self._blob = self._blob[:size], self._blob[size:]
        return taken

    def name(self) -> str:
        return bytes(self.take(self.take(1)[0])).decode()
