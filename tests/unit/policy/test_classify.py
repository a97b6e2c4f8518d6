"""What differs between two versions: nothing for the same, weaker numbers always material, order never matters."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.policy import load_policy
from libs.policy.classify import Change, affected, classify, is_material
from libs.policy.document import document, encoded
from libs.policy.parts import PROFILES
from tests.unit.policy import made_up

Said = dict[str, Any]
POLICY = load_policy()
RULES = sorted(POLICY.rules)
SMALL = made_up.policy()


def shuffled(value: Any, order: random.Random) -> Any:
    """Return `value` as it could have been written in another order."""
    if isinstance(value, dict):
        names = list(value)
        order.shuffle(names)
        return {name: shuffled(value[name], order) for name in names}
    if isinstance(value, list):
        items = [shuffled(item, order) for item in value]
        order.shuffle(items)
        return items
    return value


numbers = st.dictionaries(st.sampled_from(RULES), st.integers(0, 10**9), max_size=6)


@settings(max_examples=60, deadline=None)
@given(numbers, st.integers(0, 2**32))
def test_the_same_in_any_order_is_no_change(chosen: dict[str, int], seed: int) -> None:
    said = document(POLICY, 1, chosen)
    assert classify(said, json.loads(encoded(said))) == []
    assert classify(said, shuffled(said, random.Random(seed))) == []


@settings(max_examples=60, deadline=None)
@given(numbers, numbers, st.integers(0, 2**32))
def test_order_changes_no_change(old: dict[str, int], new: dict[str, int], seed: int) -> None:
    before, after = document(POLICY, 1, old), document(POLICY, 2, new)
    found, order = classify(before, after), random.Random(seed)
    assert classify(shuffled(before, order), shuffled(after, order)) == found
    assert classify(json.loads(encoded(before)), json.loads(encoded(after))) == found


@settings(max_examples=150, deadline=None)
@given(numbers, st.sampled_from(RULES), st.integers(0, 10**9), st.integers(0, 10**9), numbers)
def test_any_weaker_number_is_material(
    others: dict[str, int], name: str, before: int, after: int, later: dict[str, int]
) -> None:
    """Whatever else changes with it; and a number alone that is not weaker is not material."""
    rule = POLICY.rules[name]
    old = document(POLICY, 1, {**others, name: before})
    new = document(POLICY, 2, {**later, name: after})
    found = [change for change in classify(old, new) if change.kind == "rule" and change.subject == name]
    if before == after:
        assert found == []
        return
    (change,) = found
    assert change.material is rule.weakens(before, after)
    assert set(change.profiles) == set(rule.profiles)
    alone = classify(old, document(POLICY, 2, {**others, name: after}))
    assert is_material(alone) is change.material
    named = [identity for identity, clause in POLICY.clauses.items() if name in clause.rules and not clause.pending]
    assert {one.subject for one in alone if one.kind == "clause" and one.material} == (
        set(named) if change.material else set()
    )


def _changed(change: Callable[[Said], object]) -> list[Change]:
    old = document(SMALL, 1)
    new = copy.deepcopy(old)
    change(new)
    return classify(old, new)


def _clause(said: Said) -> Said:
    found: Said = said["clauses"][0]
    return found


_MATERIAL: list[tuple[Callable[[Said], object], str, str]] = [
    (lambda said: said["clauses"].pop(0), "clause", "E1"),
    (lambda said: _clause(said).update(status="pending"), "clause", "E1"),
    (lambda said: _clause(said).update(lacks="Notes of some."), "clause", "E1"),
    (lambda said: _clause(said).update(profiles=["public"]), "clause", "E1"),
    (lambda said: _clause(said).update(template="We may keep notes.", sentence="We may keep notes."), "clause", "E1"),
    (lambda said: said["rules"].pop("notice_seconds"), "rule", "notice_seconds"),
    (lambda said: said["rules"]["note_seconds"].update(weaker="less"), "rule", "note_seconds"),
    (lambda said: said["classes"]["note"].update(purpose="profit"), "purpose", "note"),
    (lambda said: said["classes"]["note"].update(subject="visitor"), "purpose", "note"),
    (lambda said: said["classes"]["note"].update(profiles=["sealed", "relay"]), "purpose", "note"),
    (lambda said: said["classes"]["note"].update(recipients=["friends", "advertisers"]), "recipient", "note"),
    (lambda said: said["classes"]["note"].update(disclosure="sealed"), "recipient", "note"),
    (lambda said: said["classes"]["note"].update(sealed="not at all"), "clause", "note"),
    (lambda said: said["classes"]["note"]["export"].update(given=False), "clause", "note"),
    (lambda said: said["classes"]["note"]["retention"].update(kind="until"), "retention", "note"),
    (
        lambda said: said["classes"]["note"]["retention"].update(template="Long.", text="Long.", rules={}),
        *("retention", "note"),
    ),
    (lambda said: said["metrics"]["visits"].update(per_unit=11), "metric", "visits"),
    (lambda said: said["metrics"]["visits"].update(unit="account"), "metric", "visits"),
    (lambda said: said["metrics"]["visits"]["dimensions"].update(language=["en", "other"]), "metric", "visits"),
    (lambda said: said["metrics"]["visits"]["cuts"]["by_page"].update(epsilon=0.6), "metric", "visits"),
    (lambda said: said["metrics"]["visits"]["cuts"]["by_page"].update(window="hour"), "metric", "visits"),
    (lambda said: said["budget"].update(epsilon_per_day=2.0), "metric", "epsilon_per_day"),
    (lambda said: said["disclosure"]["legal_bases"].update(request="A request"), "recipient", "legal_bases"),
    (lambda said: said["disclosure"]["facts"]["note"].append("text"), "recipient", "note"),
    (lambda said: said["mail"]["policy"]["letters"].append("advert"), "purpose", "policy"),
    (lambda said: said["mail"]["news"].update(consent="none"), "purpose", "news"),
    (lambda said: said["mail"]["news"].update(contact=True), "purpose", "news"),
]


@pytest.mark.parametrize(("change", "kind", "subject"), _MATERIAL)
def test_what_promises_less_is_material(change: Callable[[Said], object], kind: str, subject: str) -> None:
    found = _changed(change)
    assert is_material(found)
    assert (kind, subject) in {(one.kind, one.subject) for one in found if one.material}
    assert affected(found)


def test_what_is_new_about_people_is_material() -> None:
    def another(said: Said) -> None:
        said["classes"]["draft"] = {**said["classes"]["note"], "title": "Drafts", "profiles": ["relay"]}

    (change,) = _changed(another)
    assert (change.kind, change.subject, change.material, change.profiles) == ("purpose", "draft", True, ("relay",))

    def measured(said: Said) -> None:
        said["metrics"]["clicks"] = said["metrics"]["visits"]

    (change,) = _changed(measured)
    assert (change.kind, change.subject, change.material) == ("metric", "clicks", True)
    assert set(change.profiles) == set(PROFILES)

    def released(said: Said) -> None:
        said["metrics"]["visits"]["cuts"]["in_all"] = {**said["metrics"]["visits"]["cuts"]["by_page"], "dimensions": []}

    assert is_material(_changed(released))


_HARMLESS: list[tuple[Callable[[Said], object], str]] = [
    (lambda said: said.update(version=9), ""),
    (lambda said: _clause(said).update(enforced=["other.place"], tests=[], probe="another"), ""),
    (lambda said: _clause(said).update(title="Notes vanish"), "wording"),
    (lambda said: _clause(said).update(profiles=["sealed", "relay"]), "clause"),
    (lambda said: said["clauses"].append({**_clause(said), "id": "E2"}), "clause"),
    (lambda said: said["clauses"].pop(1), "clause"),
    (lambda said: said["clauses"][1].update(status="in_force"), "clause"),
    (lambda said: said["rules"].update(new=said["rules"]["note_seconds"]), "rule"),
    (lambda said: said["rules"]["note_seconds"].update(at_most=9), "wording"),
    (lambda said: said["classes"].pop("note"), "retention"),
    (lambda said: said["classes"]["note"].update(help="What was noted."), "wording"),
    (lambda said: said["classes"]["note"]["where"]["note"].append("language"), "wording"),
    (lambda said: said["classes"]["note"].update(recipients=[]), "recipient"),
    (lambda said: said["classes"]["note"].update(disclosure="none"), "recipient"),
    (lambda said: said["metrics"]["visits"].update(per_unit=9), "metric"),
    (lambda said: said["metrics"]["visits"].update(help="All pages."), "wording"),
    (lambda said: said["metrics"]["visits"]["dimensions"]["page"].append("about"), "metric"),
    (lambda said: said["metrics"].pop("visits"), "metric"),
    (lambda said: said["mail"].pop("policy"), "purpose"),
    (lambda said: said["mail"]["policy"].update(help="Of it."), "wording"),
    (lambda said: said["mail"]["news"]["letters"].append("digest"), "purpose"),
    (lambda said: said["purposes"]["notes"].update(help="Keeping them well."), "wording"),
    (lambda said: said["disclosure"]["facts"].pop("note"), "recipient"),
]


@pytest.mark.parametrize(("change", "kind"), _HARMLESS)
def test_what_promises_as_much_is_not(change: Callable[[Said], object], kind: str) -> None:
    found = _changed(change)
    assert not is_material(found)
    assert {one.kind for one in found} == ({kind} if kind else set())
    assert affected(found) == ()


def test_other_words_for_the_same_are_declared() -> None:
    before = document(SMALL, 1)
    told = "Whatever you note is deleted {note_seconds} later, or when {note_newest} newer ones came."
    after = document(made_up.clause(sentence=told), 2)
    assert is_material(classify(before, after))
    earlier = made_up.raw()["clauses"]["E1"]["sentence"]
    declared = document(made_up.clause(sentence=told, rewords=[earlier]), 2)
    (change,) = classify(before, declared)
    assert (change.kind, change.material) == ("wording", False)
    weaker = document(made_up.clause(sentence=told, rewords=[earlier]), 2, {"note_newest": 7})
    assert {one.subject for one in classify(before, weaker) if one.material} == {"E1", "note_newest"}


def test_other_words_that_drop_a_number_are_no_rewording() -> None:
    earlier = made_up.raw()["clauses"]["E1"]["sentence"]
    vague = made_up.clause(sentence="Notes are deleted after {note_seconds} or so.", rewords=[earlier])
    assert is_material(classify(document(SMALL, 1), document(vague, 2)))


def test_a_weaker_time_shows_in_the_class_and_its_clause() -> None:
    found = classify(document(SMALL, 1), document(SMALL, 2, {"note_seconds": 172800}))
    assert [(one.kind, one.subject, one.material) for one in found] == [
        ("clause", "E1", True),
        ("clause", "G1", False),
        ("retention", "note", True),
        ("rule", "note_seconds", True),
    ]
    (kept,) = [one for one in found if one.kind == "retention"]
    assert (kept.before, kept.after) == ("1 day after it was written.", "2 days after it was written.")
