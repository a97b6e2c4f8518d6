"""What ingest tells the statistics: one fact a session by the best that came of it, sizes in classes, networks."""

from __future__ import annotations

from typing import Any

import pytest

from libs.mailbox.facts import size_class
from libs.mailbox.model import Recipient, Route, Standing
from libs.net.addresses import network_of
from libs.policy import load_policy
from services.ingest.facts import Visit
from services.ingest.meters import RECEIVED


class Recording:
    """Keeps what is recorded, and checks it against the policy."""

    def __init__(self) -> None:
        self.facts: list[tuple[str, bytes, dict[str, Any]]] = []

    def record(self, metric: str, unit: bytes, /, *, key: int = 0, **dimensions: str) -> None:
        """Take a fact."""
        declared = load_policy().metrics[metric].dimensions
        assert set(dimensions) == set(declared)
        assert all(value in declared[name] for name, value in dimensions.items())
        self.facts.append((metric, unit, dimensions))


def visit(port: str = "mx") -> tuple[Recording, Visit]:
    facts = Recording()
    made = Visit(facts, port)
    made.came_from("203.0.113.9")
    return facts, made


@pytest.mark.parametrize(
    ("notes", "outcome"),
    [
        ([], "empty"),
        (["dropped"], "dropped"),
        (["refused", "dropped"], "refused"),
        (["refused", "accepted", "refused", "idle"], "accepted"),
        (["deferred", "refused"], "deferred"),
        (["unauthorized", "idle"], "unauthorized"),
    ],
)
def test_a_session_is_one_fact(notes: list[str], outcome: str) -> None:
    facts, made = visit()
    for note in notes:
        made.note(note)
    made.over("TLSv1.3")
    assert facts.facts == [("smtp_sessions", b"203.0.113.9", {"port": "mx", "outcome": outcome, "tls": "TLSv1.3"})]


@pytest.mark.parametrize(
    ("size", "name"),
    [(0, "4k"), (1, "4k"), (4096, "4k"), (4097, "16k"), (1 << 20, "1m"), ((1 << 20) + 1, "4m"), (1 << 26, "64m")],
)
def test_sizes_are_classes(size: int, name: str) -> None:
    assert size_class(size) == name
    assert size_class(1 << 30) == "other"


def test_every_outcome_of_a_mail_has_a_word() -> None:
    outcomes = ("accepted", "denied", "failed", "full", "no_room", "refused", "too_large")
    facts, made = visit()
    for outcome in outcomes:
        RECEIVED.mails.labels(outcome=outcome)
        made.mail(outcome, 10)
    assert {fact[2]["outcome"] for fact in facts.facts} == {"accepted", "refused", "deferred"}


def test_what_is_submitted_is_told_by_delivery() -> None:
    facts, made = visit("submission")
    made.mail("accepted", 10)
    made.sign_in("wrong")
    made.sign_in("success")
    made.over("TLSv1.2")
    assert [fact[0] for fact in facts.facts] == ["logins", "logins", "smtp_sessions"]
    assert facts.facts[-1][2]["outcome"] == "accepted"


def test_a_copy_for_each_mailbox_once() -> None:
    facts, made = visit()
    box = Route(Standing.OK, mailbox_id="box-1", account_id="a", profile="sealed")
    other = Route(Standing.OK, mailbox_id="box-2", profile="public")
    made.stored([Recipient("a@x.test", box), Recipient("b@x.test", box), Recipient("c@x.test", other)], 5000)
    assert [(unit, dimensions["profile"]) for _, unit, dimensions in facts.facts] == [
        (b"box-1", "sealed"),
        (b"box-2", "public"),
    ]


def test_a_network_is_what_one_customer_gets() -> None:
    assert network_of("203.0.113.9") == "203.0.113.9"
    assert network_of("2001:db8:1:2:3:4:5:6") == network_of("2001:db8:1:2::1") == "2001:db8:1:2::"
