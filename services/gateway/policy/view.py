"""What the pages show: a document and the evidence of the last minutes, put into words. No wire, no HTML."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from libs.policy import words

_GROUPS = (
    ("E", "Everybody"),
    ("G", "Guests"),
    ("S", "Members"),
    ("P", "Public inboxes"),
    ("M", "Mailings"),
    ("R", "Relay"),
)
_RESULTS = {
    "pass": ("holds", "pass"),
    "fail": ("does not hold", "fail"),
    "unknown": ("could not be found out", "unknown"),
}
_STATES = {
    "active": ("in force", "pass"),
    "announced": ("announced", "unknown"),
    "proposed": ("proposed", ""),
    "replaced": ("replaced", ""),
    "withdrawn": ("withdrawn", ""),
}
_KINDS = {
    "retention": "How long something is kept",
    "purpose": "What something is used for",
    "metric": "What is counted",
    "recipient": "Who gets something",
    "rule": "A number",
    "clause": "A promise",
    "wording": "Words only",
}


@dataclass(frozen=True)
class Found:
    """What a probe found: result word of retention.proto, time in Unix seconds."""

    result: str
    at: int
    detail: str = ""


@dataclass(frozen=True)
class Held:
    """What is held of a class now. Times in Unix seconds, `overdue` in seconds."""

    count: int
    at_least: bool = False
    first_due: int = 0
    at: int = 0
    overdue: int = 0


@dataclass(frozen=True)
class Canary:
    """One made-up item."""

    data_class: str
    state: str


@dataclass(frozen=True)
class Evidence:
    """Everything that stands beside the sentences. `reachable` is False where it could not be had."""

    clauses: Mapping[str, Found] = field(default_factory=dict)
    classes: Mapping[str, Held] = field(default_factory=dict)
    canaries: Sequence[Canary] = ()
    clock_held: bool = False
    reachable: bool = True
    # Last complete day of the ledger, YYYY-MM-DD.
    day: str = ""


def ago(seconds: int) -> str:
    """Return how long ago something was, in one unit."""
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            number = seconds // size
            return f"{number} {unit}{'' if number == 1 else 's'} ago"
    return "just now"


def date_of(seconds: int) -> str:
    """Return the day of a moment: "23 November 2026"."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment.day} {moment:%B %Y}"


def groups(clauses: Iterable[Mapping[str, Any]], evidence: Evidence | None, now: int) -> list[dict[str, Any]]:
    """Return clauses by section, each with its evidence; `evidence` is None for a version not in force."""
    by_letter: dict[str, list[dict[str, Any]]] = {}
    for clause in clauses:
        shown = {**clause, "evidence": _beside(clause, evidence, now) if evidence is not None else None}
        by_letter.setdefault(clause["id"][0], []).append(shown)
    return [
        {"key": letter, "title": title, "clauses": by_letter[letter]}
        for letter, title in _GROUPS
        if letter in by_letter
    ]


def _beside(clause: Mapping[str, Any], evidence: Evidence, now: int) -> dict[str, str]:
    found = evidence.clauses.get(clause["id"])
    if found is None or not found.at:
        return {"word": "not looked at yet", "tone": "unknown", "when": ""}
    word, tone = _RESULTS.get(found.result, ("could not be found out", "unknown"))
    return {"word": word, "tone": tone, "when": ago(max(0, now - found.at))}


def summary(clauses: Iterable[Mapping[str, Any]], evidence: Evidence) -> str:
    """Return in one sentence how the promises stand."""
    in_force = [clause["id"] for clause in clauses if not clause["pending"]]
    results = [evidence.clauses[one].result if one in evidence.clauses else "" for one in in_force]
    holding = results.count("pass")
    failing = results.count("fail")
    sentence = f"{holding} of {len(in_force)} promises were found to hold when last looked at"
    return f"{sentence}, {failing} not." if failing else f"{sentence}."


def classes(
    document: Mapping[str, Any], shown: Mapping[str, Mapping[str, Any]], evidence: Evidence | None, now: int
) -> list[dict[str, Any]]:
    """Return data classes with what is held of each; those of nobody's data come last."""
    made = [
        {
            **one,
            "key": name,
            "purpose_title": _title(document["purposes"].get(one["purpose"]), one["purpose"]),
            "evidence": _held(one, evidence.classes.get(name), now) if evidence is not None else None,
        }
        for name, one in shown.items()
    ]
    return sorted(made, key=lambda one: (one["subject"] == "nobody", one["title"]))


def _title(named: Mapping[str, Any] | None, fallback: str) -> str:
    return str(named["title"]) if named else fallback


def _held(one: Mapping[str, Any], held: Held | None, now: int) -> dict[str, Any] | None:
    if held is None:
        return None
    count = f"{'more than ' if held.at_least else ''}{held.count:,} held"
    limit = max((value for name, value in one["retention"]["rules"].items() if name.endswith("_seconds")), default=0)
    if held.overdue > 0:
        said = f"oldest is {words.duration(_rounded(held.overdue))} past its time"
        return {"count": count, "share": 100, "tone": "fail", "words": said}
    if not held.first_due or not limit:
        return {"count": count, "share": None, "tone": "", "words": "" if held.count else "nothing held"}
    left = max(0, held.first_due - now)
    share = round(100 * min(1.0, max(0.0, 1 - left / limit)))
    return {"count": count, "share": share, "tone": "", "words": f"oldest goes in {words.duration(_rounded(left))}"}


def _rounded(seconds: int) -> int:
    """Return `seconds` in one unit: days, hours or minutes, whichever fits."""
    for size in (86400, 3600, 60):
        if seconds >= size:
            return seconds // size * size
    return seconds


def canaries(document: Mapping[str, Any], evidence: Evidence) -> list[dict[str, Any]]:
    """Return how many canaries of each class are in which state."""
    counted: dict[str, dict[str, int]] = {}
    for canary in evidence.canaries:
        states = counted.setdefault(canary.data_class, {"waiting": 0, "gone": 0, "missed": 0, "failed": 0})
        states[canary.state] = states.get(canary.state, 0) + 1
    return [
        {
            "title": _title(document["classes"].get(name), name),
            "waiting": states["waiting"],
            "gone": states["gone"],
            "missed": states["missed"] + states["failed"],
        }
        for name, states in sorted(counted.items())
    ]


def change(kind: str, title: str, sides: tuple[str, str], *, material: bool, profiles: Sequence[str]) -> dict[str, Any]:
    """Return one difference with what is new in it marked."""
    before, after = _marked(*sides)
    return {
        "kind": _KINDS.get(kind, kind),
        "title": title,
        "material": material,
        "profiles": list(profiles),
        "before": before,
        "after": after,
    }


def _marked(before: str, after: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return both texts in pieces, those that differ marked; words are compared, not letters."""
    old, new = (re.findall(r"\s+|[^\s]+", text) for text in (before, after))
    left: list[dict[str, Any]] = []
    right: list[dict[str, Any]] = []
    for tag, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if a < b:
            left.append({"text": "".join(old[a:b]), "changed": tag != "equal"})
        if c < d:
            right.append({"text": "".join(new[c:d]), "changed": tag != "equal"})
    return left, right


def state(word: str) -> tuple[str, str]:
    """Return the words and the tone for the state of a version."""
    return _STATES.get(word, (word, ""))
