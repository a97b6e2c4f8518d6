"""The policy as a document: sentences with their numbers, as JSON. Pages, diffs and notices are made from it alone.

A document is complete in itself, so that a version from years ago is shown as it was, whatever program shows it. Beside
each text that holds numbers stands its template, which tells a changed number from changed words.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from libs.policy import words
from libs.policy.model import Cut, Metric, Policy
from libs.policy.parts import Clause, DataClass, Rule

FORMAT = "sealpost-policy/1"
Document = dict[str, Any]


def document(policy: Policy, version: int, rules: Mapping[str, int] | None = None) -> Document:
    """Return `policy` as `version`, with the numbers `rules`; a rule that has none there has the policy's own."""
    numbers = {name: (rules or {}).get(name, rule.value) for name, rule in policy.rules.items()}
    said = {name: words.said(policy.rules[name].unit, value) for name, value in numbers.items()}
    disclosure = policy.disclosure
    return {
        "format": FORMAT,
        "version": version,
        "profiles": {name: one.model_dump() for name, one in policy.profiles.items()},
        "rules": {name: _rule(rule, numbers[name]) for name, rule in policy.rules.items()},
        "clauses": [_clause(policy, identity, said) for identity in sorted(policy.clauses, key=clause_order)],
        "classes": {name: _class(one, numbers, said) for name, one in policy.classes.items()},
        "purposes": {name: one.model_dump() for name, one in policy.purposes.items()},
        "recipients": {name: one.model_dump() for name, one in policy.recipients.items()},
        "mail": {name: one.model_dump(mode="json") for name, one in policy.mail.items()},
        "disclosure": disclosure.model_dump(mode="json") if disclosure else {"legal_bases": {}, "facts": {}},
        "metrics": {name: _metric(metric) for name, metric in policy.metrics.items()},
        "budget": policy.budget.model_dump(),
    }


def encoded(said: Document) -> bytes:
    """Return the canonical JSON of a document: equal documents are equal bytes."""
    return json.dumps(said, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()


def fingerprint(said: Document) -> str:
    """Return the SHA-256, in hexadecimal digits, of what a document says whatever its number is."""
    return hashlib.sha256(encoded({**said, "version": 0})).hexdigest()


def clauses_for(said: Document, profile: str | None = None) -> list[dict[str, Any]]:
    """Return the clauses of a document that hold for `profile` (None: for anybody), in their order."""
    return [clause for clause in said["clauses"] if profile is None or profile in clause["profiles"]]


def classes_for(said: Document, profile: str | None = None) -> dict[str, dict[str, Any]]:
    """Return the data classes of a document that concern `profile` (None: anybody), by name."""
    return {name: one for name, one in said["classes"].items() if profile is None or profile in one["profiles"]}


def short(said: Document, profile: str | None = None) -> list[str]:
    """Return the short version: a line for each clause in force."""
    return [clause["short"] for clause in clauses_for(said, profile) if clause["status"] == "in_force"]


def clause_order(identity: str) -> tuple[int, int]:
    """Return where a clause stands: for everybody first, then profile by profile, by number."""
    return "EGSPMR".index(identity[0]), int(identity[1:])


def _rule(rule: Rule, value: int) -> dict[str, Any]:
    return {
        "value": value,
        "unit": rule.unit,
        "said": words.said(rule.unit, value),
        "help": rule.help,
        "weaker": rule.weaker,
        "at_least": rule.at_least,
        "at_most": rule.at_most,
        "profiles": list(rule.profiles),
    }


def _clause(policy: Policy, identity: str, said: Mapping[str, str]) -> dict[str, Any]:
    clause: Clause = policy.clauses[identity]
    return {
        "id": identity,
        "title": clause.title,
        "profiles": list(clause.profiles),
        "sentence": words.fill(clause.sentence, said),
        "template": clause.sentence,
        "rewords": list(clause.rewords),
        "short": words.fill(clause.short, said),
        "short_template": clause.short,
        "source": clause.source.model_dump(),
        "status": clause.status,
        "pending": clause.pending or "",
        "lacks": clause.lacks or "",
        "rules": list(clause.rules),
        "classes": list(clause.classes),
        "enforced": list(clause.enforced),
        "tests": list(clause.tests),
        "probe": clause.probe or "",
    }


def _class(one: DataClass, numbers: Mapping[str, int], said: Mapping[str, str]) -> dict[str, Any]:
    return {
        "service": one.service,
        "title": one.title,
        "help": one.help,
        "subject": one.subject,
        "purpose": one.purpose,
        "recipients": list(one.recipients),
        "profiles": list(one.profiles),
        "where": {name: list(fields) for name, fields in one.where.items()},
        "sealed": one.sealed,
        "retention": {
            "kind": one.retention.kind,
            "rules": {name: numbers[name] for name in one.retention.rules},
            "text": words.fill(one.retention.text, said),
            "template": one.retention.text,
        },
        "disclosure": one.disclosure,
        "canary": one.canary.door,
        "export": {"given": one.export.given, "why": one.export.why},
    }


def _metric(metric: Metric) -> dict[str, Any]:
    return {
        "title": metric.title,
        "help": metric.help,
        "unit": metric.unit,
        "kind": metric.kind,
        "per_unit": metric.per_unit,
        "key": metric.key,
        "dimensions": {name: list(values) for name, values in metric.dimensions.items()},
        "cuts": {name: _cut(cut) for name, cut in metric.cuts.items()},
    }


def _cut(cut: Cut) -> dict[str, Any]:
    return {
        "title": cut.title,
        "dimensions": list(cut.dimensions),
        "window": cut.window,
        "epsilon": cut.epsilon,
        "delta": cut.delta,
    }
