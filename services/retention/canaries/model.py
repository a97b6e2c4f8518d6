"""A canary: one made-up item of one data class, with what finds it again and when it has to be gone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum


class State(StrEnum):
    """Of a canary. Failed is what could not be planted, missed what was still there after its time."""

    WAITING = "waiting"
    GONE = "gone"
    MISSED = "missed"
    FAILED = "failed"


@dataclass(frozen=True)
class Trail:
    """How to look for it, kept sealed: paths of the API that must not find it, and bytes that no file may hold."""

    paths: tuple[str, ...] = ()
    token: str = ""
    needles: tuple[str, ...] = ()

    def encoded(self) -> bytes:
        """Return it as bytes."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decoded(cls, content: bytes) -> Trail:
        """Return what `encoded` was given."""
        found: Mapping[str, object] = json.loads(content)
        paths, needles = found["paths"], found["needles"]
        if not isinstance(paths, list) or not isinstance(needles, list):
            raise TypeError("a trail has lists")
        return cls(tuple(map(str, paths)), str(found["token"]), tuple(map(str, needles)))


@dataclass(frozen=True)
class Canary:
    """Times are Unix seconds; `day` counts days since 1970-01-01."""

    key: str
    data_class: str
    day: int
    planted: int
    due: int
    state: State
    checked: int
    trail: Trail
    version: int = 0

    def seen(self, state: State, now: int) -> Canary:
        """Return it as it was found at `now`."""
        return replace(self, state=state, checked=now)
