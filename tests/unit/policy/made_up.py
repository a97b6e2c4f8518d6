"""A small policy without a fault, and ways to spoil it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from libs.docstore.store import Collection
from libs.policy.lint import Surroundings, lint
from libs.policy.loader import checked
from libs.policy.model import Policy

Raw = dict[str, Any]

_CLASS: Raw = {
    "title": "Notes",
    "help": "What somebody noted.",
    "service": "keeper",
    "subject": "account",
    "purpose": "notes",
    "recipients": ["friends"],
    "profiles": ["sealed"],
    "where": {"note": ["text", "expires"]},
    "sealed": "under the key of the account",
    "retention": {"kind": "fixed", "rules": ["note_seconds"], "text": "{note_seconds} after it was written."},
    "disclosure": "facts",
    "canary": {"door": "http"},
    "export": {"given": True, "why": "it is theirs"},
}
_CLAUSE: Raw = {
    "title": "Notes go",
    "profiles": ["sealed"],
    "sentence": "A note is deleted {note_seconds} after you wrote it, or when {note_newest} newer ones came.",
    "short": "Notes go after {note_seconds}.",
    "source": {"seed": "smtpserver-terms", "quote": "notes are deleted [...] after their time"},
    "enforced": ["keeper.sweep.Sweeper.step"],
    "tests": ["tests/test_keeper.py::test_notes_go"],
    "probe": "notes_go",
    "classes": ["note"],
}
_RAW: Raw = {
    "version": 1,
    "budget": {"epsilon_per_day": 1.0, "delta_per_day": 1e-6},
    "metrics": {
        "visits": {
            "title": "Visits",
            "help": "Pages that were opened.",
            "unit": "ip",
            "per_unit": 10,
            "dimensions": {"page": ["home", "other"]},
            "cuts": {"by_page": {"title": "By page", "dimensions": ["page"], "window": "day", "epsilon": 0.5}},
        }
    },
    "profiles": {"sealed": {"title": "Sealed", "help": "Sealed mail.", "seed": "s-mail"}},
    "rules": {
        "note_seconds": {"value": 86400, "unit": "seconds", "weaker": "more", "at_most": 604800, "help": "of a note"},
        "note_newest": {"value": 6, "unit": "count", "weaker": "more", "at_most": 10, "help": "notes at most"},
        "notice_seconds": {"value": 3600, "unit": "seconds", "weaker": "less", "at_least": 3600, "help": "of a notice"},
        "grace_seconds": {
            **{"value": 7200, "unit": "seconds", "weaker": "either", "at_least": 60, "at_most": 86400},
            "help": "of an undo",
        },
    },
    "purposes": {"notes": {"title": "Notes", "help": "Keeping them."}},
    "recipients": {"friends": {"title": "Friends", "help": "Whom you share with."}},
    "mail": {
        "policy": {"title": "Changes", "help": "Of this.", "consent": "none", "letters": ["policy_change"]},
        "news": {"title": "News", "help": "Of all.", "consent": "newsletter", "letters": ["newsletter"]},
    },
    "disclosure": {"legal_bases": {"court_order": "An order"}, "facts": {"note": ["expires"]}},
    "classes": {"note": _CLASS},
    "clauses": {
        "E1": _CLAUSE,
        "G1": {**_CLAUSE, "enforced": [], "tests": [], "probe": None, "pending": "It is not built yet."},
    },
}
COLLECTIONS = {"keeper": (Collection("note", fields=("text", "expires")),)}


def raw() -> Raw:
    """Return a copy that may be spoiled."""
    return copy.deepcopy(_RAW)


def policy(**sections: Any) -> Policy:
    """Return the policy; `sections` replace whole parts."""
    return checked({**raw(), **sections})


def clause(**changes: Any) -> Policy:
    """Return the policy with another E1."""
    spoiled = raw()
    spoiled["clauses"]["E1"].update(changes)
    return checked(spoiled)


def data_class(**changes: Any) -> Policy:
    """Return the policy with another class "note"."""
    spoiled = raw()
    spoiled["classes"]["note"].update(changes)
    return checked(spoiled)


def rule(name: str, **changes: Any) -> Policy:
    """Return the policy with another rule."""
    spoiled = raw()
    spoiled["rules"][name].update(changes)
    return checked(spoiled)


def surroundings(home: Path, **changes: Any) -> Surroundings:
    """Return a repository below `home` in which the made-up policy holds."""
    files = {
        "keeper/__init__.py": "",
        "keeper/sweep.py": "LIMIT = 6\nclass Sweeper:\n    async def step(self) -> None: ...\n",
        "tests/test_keeper.py": "async def test_notes_go() -> None: ...\n",
        "page/notes.ts": "const TEXT = 'Notes go after\n  1 day.'\n",
        "smtpserver-terms.txt": "Indeed: Notes  are\ndeleted, all of them, after their time.\n",
    }
    for name, text in files.items():
        file = home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    known: Raw = {
        "root": home,
        "seeds": home,
        "collections": COLLECTIONS,
        "probes": frozenset({"notes_go"}),
        "letters": frozenset({"policy_change", "newsletter"}),
        "code_words": frozenset(_RAW["rules"]),
        "clauses": ("E1", "G1"),
    }
    return Surroundings(**{**known, **changes})


def faults(home: Path, spoiled: Policy, **changes: Any) -> list[str]:
    """Return what the linter finds."""
    return lint(spoiled, surroundings(home, **changes))
