"""The numbers in force: each version has its own, and nothing goes back."""

from __future__ import annotations

import pytest

from libs.policy import Terms, Version
from libs.policy.terms import MOST_VERSIONS
from tests.unit.policy import made_up


@pytest.fixture
def terms() -> Terms:
    return Terms(made_up.policy())


def test_before_any_version_the_numbers_are_the_programs_own(terms: Terms) -> None:
    assert terms.active == 0
    assert terms.rule("note_newest") == terms.rule("note_newest", 7) == 6
    with pytest.raises(KeyError):
        terms.rule("other")


def test_each_version_has_its_own(terms: Terms) -> None:
    terms.put([Version(1, {"note_newest": 5}, active=True), Version(2, {"note_newest": 7})])
    assert terms.active == 1
    assert [terms.rule("note_newest", version) for version in (0, 1, 2, 3)] == [5, 5, 7, 5]


def test_a_rule_that_a_version_does_not_have_yet_is_the_programs_own(terms: Terms) -> None:
    terms.put([Version(1, {"note_newest": 5}, active=True)])
    assert terms.rule("note_seconds", 1) == 86400
    terms.put([Version(2, {}, active=True)])
    assert terms.rule("note_newest") == 6


def test_what_comes_late_or_twice_changes_nothing(terms: Terms) -> None:
    terms.put([Version(2, {"note_newest": 7}, active=True)])
    terms.put([Version(1, {"note_newest": 5}, active=True), Version(2, {"note_newest": 9})])
    assert terms.active == 2
    assert terms.rule("note_newest") == 7
    assert terms.rule("note_newest", 1) == 5


def test_memory_is_bounded_and_the_one_in_force_stays(terms: Terms) -> None:
    terms.put([Version(1, {"note_newest": 5}, active=True)])
    terms.put([Version(number, {"note_newest": 8}) for number in range(2, MOST_VERSIONS + 50)])
    assert terms.rule("note_newest") == 5
    assert terms.rule("note_newest", MOST_VERSIONS + 49) == 8
    assert terms.rule("note_newest", 2) == 5
