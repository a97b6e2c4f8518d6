"""The linter bites: clauses without anything behind them, and references that lead nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from libs.policy.loader import PolicyError
from tests.unit.policy import made_up


def test_a_policy_that_holds_has_no_fault(tmp_path: Path) -> None:
    assert made_up.faults(tmp_path, made_up.policy()) == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"enforced": []}, "clause E1: nothing stands under enforced"),
        ({"tests": []}, "clause E1: nothing stands under tests"),
        ({"probe": None}, "clause E1: nothing stands under probe"),
        ({"pending": "Not yet."}, "clause E1: is pending and has a probe"),
        ({"enforced": ["keeper.sweep.Sweeper.stop"]}, "clause E1: there is no keeper.sweep.Sweeper.stop"),
        ({"enforced": ["keeper.swept"]}, "clause E1: there is no keeper.swept"),
        ({"enforced": ["services/none.ts"]}, "clause E1: there is no services/none.ts"),
        (
            {"tests": ["tests/test_keeper.py::test_other"]},
            "clause E1: there is no test tests/test_keeper.py::test_other",
        ),
        (
            {"tests": ["tests/test_none.py::test_notes_go"]},
            "clause E1: there is no test tests/test_none.py::test_notes_go",
        ),
        ({"probe": "notes_stay"}, "clause E1: there is no probe notes_stay"),
        ({"classes": ["letters"]}, "clause E1: there is no data class letters"),
        (
            {"source": {"seed": "smtpserver-terms", "quote": "notes are kept for ever"}},
            "clause E1: smtpserver-terms does not say what is quoted",
        ),
        (
            {"source": {"seed": "smtpserver-terms", "quote": "after their time [...] notes are"}},
            "clause E1: smtpserver-terms does not say what is quoted",
        ),
        (
            {"source": {"seed": "xs2mail-privacy-policy", "quote": "notes are deleted"}},
            "clause E1: xs2mail-privacy-policy does not say what is quoted",
        ),
    ],
)
def test_a_clause_with_nothing_behind_it(tmp_path: Path, changes: dict[str, Any], fault: str) -> None:
    assert made_up.faults(tmp_path, made_up.clause(**changes)) == [fault]


def test_a_clause_that_is_missing(tmp_path: Path) -> None:
    assert made_up.faults(tmp_path, made_up.policy(), clauses=("E1", "E2", "G1")) == ["clause E2: is missing"]


def test_what_is_pending_needs_nothing_but_a_reason(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="pending"):
        made_up.clause(pending="")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sentence": "A note is deleted {note_seconds} after you wrote it, at most 3 are kept."}, "'3'"),
        (
            {"sentence": "A note is deleted {note_seconds} after you wrote it, at most after thirty days."},
            "'thirty days'",
        ),
        ({"short": "Notes of {note_seconds} go within an hour."}, "'within an hour'"),
        ({"lacks": "Notes are kept for several months."}, "'several months'"),
        ({"title": "Notes go after 1 day"}, "'1'"),
    ],
)
def test_a_number_beside_the_rules(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    assert made_up.faults(tmp_path, made_up.clause(**changes)) == [f"clause E1: says {said} without a rule"]


def test_a_number_beside_the_rules_of_a_class(tmp_path: Path) -> None:
    retention = {"kind": "until", "text": "Until somebody deletes it, for two years."}
    assert made_up.faults(tmp_path, made_up.data_class(retention=retention)) == [
        "class note: says 'two years' without a rule"
    ]


def test_a_rule_that_does_not_exist() -> None:
    with pytest.raises(PolicyError, match="clause E1: no such rule: letter_seconds"):
        made_up.clause(sentence="A letter is deleted after {letter_seconds}.")


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"letters": frozenset({"policy_change", "newsletter", "advert"})}, "letter advert: no purpose has it"),
        ({"letters": frozenset({"policy_change"})}, "letter newsletter: nothing sends it"),
        (
            {"code_words": frozenset({"note_seconds", "note_newest", "notice_seconds"})},
            "rule grace_seconds: no code asks for it",
        ),
    ],
)
def test_words_that_only_one_side_knows(tmp_path: Path, changes: dict[str, Any], missing: str) -> None:
    assert made_up.faults(tmp_path, made_up.policy(), **changes) == [missing]


def test_a_letter_of_two_purposes() -> None:
    mail = made_up.raw()["mail"]
    mail["news"]["letters"].append("policy_change")
    with pytest.raises(PolicyError, match="a letter belongs to one purpose"):
        made_up.policy(mail=mail)


def test_facts_that_no_class_gives(tmp_path: Path) -> None:
    fault = "class note: disclosure has to be facts, and disclosure.facts has to list them"
    assert made_up.faults(tmp_path, made_up.data_class(disclosure="none")) == [fault]
    bases = {"legal_bases": {"court_order": "An order"}, "facts": {}}
    assert made_up.faults(tmp_path, made_up.policy(disclosure=bases)) == [fault]


def test_a_purpose_of_nothing(tmp_path: Path) -> None:
    purposes = made_up.raw()["purposes"] | {"profiling": {"title": "Profiling", "help": "Knowing you."}}
    assert made_up.faults(tmp_path, made_up.policy(purposes=purposes)) == ["purpose profiling: no data class has it"]
