"""Looks for byte strings in files, in bounded memory: what was deleted must not be there, however it is looked at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Traces:
    """How often each needle was found, and in how many bytes."""

    found: tuple[int, ...]
    searched_bytes: int


def search(files: Iterable[Path], needles: tuple[bytes, ...]) -> Traces:
    """Count `needles` in `files`; a file that is not there has none. Blocks the calling thread while it reads."""
    found, searched = [0] * len(needles), 0
    overlap = max(map(len, needles), default=1) - 1
    for path in files:
        try:
            opened = path.open("rb")
        except FileNotFoundError:
            continue
        with opened as file:
            rest = b""
            while block := file.read(_BLOCK):
                searched += len(block)
                window = rest + block
                for position, needle in enumerate(needles):
                    # What lies wholly in the rest was counted with the block before.
                    found[position] += window.count(needle) - rest.count(needle)
                rest = window[len(window) - overlap :] if overlap else b""
    return Traces(tuple(found), searched)
