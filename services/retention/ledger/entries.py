"""Entries of the ledger and their chain: the one text of an entry, its hash, and which kinds there are.

Each entry holds the hash of the one before it, so whoever knows the hash of one knows all that came before. The hash is
SHA-256 of the entry's canonical JSON (sorted keys, no blanks, ASCII; only texts and whole numbers occur, so there is
one way to write an entry). Nothing here needs more than the standard library: the offline verifier stands on it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

Data = Mapping[str, str | int]

KINDS = frozenset(
    (
        "sweep",
        "erasure_begun",
        "erasure_keys",
        "erasure_done",
        "probe",
        "canary",
        "case_opened",
        "case_approved",
        "case_refused",
        "case_exported",
        "case_closed",
        "case_told",
        "version_proposed",
        "version_announced",
        "version_activated",
        "version_withdrawn",
        "role_granted",
        "role_revoked",
        "clock_held",
        "clock_confirmed",
        "restored",
    )
)
# What the first entry says of the one before it.
GENESIS = "0" * 64
FORMAT = "sealpost evidence ledger 1"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}\Z")
# Words, ids, dates, hashes: nothing that could hold an address or a sentence.
_VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/+-]{0,99}\Z|\Z")
_HASH = re.compile(r"[0-9a-f]{64}\Z")
_MOST_FIELDS = 24


@dataclass(frozen=True)
class Entry:
    """One entry. `number` counts from 1, `at` is Unix seconds as the clock said, `prev` the hash of the one before."""

    number: int
    at: int
    kind: str
    data: Data
    prev: str
    hash: str = field(init=False)

    def __post_init__(self) -> None:
        """Work out the hash."""
        object.__setattr__(self, "hash", sha256(canonical(self.fields())).hexdigest())

    def fields(self) -> dict[str, Any]:
        """Return what is hashed."""
        return {"n": self.number, "at": self.at, "kind": self.kind, "data": dict(self.data), "prev": self.prev}


def canonical(fields: Mapping[str, Any]) -> bytes:
    """Return the only way to write `fields`."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def check(kind: str, data: Data) -> None:
    """See that an entry may say this. Raises: ValueError, which names the field and never its value."""
    if kind not in KINDS:
        raise ValueError(f"no such kind of entry: {kind}")
    if len(data) > _MOST_FIELDS:
        raise ValueError("too many fields")
    for name, value in data.items():
        if not _NAME.match(name):
            raise ValueError("a field's name is none")
        if isinstance(value, str):
            if not _VALUE.match(value):
                raise ValueError(f"field {name} holds more than a word")
        elif type(value) is not int or abs(value) >= 1 << 63:
            raise ValueError(f"field {name} is neither text nor whole number")


def decode(fields: object) -> Entry:
    """Return the entry that was written as `fields`. Raises: ValueError."""
    if not isinstance(fields, dict) or set(fields) != {"n", "at", "kind", "data", "prev"}:
        raise ValueError("not the fields of an entry")
    number, at, kind, data, prev = (fields[name] for name in ("n", "at", "kind", "data", "prev"))
    if type(number) is not int or number < 1 or type(at) is not int:
        raise ValueError("number or time is none")
    if not isinstance(kind, str) or not isinstance(data, dict) or not isinstance(prev, str) or not _HASH.match(prev):
        raise ValueError("kind, data or hash is none")
    check(kind, data)
    return Entry(number, at, kind, data, prev)
