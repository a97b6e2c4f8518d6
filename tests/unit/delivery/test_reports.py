"""What a mail to a return path is taken for."""

from __future__ import annotations

import base64
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.delivery.domain.reports import Finding, Kind, read_report
from tests.unit.delivery.bounces import AWAY, EXIM, QMAIL, complaint, dsn, group


def only(content: bytes) -> Finding:
    reading = read_report(content)
    assert reading.kind is Kind.FAILED
    (finding,) = reading.findings
    return finding


def test_a_bounce_of_rfc_3464_is_read() -> None:
    assert only(dsn(group())) == Finding(
        addresses=("bob@example.net",),
        status="5.1.1",
        text="550 5.1.1 <bob@example.net>: Recipient address rejected",
        host="mailbox.example.net",
    )


def test_each_recipient_that_failed_is_found() -> None:
    reading = read_report(
        dsn(group(), group("carol@example.net", "delayed", "4.4.1"), group("Dave@Example.NET", status="5.2.2"))
    )
    assert [(finding.addresses, finding.status) for finding in reading.findings] == [
        (("bob@example.net",), "5.1.1"),
        (("dave@example.net",), "5.2.2"),
    ]


@pytest.mark.parametrize("action", ["delayed", "delivered", "relayed", "expanded", "", "failedx"])
def test_what_is_no_failure_is_temporary(action: str) -> None:
    assert read_report(dsn(group(action=action, status="4.0.0"))).kind is Kind.TEMPORARY


@pytest.mark.parametrize(
    ("status", "diagnostic", "expected"),
    [
        ("5.1.1 (no such user)", "smtp; 550 x", "5.1.1"),
        ("5.0.0", "smtp; 550 5.2.2 full", "5.0.0"),
        ("", "smtp; 550 5.2.2 full", "5.2.2"),
        ("2.0.0", "smtp; 550 5.2.2 full", "5.2.2"),
        ("nonsense", "x-unix; user unknown", "5.0.0"),
        ("4.4.7", "smtp; 451 later", "4.4.7"),
        ("5.1.1.1", "smtp; 192.5.1.1 said no", "5.0.0"),
        ("5.1.1.", "", "5.1.1"),
    ],
)
def test_the_status_comes_from_where_it_is(status: str, diagnostic: str, expected: str) -> None:
    assert only(dsn(group(status=status, diagnostic=diagnostic))).status == expected


def test_the_names_of_rfc_6533_are_read() -> None:
    wide = group("bücher@example.net").replace("rfc822", "utf-8")
    assert only(dsn(wide, kind="message/global-delivery-status", encoding="8bit")).addresses == ("bücher@example.net",)


def test_an_encoded_report_is_read() -> None:
    plain = dsn(group())
    start = plain.index(b"Reporting-MTA")
    end = plain.index(b"\r\n\r\n--B=_1\r\nContent-Type: message/rfc822")
    for inside in (plain[start:end], plain[start:end].replace(b"\r\n", b"\n")):
        encoded = plain[:start] + base64.encodebytes(inside).replace(b"\n", b"\r\n") + plain[end:]
        assert only(encoded.replace(b"Encoding: 7bit", b"Encoding: base64")).status == "5.1.1"


def test_texts_are_clean_and_bounded() -> None:
    finding = only(dsn(group(diagnostic="smtp; \x00\x1b\u202e" + "x" * 900, address="<bob@example.net>")))
    assert len(finding.text) <= 500 and "\x00" not in finding.text and "\u202e" not in finding.text
    assert finding.addresses == ("bob@example.net",)
    assert only(dsn(group().replace("dns; mailbox.example.net", "dns; <script>"))).host == "mx.example.net"


def test_a_complaint_of_rfc_5965_is_read() -> None:
    reading = read_report(complaint())
    assert (reading.kind, reading.findings) == (Kind.COMPLAINED, (Finding(("bob@example.net",)),))
    assert read_report(complaint(kind="FRAUD")).kind is Kind.COMPLAINED
    assert read_report(complaint(about="")).findings == (Finding(),)
    assert read_report(complaint(about="Original-Rcpt-To: redacted\n")).findings == (Finding(),)


@pytest.mark.parametrize("kind", ["not-spam", "auth-failure", "virus", "other", "", "opt-out"])
def test_other_feedback_is_noise(kind: str) -> None:
    assert read_report(complaint(kind=kind)).kind is Kind.NOISE


def test_bounces_in_words_are_taken_for_such_where_they_say_5() -> None:
    finding = only(EXIM)
    assert (finding.addresses, finding.status, finding.text) == (
        ("bob@example.net",),
        "5.1.1",
        "550 5.1.1 unknown user",
    )
    finding = only(QMAIL)
    assert (finding.addresses, finding.status) == ((), "5.1.1")
    assert "<bob@example.net>" in finding.words


def test_what_a_bounce_quotes_is_not_what_it_says() -> None:
    assert read_report(EXIM.replace(b"550 5.1.1", b"451 4.2.0")).kind is Kind.AUTOMATIC
    assert read_report(QMAIL.replace(b"#5.1.1", b"#4.4.1") + b"5.1.1\r\n").kind is Kind.NOISE
    assert read_report(QMAIL.replace(b"#5.1.1", b"192.5.1.1, 5.1.1.1 and 15.1.1")).kind is Kind.NOISE


def test_replies_of_people_who_are_away_are_told_apart() -> None:
    assert read_report(AWAY).kind is Kind.AUTOMATIC
    assert (
        read_report(AWAY.replace(b"Auto-Submitted: auto-replied (vacation)", b"X-Autoreply: yes")).kind
        is Kind.AUTOMATIC
    )
    assert read_report(AWAY.replace(b"Auto-Submitted: auto-replied (vacation)", b"X: y")).kind is Kind.NOISE
    assert read_report(b"Auto-Submitted: no\r\nFrom: x@y.example\r\n\r\n5.1.1").kind is Kind.NOISE


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\r\n",
        b"x",
        b"\0" * 1000,
        b"From: x@y.example\r\n\r\nBuy",
        b"X: y\r\n" * 2000 + dsn(group()),
        dsn(group())[: dsn(group()).index(b"Reporting-MTA")],
        b'From: a@b.example\r\nContent-Type: multipart/report; boundary="x"\r\n\r\n--x\r\n'
        b"Content-Type: message/rfc822\r\n\r\n" + dsn(group()),
    ],
)
def test_everything_else_is_noise(content: bytes) -> None:
    assert read_report(content).kind in (Kind.NOISE, Kind.TEMPORARY)


@pytest.mark.parametrize(
    "content",
    [
        dsn(*[group(f"r{number}@example.net") for number in range(5000)]),
        dsn("\n \n" * 100_000),
        dsn(group(diagnostic="smtp; " + "5.1." * 100_000)),
        dsn(group(address="<" * 100_000)),
        dsn(group() + "\nX: " + "a;b=\n " * 50_000),
        b'Content-Type: multipart/report; boundary="x"\r\n\r\n' + b"--x\r\n\r\n" * 100_000,
        b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(5000)),
        QMAIL + b" " * 5_000_000,
        QMAIL.replace(b"\r\n\r\n", b"\r\n\r\n" + b"5." * 3_000_000, 1),
        b"X-Failed-Recipients: " + b"a@b," * 200_000 + b"\r\n" + QMAIL,
    ],
)
def test_hostile_reports_take_bounded_time(content: bytes) -> None:
    begun = time.thread_time()
    reading = read_report(content)
    assert time.thread_time() - begun < 1.0
    assert len(reading.findings) <= 1000


_LINES = st.sampled_from(
    [
        *(b"Content-Type: message/delivery-status", b'Content-Type: multipart/report; boundary="x"', b"--x", b"--x--"),
        *(b"Action: failed", b"Final-Recipient: rfc822; a@b.example", b"Status: 5.1.1", b"Status: \xff", b"", b" "),
        *(
            b"From: mailer-daemon@x.example",
            b"Content-Transfer-Encoding: base64",
            b"Feedback-Type: abuse",
            b"=",
            b"5.1.1",
        ),
        *(b"Content-Type: message/feedback-report", b"X-Failed-Recipients: a@b.example", b"Return-Path: <>"),
    ]
)


@settings(max_examples=500, deadline=1000)
@given(st.one_of(st.binary(max_size=500), st.lists(st.one_of(_LINES, st.binary(max_size=20))).map(b"\r\n".join)))
@example(b"From: mailer-daemon@x\r\n\r\n5.1.1")
def test_nothing_raises_and_every_text_is_clean(content: bytes) -> None:
    reading = read_report(content)
    assert (reading.kind in (Kind.FAILED, Kind.COMPLAINED)) == bool(reading.findings)
    for finding in reading.findings:
        assert all("@" in address and "\n" not in address for address in finding.addresses)
        assert len(finding.text) <= 500 and not any(character < " " for character in finding.text)
        assert reading.kind is Kind.COMPLAINED or finding.status[0] in "45"
