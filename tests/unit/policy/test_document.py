"""The policy as a document: complete, the same each time, and every number said as its rule says it."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.policy import load_policy, words
from libs.policy.document import classes_for, clause_order, clauses_for, document, encoded, fingerprint, short
from libs.policy.lint import CLAUSES, number_faults
from libs.policy.parts import PROFILES
from tests.unit.policy import made_up


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        *((0, "0 seconds"), (1, "1 second"), (90, "90 seconds"), (60, "1 minute"), (1800, "30 minutes")),
        *((3600, "1 hour"), (86_400, "1 day"), (345_600, "4 days"), (2_592_000, "30 days"), (31_536_000, "1 year")),
        *((315_360_000, "10 years"), (34_560_000, "400 days"), (5_400, "90 minutes"), (86_401, "86,401 seconds")),
    ],
)
def test_times_in_words(seconds: int, said: str) -> None:
    assert words.duration(seconds) == said


@given(st.integers(0, 10**10))
def test_no_time_is_rounded(seconds: int) -> None:
    number, unit = words.duration(seconds).replace(",", "").split()
    sizes = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "year": 31_536_000}
    assert int(number) * sizes[unit.removesuffix("s")] == seconds


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_what_a_sentence_says_can_be_read_back(one: int, other: int) -> None:
    template = "Deleted {a} after it came (that is {a}), at most {b} are kept."
    rendered = words.fill(template, {"a": words.duration(one), "b": words.count(other)})
    assert words.reading(template, rendered) == {
        "a": (words.duration(one), words.duration(one)),
        "b": (words.count(other),),
    }
    assert words.reading(template, rendered + " Really.") is None


def test_numbers_in_force_are_said_everywhere() -> None:
    said = document(made_up.policy(), 3, {"note_seconds": 7200})
    (clause, pending) = said["clauses"]
    assert clause["sentence"] == "A note is deleted 2 hours after you wrote it, or when 6 newer ones came."
    assert (clause["short"], clause["status"], pending["status"]) == ("Notes go after 2 hours.", "in_force", "pending")
    assert said["classes"]["note"]["retention"]["text"] == "2 hours after it was written."
    assert said["classes"]["note"]["retention"]["rules"] == {"note_seconds": 7200}
    assert said["rules"]["note_seconds"]["said"] == "2 hours"
    assert list(number_faults(said)) == []


def test_it_is_json_and_the_same_each_time() -> None:
    policy = load_policy()
    said = document(policy, 1)
    assert json.loads(encoded(said)) == said
    assert encoded(document(policy, 1)) == encoded(said)
    assert fingerprint(document(policy, 2)) == fingerprint(said)
    assert fingerprint(document(policy, 1, {"public_mail_newest": 5})) != fingerprint(said)


def test_every_promise_is_there_in_order() -> None:
    said = document(load_policy(), 1)
    assert [clause["id"] for clause in said["clauses"]] == list(CLAUSES) == sorted(CLAUSES, key=clause_order)
    pending = {clause["id"] for clause in said["clauses"] if clause["status"] == "pending"}
    assert all(clause["pending"] for clause in said["clauses"] if clause["id"] in pending)
    assert pending == {"G1", "G2", "G3", "G4", "M1", "M2", "M3", "M4", "P3"}


def test_each_profile_has_its_own() -> None:
    said = document(load_policy(), 1)
    for profile in PROFILES:
        mine = clauses_for(said, profile)
        assert {"E1", "E2", "E14"} <= {clause["id"] for clause in mine}
        assert len(short(said, profile)) == sum(clause["status"] == "in_force" for clause in mine)
        assert classes_for(said, profile)
    assert len(clauses_for(said)) == len(CLAUSES)
    assert classes_for(said).keys() == said["classes"].keys()


def test_it_is_made_in_a_moment() -> None:
    policy = load_policy()
    start = time.perf_counter()
    document(policy, 1)
    assert time.perf_counter() - start < 0.05
