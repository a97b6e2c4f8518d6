"""An operator's overrides: other numbers within the bounds, and nothing else. And how the files are read."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml

from libs.policy import PolicyError, load_policy
from libs.policy.loader import HOME, override, read_policy, read_raw
from libs.runtime.settings import CommonSettings, load
from tests.unit.policy import made_up


def _file(home: Path, text: str) -> Path:
    file = home / "overrides.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_a_stronger_number_is_taken(tmp_path: Path) -> None:
    policy = load_policy(_file(tmp_path, "rules: {public_mail_seconds: 172800, statistics_holders: 0}"))
    assert policy.value("public_mail_seconds") == 172800
    assert policy.value("statistics_holders") == 0
    assert load_policy().value("public_mail_seconds") == 345600


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("rules: {public_mail_seconds: 2592001}", "must be at most 2592000"),
        ("rules: {notice_seconds: 2591999}", "must be at least 2592000"),
        ("rules: {public_mail_second: 60}", "no such rule: public_mail_second"),
        ("rules: {public_mail_seconds: 4 days}", "valid integer"),
        ("rules: {public_mail_seconds: 4.5}", "valid integer"),
        ("rules: {public_mail_seconds: true}", "valid integer"),
        ("rules: {public_mail_seconds: 60, public_mail_seconds: 70}", "stands twice"),
        ("rules: [public_mail_seconds]", "a mapping is expected"),
        ("clauses: {}", "may not say clauses"),
        ("[]", "a mapping is expected"),
        ("rules: {", "no YAML"),
        ("!!python/object/apply:os.getcwd []", "no YAML"),
    ],
)
def test_anything_else_is_refused(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(PolicyError, match=fault):
        load_policy(_file(tmp_path, text))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="cannot be read"):
        load_policy(tmp_path / "none.yaml")


def test_a_constant_of_the_code_has_no_other_value(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="must be at most"):
        load_policy(_file(tmp_path, "rules: {seen_event_seconds: 604801}"))


def test_the_setting_names_the_file(tmp_path: Path) -> None:
    assert load(CommonSettings, {}).policy_overrides is None
    file = tmp_path / "overrides.yaml"
    assert load(CommonSettings, {"SEALPOST_POLICY_OVERRIDES": str(file)}).policy_overrides == file


@pytest.mark.parametrize(
    ("spoiled", "fault"),
    [
        ({"weaker": "more", "at_most": None}, "at_most is required"),
        ({"weaker": "less"}, "at_least is required"),
        ({"weaker": "either"}, "at_least is required"),
        ({"value": -1}, "greater than or equal to 0"),
        ({"value": 700000}, "must be at most 604800"),
        ({"unit": "weeks"}, "unit"),
        ({"repeated": [{"setting": "a.b", "text": "docs/c", "says": "It is."}]}, "either a setting, or a text"),
        ({"repeated": [{"text": "services/a.ts"}]}, "either a setting, or a text"),
    ],
)
def test_a_rule_that_cannot_be(spoiled: dict[str, object], fault: str) -> None:
    with pytest.raises(PolicyError, match=fault):
        made_up.rule("note_seconds", **spoiled)


def _home(tmp_path: Path) -> Path:
    raw = made_up.raw()
    parts = {
        "classes/keeper.yaml": {"classes": raw.pop("classes")},
        "clauses/all.yaml": {"clauses": raw.pop("clauses")},
    }
    for name, content in {"policy.yaml": raw, **parts}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(yaml.safe_dump(content), encoding="utf-8")
    return tmp_path


def test_the_files_are_one_policy(tmp_path: Path) -> None:
    assert read_policy(_home(tmp_path)) == made_up.policy()


def test_the_name_of_the_file_is_the_service(tmp_path: Path) -> None:
    home, classes = _home(tmp_path), made_up.raw()["classes"]
    del classes["note"]["service"]
    (home / "classes" / "keeper.yaml").write_text(yaml.safe_dump({"classes": classes}), encoding="utf-8")
    assert read_policy(home).classes["note"].service == "keeper"


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("classes/writer.yaml", "rules: {note_seconds: {}}", "writer.yaml: rules: note_seconds stands twice"),
        ("classes/writer.yaml", "metrics: {}", "writer.yaml: may not say metrics"),
        ("clauses/more.yaml", "clauses: {E1: {}}", "more.yaml: clauses: E1 stands twice"),
        ("clauses/more.yaml", "clauses: {X1: {}}", "X1"),
        ("classes/writer.yaml", "classes: {draft: {title: Drafts}}", "classes.draft.help"),
    ],
)
def test_what_stands_twice_or_where_it_must_not(tmp_path: Path, name: str, text: str, fault: str) -> None:
    home = _home(tmp_path)
    (home / name).write_text(text, encoding="utf-8")
    with pytest.raises(PolicyError, match=fault):
        read_policy(home)


def test_it_is_read_in_a_moment(tmp_path: Path) -> None:
    file = _file(tmp_path, "rules: {public_mail_newest: 5}")
    best = min(_seconds(file) for _ in range(5))
    assert best < 0.1


def _seconds(file: Path) -> float:
    start = time.perf_counter()
    override(read_raw(HOME), file)
    return time.perf_counter() - start
