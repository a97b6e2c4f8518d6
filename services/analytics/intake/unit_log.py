"""The unit log: how much of its bound each unit has used, in messages that never reach a disk.

Each commit that changes units appends what they have used since, as absolute numbers, split into messages of bounded
size and numbered (part, parts) over all of its days; now and then a whole state makes the older messages superfluous.
The state of a commit is the newest whole snapshot up to it and all changes after that, without a gap. Messages of a
commit that never happened (a number above the document's, or a writer that the document does not name for it) are
passed over. What cannot be put together exactly is lost: None, and the caller begins a new term.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping

import numpy as np
from google.protobuf.message import DecodeError

from protos.facts.v1.facts_pb2 import UnitLog
from services.analytics.domain.bounding import Used
from services.analytics.partitions import Record

_ROWS = 17_000
"""Rows of 10 bytes in a message: below 200 KiB with its other fields."""


def messages(writer: int, commit: int, days: Mapping[int, Used], *, snapshot: bool = False) -> list[bytes]:
    """Return a commit's changes (or, for a snapshot, its whole state) as messages; at least one."""
    pieces = [
        (day, used.units[start : start + _ROWS], used.used[start : start + _ROWS])
        for day, used in sorted(days.items())
        for start in range(0, len(used.units), _ROWS)
    ] or [(0, np.empty(0, np.uint64), np.empty(0, np.uint16))]
    together = secrets.randbits(64)
    return [
        UnitLog(
            day=day,
            commit=commit,
            snapshot=snapshot,
            part=part,
            parts=len(pieces),
            units=units.astype("<u8").tobytes(),
            used=used.astype("<u2").tobytes(),
            writer=writer,
            set=together,
        ).SerializeToString()
        for part, (day, units, used) in enumerate(pieces)
    ]


def recover(record: Record, log: Iterable[bytes]) -> dict[int, list[Used]] | None:
    """Return what units had used at the commit of `record`: by day, in the order in which later rows replace earlier.

    None where `log` does not say it exactly.
    """
    if record.commit == 0:
        return {}
    snapshots, changes = _complete(record, log)
    base = max(snapshots, default=0)
    wanted = range(base + 1, record.commit + 1)
    if (base == 0 and record.writer_of(1) is None) or any(commit not in changes for commit in wanted):
        return None
    days: dict[int, list[Used]] = {}
    for parts in [snapshots.get(base, []), *(changes[commit] for commit in wanted)]:
        for part in parts:
            if part.units:
                rows = Used(np.frombuffer(part.units, "<u8"), np.frombuffer(part.used, "<u2"))
                days.setdefault(part.day, []).append(rows)
    return days


_Commits = dict[int, list[UnitLog]]


def _complete(record: Record, log: Iterable[bytes]) -> tuple[_Commits, _Commits]:
    """Return the snapshots and the changes of which all parts are there, by commit."""
    gathered: dict[tuple[bool, int, int], dict[int, UnitLog]] = {}
    complete: tuple[_Commits, _Commits] = ({}, {})
    for raw in log:
        message = _parsed(raw)
        if message is None or record.writer_of(message.commit) != message.writer:
            continue
        parts = gathered.setdefault((message.snapshot, message.commit, message.set), {})
        parts[message.part] = message
        if len(parts) == message.parts:
            complete[0 if message.snapshot else 1][message.commit] = list(parts.values())
    return complete


def _parsed(raw: bytes) -> UnitLog | None:
    message = UnitLog()
    try:
        message.ParseFromString(raw)
    except DecodeError:
        return None
    return message if len(message.units) == 4 * len(message.used) else None
