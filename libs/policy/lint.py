"""Finds where the policy says what is not so. The build fails on anything it finds.

Every clause in force needs something that enforces it, a test and a probe, and each of them has to exist; what is
pending says why. Every number of a sentence comes from a rule, every rule is asked for by some code, every stored field
belongs to a data class. What the model itself refuses (a class without owner, purpose or retention, a rule or an
override beyond its bounds) needs no look here: such a policy is not even read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from libs.docstore.store import Collection
from libs.policy import lint_stores, lint_symbols, words
from libs.policy.document import document
from libs.policy.model import Policy
from libs.policy.parts import Clause

CLAUSES = tuple(
    f"{group}{number}"
    for group, last in (("E", 14), ("G", 4), ("S", 6), ("P", 7), ("M", 4), ("R", 4))
    for number in range(1, last + 1)
)
_NUMBER_WORDS = (
    "one two three four five six seven eight nine ten eleven twelve fourteen fifteen twenty thirty sixty ninety"
)
_SAID = re.compile(
    rf"\d|\b({_NUMBER_WORDS.replace(' ', '|')}|(after|within|for|than|least) an?|a couple of|several) "
    r"(seconds?|minutes?|hours?|days?|weeks?|months?|years?)\b",
    re.IGNORECASE,
)
_BRACES = re.compile(r"\{[a-z0-9_]+\}")
Faults = Iterator[str]


@dataclass(frozen=True)
class Surroundings:
    """What the policy is compared with."""

    root: Path
    seeds: Path
    collections: Mapping[str, Sequence[Collection]] = field(default_factory=dict)
    # Names of probes that exist, letters that the platform sends, words that stand in the code.
    probes: frozenset[str] = frozenset()
    letters: frozenset[str] = frozenset()
    code_words: frozenset[str] = frozenset()
    clauses: tuple[str, ...] = CLAUSES


def lint(policy: Policy, around: Surroundings) -> list[str]:
    """Return every fault of `policy`, in words; empty: it holds."""
    return [
        *presence_faults(policy, around),
        *orphan_faults(policy),
        *reference_faults(policy, around),
        *digit_faults(policy),
        *number_faults(document(policy, policy.version)),
        *word_faults(policy, around),
        *rule_faults(policy, around),
        *lint_stores.field_faults(policy, around.collections),
        *lint_stores.repeat_faults(policy, around.root),
    ]


def presence_faults(policy: Policy, around: Surroundings) -> Faults:
    """Every promise is there, held or pending."""
    for identity in around.clauses:
        if identity not in policy.clauses:
            yield f"clause {identity}: is missing"


def orphan_faults(policy: Policy) -> Faults:
    """A clause in force that nothing enforces, proves or watches; a pending one that claims to be watched."""
    for identity, clause in policy.clauses.items():
        if clause.pending is not None:
            if clause.probe is not None:
                yield f"clause {identity}: is pending and has a probe"
            continue
        for part in ("enforced", "tests", "probe"):
            if not getattr(clause, part):
                yield f"clause {identity}: nothing stands under {part}"


def reference_faults(policy: Policy, around: Surroundings) -> Faults:
    """Symbols, tests, probes, quotes and classes that a clause names exist."""
    for identity, clause in policy.clauses.items():
        place = f"clause {identity}"
        for symbol in clause.enforced:
            if not lint_symbols.symbol_exists(around.root, symbol):
                yield f"{place}: there is no {symbol}"
        for test in clause.tests:
            if not lint_symbols.has_test(around.root, test):
                yield f"{place}: there is no test {test}"
        if clause.probe is not None and clause.probe not in around.probes:
            yield f"{place}: there is no probe {clause.probe}"
        if not lint_symbols.quote_stands(around.seeds, clause.source.seed, clause.source.quote):
            yield f"{place}: {clause.source.seed} does not say what is quoted"
        for name in clause.classes:
            if name not in policy.classes:
                yield f"{place}: there is no data class {name}"


def digit_faults(policy: Policy) -> Faults:
    """A number that stands in a sentence itself, in digits or as a time in words: it would not follow its rule."""
    for identity, clause in policy.clauses.items():
        for text in _texts(clause):
            if found := _SAID.search(_BRACES.sub("", text)):
                yield f"clause {identity}: says {found[0]!r} without a rule"
    for name, one in policy.classes.items():
        for text in (one.title, one.help, one.retention.text):
            if found := _SAID.search(_BRACES.sub("", text)):
                yield f"class {name}: says {found[0]!r} without a rule"


def _texts(clause: Clause) -> Iterator[str]:
    yield from (clause.title, clause.sentence, clause.short)
    yield from (text for text in (clause.pending, clause.lacks) if text)


def number_faults(said: Mapping[str, Any]) -> Faults:
    """Two sentences of a document that say one rule in different numbers, or a sentence that is not its template's."""
    sayings: dict[str, dict[str, str]] = {name: {rule["said"]: "its rule"} for name, rule in said["rules"].items()}
    for place, template, rendered in _rendered(said):
        read = words.reading(template, rendered)
        if read is None:
            yield f"{place}: does not say what its template does"
            continue
        for name, found in read.items():
            for saying in found:
                sayings.setdefault(name, {}).setdefault(saying, place)
    for name, by in sayings.items():
        if len(by) > 1:
            yield f"rule {name}: " + ", ".join(f"{saying!r} in {place}" for saying, place in sorted(by.items()))


def _rendered(said: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    for clause in said["clauses"]:
        yield f"clause {clause['id']}", clause["template"], clause["sentence"]
        yield f"short of {clause['id']}", clause["short_template"], clause["short"]
    for name, one in said["classes"].items():
        yield f"class {name}", one["retention"]["template"], one["retention"]["text"]


def word_faults(policy: Policy, around: Surroundings) -> Faults:
    """Letters and purposes that code uses and the policy does not know, or the reverse; facts of a disclosure."""
    known = {letter for purpose in policy.mail.values() for letter in purpose.letters}
    for letter in sorted(around.letters - known):
        yield f"letter {letter}: no purpose has it"
    for letter in sorted(known - around.letters):
        yield f"letter {letter}: nothing sends it"
    facts = set(policy.disclosure.facts) if policy.disclosure else set()
    given = {name for name, one in policy.classes.items() if one.disclosure == "facts"}
    for name in sorted(facts ^ given):
        yield f"class {name}: disclosure has to be facts, and disclosure.facts has to list them"
    used = {one.purpose for one in policy.classes.values()}
    for name in sorted(set(policy.purposes) - used):
        yield f"purpose {name}: no data class has it"


def rule_faults(policy: Policy, around: Surroundings) -> Faults:
    """A rule that no code asks for, unless it says a constant of the code: then nobody may give it another value."""
    for name, rule in policy.rules.items():
        if name in around.code_words:
            continue
        if not any(repeat.setting for repeat in rule.repeated):
            yield f"rule {name}: no code asks for it"
        elif not rule.at_least == rule.value == rule.at_most:
            yield f"rule {name}: is a constant, so at_least and at_most have to be {rule.value}"
