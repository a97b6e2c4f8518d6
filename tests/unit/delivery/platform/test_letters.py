"""Letters of the platform: each reads well, and nothing but words and dates can be put into one."""

from __future__ import annotations

from email import message_from_bytes, policy

import pytest

from libs.policy import load_policy
from libs.runtime.errors import InvalidError
from services.delivery.domain.dsn import site_of
from services.delivery.domain.plain_mail import Head, plain_mail
from services.delivery.platform.letter import Place
from services.delivery.platform.letters import LETTERS, write
from tests.support.clock import START

PLACE = Place("sealpost.test", "https://mail.sealpost.test/")
FIELDS = {
    "policy_change": {"version": "4", "from": "3", "effective": "2027-01-01", "old_terms_until": "2027-06-30"},
    "erasure_asked": {"due": "2026-12-06", "receipt_token": "T0ken-x_9"},
    "erasure_cancelled": {},
    "disclosure": {"decided": "2026-11-20", "legal_basis": "court_order", "since": "1970-01-01", "until": "2026-11-01"},
    "concern_answered": {},
    "newsletter": {"subject": "News", "text": "Hello.\n\nThere is news.\nReally."},
    "contact": {"subject": "A question", "text": "Is it you?"},
    "sending_paused": {"reason": "bounces", "settled": "900", "count": "99", "percent": "11"},
    "forwarding_limited": {"most": "1,000"},
    "price_change": {"plan": "Personal", "since": "2027-02-01", "changes": "3.00 EUR a month become 3.50 EUR."},
    "invoice_due": {"invoice": "2026-000042", "amount": "10.71 EUR", "due": "2026-11-17"},
    "grace": {"invoice": "2026-000042", "amount": "10.71 EUR", "due": "2026-11-17", "until": "2026-12-02"},
    "read_only": {"due": "2026-11-17"},
    "paid": {},
}


def test_letters_are_those_of_the_policy() -> None:
    purposes = load_policy().mail
    assert sorted(LETTERS) == sorted(letter for one in purposes.values() for letter in one.letters)
    assert set(FIELDS) == set(LETTERS)


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_each_is_a_proper_mail(name: str) -> None:
    written = write(name, FIELDS[name], PLACE)
    content = plain_mail(Head(written.subject, "1"), written.paragraphs, site_of("mx.sealpost.test"), START)
    assert content.count(b"\n") == content.count(b"\r\n")
    assert max(map(len, content.split(b"\r\n"))) <= 100
    mail = message_from_bytes(content, policy=policy.default)
    assert not mail.defects
    assert mail["From"] == "Mail service <postmaster@sealpost.test>"
    assert mail["Auto-Submitted"] == "auto-generated"
    body = mail.get_body()
    assert body is not None
    text = body.get_content()
    assert "{" not in text and "  " not in text
    assert "sealpost.test" in text or name in ("newsletter", "forwarding_limited")
    for link in [word for word in text.split() if "://" in word]:
        assert link.startswith("https://mail.sealpost.test/")


def test_a_disclosure_is_told_with_its_period_if_it_has_one() -> None:
    text = " ".join(write("disclosure", FIELDS["disclosure"], PLACE).paragraphs)
    assert "A legal order (court order)" in text and "on 2026-11-20" in text and "1970" not in text
    bounded = {**FIELDS["disclosure"], "since": "2026-10-01"}
    assert "messages from 2026-10-01 to 2026-11-01" in " ".join(write("disclosure", bounded, PLACE).paragraphs)


def test_what_changes_is_one_click_away() -> None:
    text = " ".join(write("policy_change", FIELDS["policy_change"], PLACE).paragraphs)
    assert "https://mail.sealpost.test/privacy/diff?from=3&to=4" in text
    first = " ".join(write("policy_change", {"version": "1", "effective": "2027-01-01"}, PLACE).paragraphs)
    assert "https://mail.sealpost.test/privacy?version=1" in first


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("policy_change", {"version": "4"}),
        ("policy_change", {"version": "", "effective": "x"}),
        ("policy_change", {"version": "4&x=https://evil.example", "effective": "x"}),
        ("policy_change", {"version": "4", "effective": "x" * 2001}),
        ("erasure_asked", {"due": "x", "receipt_token": "../evil"}),
        ("erasure_asked", {"due": "x", "Bad Name": "x"}),
        ("newsletter", {"subject": "x", "text": "a" * 1000}),
        ("newsletter", {"subject": "x", "text": " \r\n "}),
        ("contact", {"text": "x"}),
        ("erasure_cancelled", {f"f{n}": "x" for n in range(21)}),
    ],
)
def test_what_does_not_fit_is_refused(name: str, fields: dict[str, str]) -> None:
    with pytest.raises(InvalidError, match="letter_fields"):
        write(name, fields, PLACE)


def test_there_are_no_other_letters() -> None:
    with pytest.raises(InvalidError, match="letter"):
        write("advertisement", {}, PLACE)


def test_fields_put_nothing_into_the_header() -> None:
    evil = "x\r\nBcc: everybody@evil.example\r\n\r\nbody"
    for name, fields in (
        ("newsletter", {"subject": evil, "text": evil}),
        ("policy_change", {"version": "1", "effective": evil}),
        ("contact", {"subject": "Zoë\r\nX: y", "text": "grüße"}),
    ):
        written = write(name, fields, PLACE)
        content = plain_mail(Head(written.subject, "1"), written.paragraphs, site_of("mx.sealpost.test"), START)
        mail = message_from_bytes(content, policy=policy.default)
        assert not mail.defects and mail["Bcc"] is None and mail["X"] is None
        assert content.count(b"\n") == content.count(b"\r\n")
