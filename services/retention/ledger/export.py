"""The ledger as a file of JSON lines, which services.retention.verify reads without anything else.

First a line that says what it is and with which entry it begins, and names the public keys; then entries in order, and
after the entry that a day ends with a line with the day's root. A file that begins in the middle holds, in its first
entry, the hash of the one before.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

from libs.runtime.errors import InvalidError
from services.retention.ledger.entries import FORMAT, canonical
from services.retention.ledger.ledger import Ledger, line_of
from services.retention.ledger.roots import Roots
from services.retention.ledger.signing import Root, key_id

_PAGE = 500
_BLOCK = 256 * 1024
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")


class LedgerFile:
    """Writes the file."""

    def __init__(self, ledger: Ledger, roots: Roots) -> None:
        """Read both."""
        self._ledger = ledger
        self._roots = roots

    async def blocks(self, first: str, last: str) -> AsyncIterator[bytes]:
        """Give the file for days `first` to `last` (YYYY-MM-DD; empty: from the beginning, up to now), in blocks.

        Days are those that the roots say; entries of today belong to no day yet and come with an empty `last`.
        Raises: InvalidError("day"), UnavailableError.
        """
        before = await self._roots.before(_day(first)) if first else None
        number = before.entry + 1 if before else 1
        until = await self._last(_day(last)) if last else None
        roots = await self._roots.newest(400)
        oldest = await self._ledger.first()
        number = max(number, oldest.number if oldest else 1)
        block = bytearray(header(self._roots.keys(roots), number))
        while entries := await self._ledger.read(number, _PAGE):
            ends = {root.entry: root for root in await self._roots.between(entries[0].number, entries[-1].number)}
            for entry in entries:
                if until is not None and entry.number > until:
                    break
                block += line_of(entry)
                if entry.number in ends:
                    block += root_line(ends[entry.number])
                if len(block) >= _BLOCK:
                    yield bytes(block)
                    block.clear()
            number = entries[-1].number + 1
            if until is not None and number > until:
                break
        if block:
            yield bytes(block)

    async def _last(self, day: str) -> int | None:
        """Return the number of the last entry of `day`; None where no root ends it yet."""
        newest = await self._roots.newest(1)
        if not newest or newest[0].day < day:
            return None
        after = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC).timestamp() // 86_400 + 1
        found = await self._roots.before(datetime.fromtimestamp(after * 86_400, UTC).strftime("%Y-%m-%d"))
        return found.entry if found else 0


def header(keys: Sequence[bytes], begins: int) -> bytes:
    """Return the first line of a file whose first entry is number `begins`."""
    named = {key_id(key).hex(): key.hex() for key in keys}
    return canonical({"format": FORMAT, "begins": begins, "keys": named}) + b"\n"


def root_line(root: Root) -> bytes:
    """Return the line of a root."""
    fields = {
        "day": root.day,
        "entry": root.entry,
        "hash": root.hash,
        "key_id": root.key_id.hex(),
        "signature": root.signature.hex(),
    }
    return canonical({"root": fields}) + b"\n"


def _day(text: str) -> str:
    try:
        if not _DAY.match(text):
            raise ValueError("form")
        datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise InvalidError("day") from error
    return text
