"""Chains of custody (ARC): valid ones pass, changed ones fail, ended ones stay ended, and doubt is not a failure."""

from __future__ import annotations

from typing import Any

import dkim
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.mail.verdict import Verdict
from services.ingest import arc
from services.ingest.authentication import with_chain
from tests.unit.ingest.senders import MAIL, letter, rsa_key, sign, table, zone

ASK = table(zone())
RESULTS = b"Authentication-Results: mx.example.org; spf=pass smtp.mailfrom=example.org"


def forwarded(mail: bytes, cv: bytes = b"", domain: bytes = b"example.org") -> bytes:
    """Return a mail with one more set in front, as another forwarder makes it."""
    results = RESULTS + (b"; arc=" + cv if cv else b"") + b"\r\n"
    added = dkim.arc_sign(results + mail, b"sel", domain, rsa_key()[0], b"mx.example.org", linesep=b"\r\n")
    assert len(added) == 3
    return b"".join(bytes(one) for one in added) + mail


def chain(mail: bytes, ask: Any = ASK) -> str:
    return arc.verify(letter(mail), ask)


def test_mail_of_nobody_who_forwards() -> None:
    assert chain(MAIL) == chain(sign(MAIL)) == chain(b"") == "none"


def test_one_hop_and_three() -> None:
    once = forwarded(sign(MAIL))
    assert chain(once) == "pass"
    assert chain(forwarded(forwarded(once, b"pass"), b"pass", b"example.net")) == "pass"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"A line.", b"B line."),
        (b"Subject: Hello", b"Subject: Hallo"),
        (b"spf=pass", b"spf=fail"),
        (b"cv=none", b"cv=pass"),
        (b"ARC-Seal: i=1", b"ARC-Seal: i=2"),
        (b"ARC-Seal: i=1", b"ARC-Seal: i=51"),
        (b"ARC-Seal:", b"X-Seal:"),
        (b"ARC-Message-Signature:", b"X-Signature:"),
        (b"d=example.org", b"d=nowhere.example.org"),
        (b"d=example.org", b"d=broken.example.org"),
    ],
)
def test_changes_break_it(before: bytes, after: bytes) -> None:
    mail = forwarded(MAIL)
    assert before in mail
    assert chain(mail.replace(before, after, 1)) == "fail"


def test_a_change_on_the_way_is_seen_at_the_newest_hop_only() -> None:
    # What happened before the second forwarder is what that one has vouched for.
    changed = forwarded(MAIL).replace(b"Subject: Hello", b"Subject: [list] Hello")
    assert chain(changed) == "fail"
    assert chain(forwarded(changed, b"pass")) == "pass"


def test_a_hop_taken_out_is_missed() -> None:
    mail = forwarded(forwarded(MAIL), b"pass")
    first_seal = mail.index(b"ARC-Seal: i=1")
    end = mail.index(b"\r\nARC-", first_seal) + 2
    assert chain(mail[:first_seal] + mail[end:]) == "fail"


def test_what_was_sealed_as_failed_has_ended() -> None:
    broken = forwarded(MAIL).replace(b"A line.", b"B line.")
    assert chain(forwarded(broken, b"fail")) == "ended"


def test_without_dns_nothing_is_known() -> None:
    assert chain(forwarded(MAIL, domain=b"sub.temp.example")) == ""


def test_too_many_sets_are_a_failure_that_costs_nothing() -> None:
    fields = b"".join(b"ARC-Seal: i=%d; cv=pass; a=rsa-sha256; b=AAAA\r\n" % number for number in range(1, 52))
    asked: list[str] = []
    assert chain(fields + MAIL, lambda name, kind: asked.append(name)) == "fail"
    assert asked == []


@given(st.binary(max_size=80), st.sampled_from([b"ARC-Seal", b"ARC-Message-Signature", b"ARC-Authentication-Results"]))
def test_nothing_raises(value: bytes, name: bytes) -> None:
    clean = value.replace(b"\r", b"").replace(b"\n", b"").replace(b"\0", b"")
    assert chain(name + b": i=1; " + clean + b"\r\n" + forwarded(MAIL)) in ("fail", "", "ended", "pass")
    assert chain(name + b":" + clean + b"\r\n" + MAIL) in ("fail", "", "ended")


@pytest.mark.parametrize(
    ("found", "said"), [("pass", "; arc=pass"), ("fail", "; arc=fail"), ("ended", "; arc=fail"), ("none", ""), ("", "")]
)
def test_results_say_so(found: str, said: str) -> None:
    verdict = with_chain(Verdict(results="spf=none"), found)
    assert (verdict.arc, verdict.results) == (found, "spf=none" + said)
