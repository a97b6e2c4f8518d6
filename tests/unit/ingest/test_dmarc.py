"""DMARC: alignment by organisation, and the policy that was published."""

from __future__ import annotations

import pytest

from services.ingest.dmarc import Dmarc, Organisations, evaluate
from services.ingest.domain import Client
from services.ingest.spf_check import check
from tests.unit.ingest.senders import table, zone

ORGANISATIONS = Organisations()
ASK = table(zone())


@pytest.mark.parametrize(
    ("domain", "organisation"),
    [
        ("example.org", "example.org"),
        ("a.b.Example.org", "example.org"),
        ("a.example.co.uk", "example.co.uk"),
        ("co.uk", "co.uk"),
        ("localhost", "localhost"),
        ("someone.github.io", "someone.github.io"),
    ],
)
def test_organisations(domain: str, organisation: str) -> None:
    assert ORGANISATIONS.of(domain) == organisation


@pytest.mark.parametrize(
    ("author", "spf", "dkim", "result"),
    [
        ("example.org", "example.org", [], Dmarc("pass", "reject")),
        ("example.org", "", ["example.org"], Dmarc("pass", "reject")),
        ("example.org", "bounce.example.org", [], Dmarc("pass", "reject")),
        ("example.org", "", ["news.example.org"], Dmarc("pass", "reject")),
        ("example.org", "", [], Dmarc("fail", "reject")),
        ("example.org", "example.net", ["example.net"], Dmarc("fail", "reject")),
        # authheaders takes these for aligned: it reads a domain up to its first hyphen.
        ("example.org", "example.org-evil.test", ["example.org-evil.test"], Dmarc("fail", "reject")),
        ("example.org", "notexample.org", ["notexample.org"], Dmarc("fail", "reject")),
        ("sub.example.org", "", [], Dmarc("fail", "quarantine")),
        ("sub.example.org", "example.org", [], Dmarc("pass", "quarantine")),
        ("strict.example", "sub.strict.example", ["sub.strict.example"], Dmarc("fail", "none")),
        ("strict.example", "strict.example", [], Dmarc("pass", "none")),
        ("nothing.example", "nothing.example", [], Dmarc("none")),
        ("two.example", "two.example", [], Dmarc("none")),
        ("broken.example", "broken.example", [], Dmarc("permerror")),
        ("temp.example", "temp.example", [], Dmarc("temperror")),
        ("", "example.org", [], Dmarc("permerror")),
        ("ex\u00e4mple.org", "", [], Dmarc("permerror")),
        ("example.org>", "", [], Dmarc("permerror")),
    ],
)
def test_results(author: str, spf: str, dkim: list[str], result: Dmarc) -> None:
    assert evaluate(author, spf, dkim, ORGANISATIONS, ASK) == result


SPF_ZONE = {
    **zone(),
    ("include.example", "TXT"): ['"v=spf1 include:example.org ~all"'],
    ("redirect.example", "TXT"): ['"v=spf1 redirect=example.org"'],
    ("a.example", "TXT"): ['"v=spf1 a mx -all"'],
    ("a.example", "A"): ["198.51.100.7"],
    ("a.example", "AAAA"): ["2001:db8::7"],
    ("two.example", "TXT"): ['"v=spf1 -all"', '"v=spf1 +all"'],
    ("loop.example", "TXT"): ['"v=spf1 include:loop.example -all"'],
    ("broken.example", "TXT"): ['"v=spf1 ip4:999.0.0.1 -all"'],
    ("macro.example", "TXT"): ['"v=spf1 exists:%{i}.allowed.example -all"'],
    ("192.0.2.9.allowed.example", "A"): ["127.0.0.2"],
    ("void.example", "TXT"): ['"v=spf1 a:x1.example a:x2.example a:x3.example +all"'],
    ("dependent.example", "TXT"): ['"v=spf1 include:sub.temp.example -all"'],
    ("explained.example", "TXT"): ['"v=spf1 exp=sub.temp.example -all"'],
    ("mx.example.net", "TXT"): ['"v=spf1 ip4:192.0.2.9 -all"'],
}


@pytest.mark.parametrize(
    ("sender", "address", "result"),
    [
        ("ada@example.org", "192.0.2.9", "pass"),
        ("ada@example.org", "203.0.113.9", "fail"),
        ("ada@include.example", "192.0.2.9", "pass"),
        ("ada@include.example", "203.0.113.9", "softfail"),
        ("ada@redirect.example", "192.0.2.9", "pass"),
        ("ada@a.example", "198.51.100.7", "pass"),
        ("ada@a.example", "2001:db8::7", "pass"),
        ("ada@a.example", "2001:db8::8", "fail"),
        ("ada@nothing.example", "192.0.2.9", "none"),
        ("ada@two.example", "192.0.2.9", "permerror"),
        ("ada@loop.example", "192.0.2.9", "permerror"),
        ("ada@broken.example", "192.0.2.9", "permerror"),
        ("ada@macro.example", "192.0.2.9", "pass"),
        ("ada@macro.example", "192.0.2.8", "fail"),
        ("ada@void.example", "192.0.2.9", "permerror"),
        ("ada@temp.example", "192.0.2.9", "temperror"),
        ("ada@dependent.example", "192.0.2.9", "temperror"),
        ("ada@explained.example", "192.0.2.9", "fail"),
        ("", "192.0.2.9", "pass"),
        ("ada@[192.0.2.1]", "192.0.2.9", "none"),
        ('"ad a"@example.org', "192.0.2.9", "pass"),
    ],
)
def test_spf(sender: str, address: str, result: str) -> None:
    assert check(Client(address, "mx.example.net"), sender, table(SPF_ZONE)) == result


def test_spf_of_nobody() -> None:
    assert check(Client("192.0.2.9", "[192.0.2.9]"), "", table(SPF_ZONE)) == "none"
