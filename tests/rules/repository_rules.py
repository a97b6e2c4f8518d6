"""Rules about the repository itself. Each takes texts and yields what is wrong, so that its own test can break it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

LONGEST_FILE = 400
# All that one service answers to is one file, which is read from the list of its calls downwards.
LONGEST_INTERFACE = 600

Faults = Iterator[str]


def lock_faults(text: str) -> Faults:
    """A pip lock names each package once at one version, with hashes and no address."""
    for block in re.split(r"\n(?=[A-Za-z0-9])", text):
        first = block.splitlines()[0] if block.strip() else "#"
        if first.startswith("#"):
            continue
        if "==" not in first:
            yield f"not pinned: {first}"
        if "--hash=sha256:" not in block:
            yield f"without hash: {first}"
    if re.search(r"https?://", text):
        yield "an address"


def npm_lock_faults(text: str) -> Faults:
    """An npm lock has an integrity for each package and no address."""
    for name, entry in json.loads(text)["packages"].items():
        if not name or entry.get("link"):
            continue
        if "integrity" not in entry and not entry.get("inBundle"):
            yield f"without integrity: {name}"
        if "resolved" in entry:
            yield f"an address: {name}"


def docstring_faults(name: str, docstring: str, calls: list[str]) -> Faults:
    """A service says what it owns, whom it calls, what it emits and what it never sees; the calls are the chart's."""
    for word in ("Owns:", "Calls:", "Emits:", "Never sees:"):
        if word not in docstring:
            yield f"{name} does not say {word}"
    said = re.search(r"Calls:(.*?)(?:\.\s|\Z)", docstring, re.DOTALL)
    named = set(
        re.findall(
            r"\b(accounts|crypto|storage|ingest|gateway|delivery|analytics|retention|billing)\b",
            said[1] if said else "",
        )
    )
    if named != set(calls):
        yield f"{name} says that it calls {sorted(named)}, the chart says {sorted(calls)}"


def length_faults(name: str, text: str) -> Faults:
    """A file that has grown too long is two files."""
    lines = text.count("\n")
    if lines > (LONGEST_INTERFACE if name.endswith(".proto") else LONGEST_FILE):
        yield f"{name} has {lines} lines"


def place_faults(name: str, text: str) -> Faults:
    """No path of somebody's machine stands in the project."""
    for number, line in enumerate(text.splitlines(), 1):
        if re.search(r"(^|[^A-Za-z0-9_./-])/(home|root|Users|work)/[a-z]", line):
            yield f"{name}:{number}"
