"""Numbers of rules in words, the one way in which any sentence says them.

A time is said in the largest unit that divides it, so that nothing is rounded: what a sentence promises is exactly what
services apply.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_UNITS = ((31_536_000, "year"), (86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")


def duration(seconds: int) -> str:
    """Return `seconds` in words: "4 days", "30 minutes". A year has 365 days."""
    size, name = next((unit for unit in _UNITS if seconds and seconds % unit[0] == 0), _UNITS[-1])
    number = seconds // size
    return f"{count(number)} {name}{'' if number == 1 else 's'}"


def count(number: int) -> str:
    """Return `number` with its thousands apart."""
    return f"{number:,}"


def said(unit: str, value: int) -> str:
    """Return the number of a rule, whose unit is "seconds" or "count", in words."""
    return duration(value) if unit == "seconds" else count(value)


def fill(template: str, words: Mapping[str, str]) -> str:
    """Return `template` with each rule in braces said as in `words`. Raises KeyError for one that is not there."""
    return _PLACEHOLDER.sub(lambda found: words[found[1]], template)


def reading(template: str, rendered: str) -> dict[str, tuple[str, ...]] | None:
    """Return how `rendered` says each rule of `template`; None where it is no rendering of it at all."""
    names = _PLACEHOLDER.findall(template)
    pieces = [re.escape(piece) for piece in _PLACEHOLDER.split(template)[::2]]
    found = re.fullmatch("(.+?)".join(pieces), rendered, re.DOTALL)
    if found is None:
        return None
    said_by: dict[str, tuple[str, ...]] = {}
    for name, word in zip(names, found.groups(), strict=True):
        said_by[name] = (*said_by.get(name, ()), word)
    return said_by
