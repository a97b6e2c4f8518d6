"""The check of a ledger file: is it what was signed, all of it, and in order?

Line by line: an entry's hash must be that of its fields, its number the one after the last, its `prev` the hash of the
last. A root must name the entry that stands before it with its hash, and be signed by a key that is trusted. So

- a changed entry does not have its hash; changed with its hash, it is not what the next entry, or the root, says;
- a removed, inserted or moved entry breaks numbers and hashes;
- a file cut short ends before an entry that a root names which the checker was given otherwise (`known`: roots that
  were published), or without any root after its last entries, which is said: they are not signed yet;
- a root that was made anew needs a key that nobody trusts.

Nothing here asks a network or a clock.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from services.retention.ledger.entries import FORMAT, GENESIS, Entry, decode
from services.retention.ledger.signing import Root, key_id

_MOST_FAULTS = 20


@dataclass
class Verdict:
    """What the check found. `unsigned`: entries after the last root; `begins`: number of the first entry."""

    faults: list[str] = field(default_factory=list)
    entries: int = 0
    begins: int = 0
    roots: int = 0
    last_day: str = ""
    unsigned: int = 0
    own_keys: bool = False

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults

    def fault(self, text: str) -> None:
        """Note what is wrong; after many, only that there is more."""
        if len(self.faults) < _MOST_FAULTS:
            self.faults.append(text)
        elif len(self.faults) == _MOST_FAULTS:
            self.faults.append("and more")


class Checker:
    """Checks one file, line by line."""

    def __init__(self, keys: Sequence[bytes] = (), known: Sequence[Root] = ()) -> None:
        """Trust `keys`; where none are given, those that the file names. `known` roots must be in what is checked."""
        self._trusted = {key_id(key): key for key in keys}
        self._known = {root.entry: root for root in known}
        self._last: Entry | None = None
        self._expected = GENESIS
        self._begins = 1
        self.verdict = Verdict(own_keys=not keys)

    def check(self, lines: Iterable[bytes]) -> Verdict:
        """Return the verdict on the whole file."""
        for number, line in enumerate(lines, 1):
            try:
                if not line.endswith(b"\n"):
                    raise ValueError("the line has no end: the file was cut short")
                self._line(number, json.loads(line))
            except (ValueError, RecursionError) as error:
                text = "it is not what this program writes" if isinstance(error, json.JSONDecodeError) else str(error)
                self.verdict.fault(f"line {number}: {text}")
        self._end()
        return self.verdict

    def _line(self, number: int, line: Any) -> None:
        if number == 1:
            self._header(line)
        elif isinstance(line, dict) and set(line) == {"entry", "hash"}:
            self._entry(decode(line["entry"]), line["hash"])
        elif isinstance(line, dict) and set(line) == {"root"}:
            self._root(line["root"])
        else:
            raise ValueError("neither an entry nor a root")

    def _header(self, line: Any) -> None:
        if not isinstance(line, dict) or line.get("format") != FORMAT or not isinstance(line.get("keys"), dict):
            raise ValueError(f"this is no file of format {FORMAT!r}")
        if type(line.get("begins")) is not int or line["begins"] < 1:
            raise ValueError("does not say with which entry it begins")
        self._begins = line["begins"]
        if self.verdict.own_keys:
            keys = [bytes.fromhex(key) for key in line["keys"].values() if isinstance(key, str)]
            self._trusted = {key_id(key): key for key in keys}

    def _entry(self, entry: Entry, stated: object) -> None:
        verdict, last = self.verdict, self._last
        if entry.hash != stated:
            verdict.fault(f"entry {entry.number}: was changed, it does not have the hash that it states")
        if last is None:
            verdict.begins = entry.number
            if entry.number != self._begins:
                verdict.fault(
                    f"entry {entry.number}: the file says that it begins with {self._begins}; entries are missing"
                )
            if entry.number == 1 and entry.prev != GENESIS:
                verdict.fault("entry 1: says that one came before it")
        elif entry.number != last.number + 1:
            what = "missing" if entry.number > last.number + 1 else "inserted, repeated or moved"
            verdict.fault(f"entry {entry.number}: follows entry {last.number}; entries are {what}")
        elif entry.prev != self._expected:
            verdict.fault(f"entry {entry.number}: does not continue entry {last.number}; one of both was changed")
        self._last, self._expected = entry, str(stated)
        verdict.entries += 1
        verdict.unsigned += 1
        known = self._known.pop(entry.number, None)
        if known is not None and known.hash != stated:
            verdict.fault(f"entry {entry.number}: is not the one that the published root of {known.day} ends with")

    def _root(self, fields: Any) -> None:
        root = self._read(fields)
        verdict, last = self.verdict, self._last
        verdict.roots += 1
        if root.day <= verdict.last_day:
            verdict.fault(f"root of {root.day}: stands after that of {verdict.last_day}")
        if last is None or root.entry != last.number or root.hash != self._expected:
            verdict.fault(f"root of {root.day}: does not end with the entry that stands before it")
        elif not root.holds():
            verdict.fault(f"root of {root.day}: its signature is wrong")
        else:
            verdict.unsigned = 0
        verdict.last_day = max(verdict.last_day, root.day)

    def _read(self, fields: Any) -> Root:
        if not isinstance(fields, dict) or set(fields) != {"day", "entry", "hash", "key_id", "signature"}:
            raise ValueError("a root that is none")
        day, entry, stated, name, signature = (fields[one] for one in sorted(fields))
        if not all(isinstance(one, str) for one in (day, stated, name, signature)) or type(entry) is not int:
            raise ValueError("a root that is none")
        key = self._trusted.get(bytes.fromhex(name))
        if key is None:
            raise ValueError(f"root of {day[:10]}: is signed by the key {name[:16]}, which is not trusted")
        return Root(day, entry, stated, bytes.fromhex(signature), key)

    def _end(self) -> None:
        verdict, last = self.verdict, self._last
        if last is None:
            if verdict.good:
                verdict.fault("the file holds no entry")
            return
        for number, root in sorted(self._known.items()):
            if number > last.number:
                verdict.fault(
                    f"entries after {last.number} are missing: {root.day} ended with {number}, as was published"
                )


def read_roots(text: str) -> tuple[list[Root], list[bytes]]:
    """Return roots and keys of what is published (/.well-known/sealpost-evidence.json). Raises: ValueError."""
    published = json.loads(text)
    if not isinstance(published, dict):
        raise ValueError("not what is published")
    keys = [bytes.fromhex(key) for key in published.get("public_keys", [])]
    by_id = {key_id(key).hex(): key for key in keys}
    roots = []
    for one in published.get("roots", []):
        key = by_id.get(one["key_id"])
        root = Root(one["day"], one["entry"], one["hash"], bytes.fromhex(one["signature"]), key or b"")
        if not root.holds():
            raise ValueError(f"the published root of {root.day} is not signed by a published key")
        roots.append(root)
    return roots, keys
