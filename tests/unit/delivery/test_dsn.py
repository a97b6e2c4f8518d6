"""Reports to senders: what people read, what programs read, and what a hostile server cannot do in them."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime
from email.message import EmailMessage
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.delivery.domain.dsn import Dsn, Site, dsn_on, make_dsn, site_of
from services.delivery.domain.dsn_words import explain
from services.delivery.domain.model import Order, Profile, QueuedMail, Recipient, State
from services.delivery.domain.queue import ReportKind

NOW = datetime(2026, 11, 22, 21, 0, 0, tzinfo=UTC)
ARRIVED = int(datetime(2026, 11, 22, 17, 0, 0, tzinfo=UTC).timestamp())
SITE = Site("mx.sealpost.test", "sealpost.test")
ID = "00692200f00123456789abcdef012345"
MAIL = (
    b"Message-ID: <1@sealpost.test>\r\nFrom: ada@sealpost.test\r\nTo: bob@example.net\r\n"
    b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n\r\nThe body is nobody's business.\r\n"
)
BOB = Recipient(
    "bob@example.net", State.BOUNCED, 1, status="5.1.1", text="550 5.1.1 No such user", host="mx.example.net"
)


def dsn(*recipients: Recipient, kind: ReportKind = ReportKind.FAILURE, content: bytes = MAIL, until: int = 0) -> Dsn:
    return Dsn(kind, "ada@sealpost.test", recipients or (BOB,), content, ARRIVED, until)


def made(report: Dsn) -> bytes:
    return make_dsn(report, SITE, ID, NOW)


def parsed(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert not message.defects
    return message


def parts(content: bytes) -> list[EmailMessage]:
    return cast(list[EmailMessage], list(parsed(content).iter_parts()))


def status_groups(content: bytes) -> list[dict[str, str]]:
    payload = cast(list[EmailMessage], parts(content)[1].get_payload())
    return [{name.lower(): str(value) for name, value in group.items()} for group in payload]


def test_a_failure_is_told_to_the_sender_as_rfc_3464_has_it() -> None:
    content = made(dsn())
    message = parsed(content)
    assert content.startswith(b"Return-Path: <>\r\n")
    assert message["from"] == "Mail delivery <postmaster@sealpost.test>"
    assert message["to"] == "<ada@sealpost.test>" or message["to"] == "ada@sealpost.test"
    assert message["auto-submitted"] == "auto-replied"
    assert message["subject"] == "Your mail could not be delivered"
    assert message["message-id"] == f"<{ID}@sealpost.test>"
    assert message["in-reply-to"] == "<1@sealpost.test>"
    assert message.get_content_type() == "multipart/report"
    assert message.get_param("report-type") == "delivery-status"
    assert [part.get_content_type() for part in parts(content)] == [
        "text/plain",
        "message/delivery-status",
        "text/rfc822-headers",
    ]


def test_people_are_told_what_happened_and_what_to_do() -> None:
    text = parts(made(dsn()))[0].get_content().replace("\r\n", "\n")
    assert 'Your mail "Grüße" of 22 November 2026, 17:00 UTC could not be delivered to:' in " ".join(text.split())
    assert "  bob@example.net\n    There is no such address. Check it for typing mistakes.\n" in text
    assert "    mx.example.net said: 550 5.1.1 No such user" in text
    assert "We will not try again." in text


def test_programs_are_told_the_same() -> None:
    first, second = status_groups(made(dsn()))
    assert first == {
        "reporting-mta": "dns; mx.sealpost.test",
        "arrival-date": "Sun, 22 Nov 2026 17:00:00 +0000",
    }
    assert second == {
        "final-recipient": "rfc822; bob@example.net",
        "action": "failed",
        "status": "5.1.1",
        "remote-mta": "dns; mx.example.net",
        "diagnostic-code": "smtp; 550 5.1.1 No such user",
        "last-attempt-date": "Sun, 22 Nov 2026 21:00:00 +0000",
    }


def test_the_header_is_sent_back_and_the_body_is_not() -> None:
    content = made(dsn())
    header = MAIL.partition(b"\r\n\r\n")[0]
    assert header in content
    assert b"nobody's business" not in content


def test_a_delay_says_that_nothing_need_be_done_and_until_when() -> None:
    content = made(dsn(kind=ReportKind.DELAY, until=ARRIVED + 5 * 86400))
    text = parts(content)[0].get_content().replace("\r\n", " ")
    assert "You need not do anything: we keep trying until 27 November 2026, 17:00 UTC" in text
    group = status_groups(content)[1]
    assert (group["action"], group["will-retry-until"]) == ("delayed", "Fri, 27 Nov 2026 17:00:00 +0000")


def test_each_recipient_has_a_paragraph_and_a_group() -> None:
    eve = Recipient("eve@example.net", State.EXPIRED, 9, status="4.4.7")
    odd = Recipient("odd@example.net", State.BOUNCED, 1, status="nonsense", text="?", host="not a host\r\n")
    content = made(dsn(BOB, eve, odd))
    text = parts(content)[0].get_content()
    assert "Nobody took the mail in time." in text
    assert "    We said: ?" in text
    assert "eve@example.net said" not in text
    groups = status_groups(content)[1:]
    assert [group["status"] for group in groups] == ["5.1.1", "4.4.7", "5.0.0"]
    assert "remote-mta" not in groups[2]


def test_addresses_beyond_ascii_are_told_as_rfc_6533_has_it() -> None:
    wide = Recipient("bücher@exämple.net", State.BOUNCED, 1, status="5.6.7", text="550 no SMTPUTF8 für dich")
    content = made(dsn(wide, content="Subject: Grüße\r\nX: ".encode() + b"\xff\r\n\r\n"))
    assert b"Content-Type: message/global-delivery-status\r\nContent-Transfer-Encoding: 8bit" in content
    assert "Final-Recipient: utf-8; bücher@exämple.net\r\n".encode() in content
    assert b"Diagnostic-Code: smtp; 550 no SMTPUTF8 f?r dich\r\n" in content
    assert b"Content-Type: message/global-headers\r\nContent-Transfer-Encoding: 8bit" in content
    assert "Subject: Grüße\r\nX: \N{REPLACEMENT CHARACTER}\r\n".encode() in content
    assert "f\u00fcr dich" in parts(content)[0].get_content()


def test_nothing_is_reported_to_nobody() -> None:
    with pytest.raises(ValueError, match="nobody"):
        make_dsn(Dsn(ReportKind.FAILURE, "", (BOB,), MAIL, ARRIVED), SITE, ID, NOW)
    with pytest.raises(ValueError, match="nobody"):
        make_dsn(Dsn(ReportKind.FAILURE, "ada@sealpost.test", (), MAIL, ARRIVED), SITE, ID, NOW)


@pytest.mark.parametrize(
    "text",
    [
        "550\r\nBcc: eve@example.net\r\n\r\nYour account is closed.",
        "550 \u202eevil\x00\x1b[31m",
        "550 " + "x" * 100_000,
        "550 --=_0\r\n--=_0--",
        "550 \ud800",
    ],
)
def test_what_the_other_side_says_stays_in_its_place(text: str) -> None:
    content = made(
        dsn(Recipient("bob@example.net", State.BOUNCED, 1, status="5.0.0", text=text, host="mx.example.net"))
    )
    message = parsed(content)
    assert "bcc" not in message
    assert len(parts(content)) == 3
    assert set(status_groups(content)[1]) == {
        *("final-recipient", "action", "status", "remote-mta", "diagnostic-code", "last-attempt-date")
    }
    said = [line for line in parts(content)[0].get_content().splitlines() if " said: " in line]
    assert len(said) == 1 and len(said[0]) < 600
    assert all(len(line) <= 998 for line in content.split(b"\r\n"))
    assert content.count(b"\n") == content.count(b"\r\n") == content.count(b"\r")


def test_long_headers_are_cut_between_fields() -> None:
    header = b"".join(b"X-%05d: %s\r\n folded\r\n" % (number, b"x" * 80) for number in range(2000))
    content = made(dsn(content=header + b"\r\nBody\r\n"))
    kept = content.partition(b"text/rfc822-headers\r\nContent-Transfer-Encoding: 7bit\r\n\r\n")[2]
    kept = kept[: kept.rindex(b"\r\n--=_")]
    assert 64_000 < len(kept) <= 64 * 1024
    assert header.startswith(kept) and kept.endswith(b" folded\r\n")


@pytest.mark.parametrize("content", [b"", b"\r\nBody", b"no header", b"X: " + b"x" * 70_000])
def test_a_mail_without_a_readable_header_is_reported_too(content: bytes) -> None:
    assert len(parts(made(dsn(content=content)))) == 3


@settings(max_examples=100, deadline=1000)
@given(st.text(max_size=300), st.text(max_size=20), st.text(max_size=30), st.binary(max_size=200))
def test_whatever_was_said_the_report_is_well_formed(text: str, status: str, host: str, content: bytes) -> None:
    made_of = dsn(Recipient("bob@example.net", State.BOUNCED, 1, status=status, text=text, host=host), content=content)
    content = made(made_of)
    head = content.partition(b"\r\n\r\n")[0]
    assert b"multipart/report" in head and content.endswith(b"--\r\n")
    assert len(status_groups(content)) == 2


def test_a_queued_mail_is_reported_on_from_what_it_has() -> None:
    order = Order("a" * 32, "b" * 32, Profile.SEALED, "ada@sealpost.test", ["bob@example.net"], MAIL)
    found = dsn_on(ReportKind.DELAY, QueuedMail("a" * 32, order, ARRIVED, [BOB]), [BOB], 7)
    assert found == Dsn(ReportKind.DELAY, "ada@sealpost.test", [BOB], MAIL, ARRIVED, 7)


@pytest.mark.parametrize(
    ("hostname", "domain"),
    [("mx.sealpost.test", "sealpost.test"), ("sealpost.test", "sealpost.test"), ("localhost", "localhost")],
)
def test_the_postmaster_is_that_of_the_domain(hostname: str, domain: str) -> None:
    assert site_of(hostname) == Site(hostname, domain)


def test_every_code_is_explained() -> None:
    assert explain("5.1.1") == explain("4.1.1") != explain("5.1.0")
    assert explain("5.9.9") == explain("") == explain("x") == "The recipient's server did not take the mail."
