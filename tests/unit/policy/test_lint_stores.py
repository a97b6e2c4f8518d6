"""The linter bites: what is stored and not named, named and not stored, and numbers that stand twice."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from libs.docstore.store import Collection, Index
from libs.policy.document import document
from libs.policy.lint import number_faults
from libs.policy.lint_stores import setting_value
from libs.policy.loader import PolicyError
from tests.unit.policy import made_up

ONE_DAY, LIMIT = 86_400, 6


@pytest.mark.parametrize(
    ("kept", "fault"),
    [
        (Collection("note", fields=("text", "expires", "author")), "keeper.note.author: no data class names it"),
        (
            Collection("note", (Index("by", ("author",)),), fields=("text", "expires")),
            "keeper.note.author: no data class",
        ),
        (Collection("note", (Index("due", ("text", "expires")),)), "keeper.note: declares no fields"),
        (Collection("note", fields=("text",)), "class note: note has no field expires"),
    ],
)
def test_fields_are_those_of_the_collections(tmp_path: Path, kept: Collection, fault: str) -> None:
    (found,) = made_up.faults(tmp_path, made_up.policy(), collections={"keeper": (kept,)})
    assert found.startswith(fault)


def test_a_collection_that_only_one_side_has(tmp_path: Path) -> None:
    both = (*made_up.COLLECTIONS["keeper"], Collection("draft", fields=("text",)))
    assert made_up.faults(tmp_path, made_up.policy(), collections={"keeper": both}) == [
        "keeper.draft.text: no data class names it"
    ]
    where = {"note": ["text", "expires"], "draft": ["text"]}
    assert made_up.faults(tmp_path, made_up.data_class(where=where)) == ["class note: keeper has no collection draft"]


def test_a_class_of_nobody(tmp_path: Path) -> None:
    assert "class note: there is no service writer that keeps anything" in made_up.faults(
        tmp_path, made_up.data_class(service="writer")
    )


def test_a_class_that_everybody_keeps(tmp_path: Path) -> None:
    twice = {"keeper": made_up.COLLECTIONS["keeper"], "writer": made_up.COLLECTIONS["keeper"]}
    assert made_up.faults(tmp_path, made_up.data_class(service="every"), collections=twice) == []


@pytest.mark.parametrize(
    "lacking", ["service", "subject", "purpose", "retention", "sealed", "disclosure", "canary", "export"]
)
def test_a_class_without_owner_purpose_or_retention_is_not_read(lacking: str) -> None:
    spoiled = made_up.raw()
    del spoiled["classes"]["note"][lacking]
    with pytest.raises(PolicyError, match=f"classes.note.{lacking}: Field required"):
        made_up.policy(classes=spoiled["classes"])


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"purpose": "profit"}, "class note: no such purpose: profit"),
        ({"recipients": ["advertisers"]}, "class note: no such recipient: advertisers"),
        ({"retention": {"kind": "fixed", "text": "For a while."}}, "fixed: needs a rule"),
        ({"retention": {"kind": "fixed", "rules": ["note_seconds"], "text": "For a while."}}, "name each of the rules"),
        ({"retention": {"kind": "until", "text": "For {note_seconds}, then."}}, "name each of the rules"),
        ({"retention": {"kind": "idle", "rules": ["gone"], "text": "For {gone}, then."}}, "no such rule: gone"),
        ({"canary": {}}, "a door, or why there is none"),
    ],
)
def test_a_class_that_says_what_cannot_be_is_not_read(changes: dict[str, Any], fault: str) -> None:
    with pytest.raises(PolicyError, match=fault):
        made_up.data_class(**changes)


@pytest.mark.parametrize(
    ("name", "repeat", "fault"),
    [
        ("note_seconds", {"setting": f"{__name__}.ONE_DAY"}, ""),
        ("note_newest", {"setting": f"{__name__}.LIMIT"}, ""),
        ("note_newest", {"setting": f"{__name__}.ONE_DAY"}, f"rule note_newest is 6, but {__name__}.ONE_DAY is 86400"),
        ("note_newest", {"setting": f"{__name__}.NONE"}, f"rule note_newest: {__name__}.NONE is no number"),
        ("note_newest", {"setting": "nowhere.at.all"}, "rule note_newest: there is no nowhere.at.all"),
        ("note_seconds", {"text": "page/notes.ts", "says": "Notes go after {note_seconds}."}, ""),
        ("note_seconds", {"text": "page/notes.ts", "says": "go after {note_seconds} day", "each": 86400}, ""),
        (
            *("note_seconds", {"text": "page/notes.ts", "says": "Letters go after {note_seconds}."}),
            "rule note_seconds: page/notes.ts does not say: Letters go after 1 day.",
        ),
        (
            *("note_seconds", {"text": "page/none.ts", "says": "Notes go after {note_seconds}."}),
            "rule note_seconds: page/none.ts does not say: Notes go after 1 day.",
        ),
    ],
)
def test_a_number_that_stands_elsewhere_too(tmp_path: Path, name: str, repeat: dict[str, Any], fault: str) -> None:
    found = made_up.faults(tmp_path, made_up.rule(name, repeated=[repeat]))
    assert found == ([fault] if fault else [])


def test_a_text_that_was_not_changed_with_its_rule(tmp_path: Path) -> None:
    repeat = {"text": "page/notes.ts", "says": "Notes go after {note_seconds}."}
    assert made_up.faults(tmp_path, made_up.rule("note_seconds", value=172800, repeated=[repeat])) == [
        "rule note_seconds: page/notes.ts does not say: Notes go after 2 days."
    ]


def test_a_constant_cannot_be_given_another_value(tmp_path: Path) -> None:
    repeated = [{"setting": f"{__name__}.LIMIT"}]
    others = frozenset({"note_seconds", "notice_seconds", "grace_seconds"})
    loose = made_up.rule("note_newest", repeated=repeated)
    assert made_up.faults(tmp_path, loose, code_words=others) == [
        "rule note_newest: is a constant, so at_least and at_most have to be 6"
    ]
    fixed = made_up.rule("note_newest", repeated=repeated, at_least=6, at_most=6)
    assert made_up.faults(tmp_path, fixed, code_words=others) == []


def test_defaults_of_settings_count() -> None:
    assert setting_value("services.gateway.settings.Settings.call_timeout") == 10
    assert setting_value("services.gateway.settings.Settings.submission_port") == 587
    with pytest.raises(LookupError, match="no number"):
        setting_value("services.gateway.settings.Settings.name")


def test_two_sentences_that_say_different_numbers_for_one_rule() -> None:
    said = document(made_up.policy(), 1)
    assert list(number_faults(said)) == []
    said["clauses"][0]["sentence"] = said["clauses"][0]["sentence"].replace("1 day", "2 days")
    (fault,) = number_faults(said)
    assert fault == "rule note_seconds: '1 day' in its rule, '2 days' in clause E1"


def test_a_sentence_that_is_not_its_template() -> None:
    said = document(made_up.policy(), 1)
    said["classes"]["note"]["retention"]["text"] = "For ever."
    assert list(number_faults(said)) == ["class note: does not say what its template does"]
