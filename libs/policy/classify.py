"""What differs between two versions of the policy, and whether it is material, that is, has to wait for its notice.

Documents are compared, not policies, so that a version of an older program can be compared with that of a newer one.
What cannot be judged by comparing is taken for material: a sentence in other words, unless the clause says which words
it only rewords; a number whose weaker side itself changed; a retention of another kind. Everything that is looked at is
looked up by name, so the order of a document means nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from libs.policy import classify_metrics
from libs.policy.changes import Change, every_profile
from libs.policy.document import Document

__all__ = ["Change", "affected", "classify", "is_material"]

Part = Mapping[str, Any]
_DISCLOSURE = ("none", "facts", "sealed")
_OPTIONAL = ("newsletter", "contact")


def classify(old: Document, new: Document) -> list[Change]:
    """Return what changed from `old` to `new`, by kind and subject; nothing for documents that say the same."""
    weaker = {name for name, rule in old["rules"].items() if _weakened(rule, new["rules"].get(name))}
    found = [
        *_pairs(old["rules"], new["rules"], _rule),
        *_pairs(_by_id(old), _by_id(new), lambda name, a, b: _clause(name, a, b, weaker)),
        *_pairs(old["classes"], new["classes"], lambda name, a, b: _class(name, a, b, weaker)),
        *_pairs(old["mail"], new["mail"], _mail),
        *_disclosure(old["disclosure"], new["disclosure"]),
        *classify_metrics.metrics(old, new),
        *_titles(old, new),
    ]
    # What is only written in another order reads the same before and after.
    real = [change for change in found if change.before != change.after]
    return sorted(real, key=lambda change: (change.kind, change.subject, change.before, change.after))


def is_material(changes: list[Change]) -> bool:
    """Tell whether one of them has to wait for its notice."""
    return any(change.material for change in changes)


def affected(changes: list[Change]) -> tuple[str, ...]:
    """Return the profiles that material changes are about."""
    return tuple(sorted({profile for change in changes if change.material for profile in change.profiles}))


def _by_id(document: Document) -> dict[str, Part]:
    return {clause["id"]: clause for clause in document["clauses"]}


def _pairs(
    old: Mapping[str, Part],
    new: Mapping[str, Part],
    compare: Callable[[str, Part | None, Part | None], Iterator[Change]],
) -> Iterator[Change]:
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            yield from compare(name, old.get(name), new.get(name))


def _weakened(old: Part, new: Part | None) -> bool:
    if new is None:
        return True
    before, after = old["value"], new["value"]
    if before == after:
        return False
    if old["weaker"] != new["weaker"] or old["unit"] != new["unit"] or old["weaker"] == "either":
        return True
    return bool(after > before) if old["weaker"] == "more" else bool(after < before)


def _rule(name: str, old: Part | None, new: Part | None) -> Iterator[Change]:
    if old is None and new is not None:
        yield Change("rule", name, False, "", new["said"], tuple(new["profiles"]))
    elif old is not None and new is None:
        yield Change("rule", name, True, old["said"], "", tuple(old["profiles"]))
    elif old is not None and new is not None:
        profiles = _either(old, new)
        if (old["value"], old["unit"]) != (new["value"], new["unit"]):
            yield Change("rule", name, _weakened(old, new), old["said"], new["said"], profiles)
        elif old["weaker"] != new["weaker"]:
            yield Change("rule", name, True, old["weaker"], new["weaker"], profiles)
        else:
            yield Change("wording", name, False, _bounds(old), _bounds(new), profiles)


def _bounds(rule: Part) -> str:
    return f"{rule['help']} ({rule['at_least']} to {rule['at_most']})"


def _clause(name: str, old: Part | None, new: Part | None, weaker: set[str]) -> Iterator[Change]:
    if old is None or new is None:
        one = old or new or {}
        was_promised = old is not None and old["status"] == "in_force"
        before, after = (old or {}).get("sentence", ""), (new or {}).get("sentence", "")
        yield Change("clause", name, was_promised, before, after, tuple(one["profiles"]))
        return
    profiles, changed = _either(old, new), False
    for before, after, material in _clause_changes(old, new, weaker):
        if before != after:
            changed = True
            yield Change("clause" if material is not None else "wording", name, bool(material), before, after, profiles)
    if not changed and _texts(old) != _texts(new):
        yield Change("wording", name, False, _texts(old), _texts(new), profiles)


def _clause_changes(old: Part, new: Part, weaker: set[str]) -> Iterator[tuple[str, str, bool | None]]:
    """Give before, after, and whether it is material; None: only the words are others."""
    promised = old["status"] == "in_force"
    if old["template"] == new["template"]:
        yield old["sentence"], new["sentence"], promised and bool(weaker & set(old["rules"]))
    else:
        reworded = old["template"] in new["rewords"] and set(old["rules"]) == set(new["rules"])
        material = promised and (not reworded or bool(weaker & set(old["rules"])))
        yield old["sentence"], new["sentence"], (material or None) if reworded else material
    yield old["status"], new["status"], promised
    yield old["lacks"], new["lacks"], promised and new["lacks"] != ""
    yield (
        _listed(old["profiles"]),
        _listed(new["profiles"]),
        promised and not set(old["profiles"]) <= set(new["profiles"]),
    )


def _texts(clause: Part) -> str:
    return " ".join(text for text in (f"{clause['title']}:", clause["short"], clause["pending"]) if text)


def _class(name: str, old: Part | None, new: Part | None, weaker: set[str]) -> Iterator[Change]:
    if old is None and new is not None:
        about_people = new["subject"] not in ("nobody", "operator")
        yield Change("purpose", name, about_people, "", f"{new['title']}: {new['purpose']}", tuple(new["profiles"]))
    elif old is not None and new is None:
        yield Change(
            "retention", name, False, f"{old['title']}: {old['retention']['text']}", "", tuple(old["profiles"])
        )
    elif old is not None and new is not None:
        profiles = _either(old, new)
        changed = False
        for kind, before, after, material in _class_changes(old, new, weaker):
            if before != after:
                changed = True
                yield Change(kind, name, material, before, after, profiles)
        if not changed and _described(old) != _described(new):
            yield Change("wording", name, False, _described(old), _described(new), profiles)


def _class_changes(old: Part, new: Part, weaker: set[str]) -> Iterator[tuple[str, str, str, bool]]:
    yield "retention", old["retention"]["text"], new["retention"]["text"], _retains_longer(old, new, weaker)
    yield "retention", old["retention"]["kind"], new["retention"]["kind"], True
    yield "purpose", f"{old['purpose']}, {old['subject']}", f"{new['purpose']}, {new['subject']}", True
    for part in ("profiles", "recipients"):
        added = not set(new[part]) <= set(old[part])
        yield "purpose" if part == "profiles" else "recipient", _listed(old[part]), _listed(new[part]), added
    more = _DISCLOSURE.index(new["disclosure"]) > _DISCLOSURE.index(old["disclosure"])
    yield "recipient", old["disclosure"], new["disclosure"], more
    yield "clause", old["sealed"], new["sealed"], True
    lost = bool(old["export"]["given"]) and not new["export"]["given"]
    yield "clause", _exported(old), _exported(new), lost


def _retains_longer(old: Part, new: Part, weaker: set[str]) -> bool:
    before, after = old["retention"], new["retention"]
    if before["template"] != after["template"] or set(before["rules"]) != set(after["rules"]):
        return True
    return bool(weaker & set(before["rules"]))


def _exported(one: Part) -> str:
    return "with the export" if one["export"]["given"] else "not with the export"


def _described(one: Part) -> str:
    where = {name: sorted(fields) for name, fields in one["where"].items()}
    rest = {name: one[name] for name in ("title", "help", "service", "canary", "export")}
    return json.dumps({**rest, "where": where}, sort_keys=True)


def _mail(name: str, old: Part | None, new: Part | None) -> Iterator[Change]:
    before, after = _mail_said(old), _mail_said(new)
    if old is not None and new is not None and before == after:
        told = [f"{one['title']}: {one['help']}" for one in (old, new)]
        yield Change("wording", name, False, told[0], told[1], every_profile())
        return
    yield Change("purpose", name, _writes_more(old, new), before, after, every_profile())


def _writes_more(old: Part | None, new: Part | None) -> bool:
    if new is None:
        return False
    if old is None:
        return bool(new["consent"] not in _OPTIONAL)
    more = not set(new["letters"]) <= set(old["letters"]) and new["consent"] not in _OPTIONAL
    return more or (old["consent"] in _OPTIONAL and new["consent"] != old["consent"]) or new["contact"] > old["contact"]


def _mail_said(one: Part | None) -> str:
    if one is None:
        return ""
    return f"{_listed(one['letters'])}; consent: {one['consent']}; contact address: {'yes' if one['contact'] else 'no'}"


def _disclosure(old: Part, new: Part) -> Iterator[Change]:
    bases = _listed(old["legal_bases"]), _listed(new["legal_bases"])
    if bases[0] != bases[1]:
        added = not set(new["legal_bases"]) <= set(old["legal_bases"])
        yield Change("recipient", "legal_bases", added, *bases, every_profile())
    for name in sorted({*old["facts"], *new["facts"]}):
        before, after = old["facts"].get(name, []), new["facts"].get(name, [])
        if set(before) != set(after):
            added = not set(after) <= set(before)
            yield Change("recipient", name, added, _listed(before), _listed(after), every_profile())


def _titles(old: Document, new: Document) -> Iterator[Change]:
    for part in ("profiles", "purposes", "recipients"):
        for name in sorted({*old[part], *new[part]}):
            before, after = (json.dumps(side[part].get(name, {}), sort_keys=True) for side in (old, new))
            if before != after:
                yield Change("wording", name, False, before, after, every_profile())


def _either(old: Part, new: Part) -> tuple[str, ...]:
    return tuple(sorted({*old["profiles"], *new["profiles"]}))


def _listed(names: Any) -> str:
    return ", ".join(sorted(names))
