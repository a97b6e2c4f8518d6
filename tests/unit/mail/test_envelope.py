"""The envelope: docs/architecture.md, "Envelope"."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.mail.envelope import MAX_BYTES, draft, finish, read_date
from libs.mail.letter import Letter
from libs.mail.verdict import Verdict


def envelope(mail: bytes, recipient: str = "bob@sealpost.test") -> dict[str, Any]:
    encoded = finish(draft(Letter(bytearray(mail))), recipient, Verdict("pass", "pass", "fail"))
    assert len(encoded) <= MAX_BYTES
    decoded: dict[str, Any] = json.loads(encoded)
    return decoded


def test_the_example_of_the_documentation() -> None:
    mail = (
        b"From: Ada <ada@example.org>\r\nTo: bob@sealpost.test\r\nSubject: Hello\r\n"
        b"Date: Sun, 22 Nov 2026 18:00:00 +0100\r\nMessage-ID: <abc@example.org>\r\n"
        b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
        b"--b\r\n\r\nfirst characters of the text\r\n"
        b'--b\r\nContent-Type: application/pdf; name="plan.pdf"\r\n\r\n' + b"x" * 12345 + b"\r\n--b--\r\n"
    )
    assert envelope(mail) == {
        "v": 1,
        "from": {"name": "Ada", "address": "ada@example.org"},
        "to": [{"name": "", "address": "bob@sealpost.test"}],
        "cc": [],
        "rcpt": "bob@sealpost.test",
        "subject": "Hello",
        "date": "2026-11-22T17:00:00Z",
        "preview": "first characters of the text",
        "attachments": [{"name": "plan.pdf", "type": "application/pdf", "size": 12345}],
        "message_id": "<abc@example.org>",
        "auth": {"spf": "pass", "dkim": "pass", "dmarc": "fail"},
        "encrypted": False,
    }


def test_a_mail_without_anything() -> None:
    made = envelope(b"")
    assert made["from"] == {"name": "", "address": ""}
    assert (made["subject"], made["date"], made["to"], made["preview"]) == ("", None, [], "")
    assert "unparsed" not in made


@pytest.mark.parametrize(
    "mail",
    [
        b"X: y\r\n" * 1001 + b"\r\nbody\r\n",
        b"X: " + b"y" * (1024 * 1024) + b"\r\n\r\nbody\r\n",
        b"".join(
            b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level) for level in range(51)
        ),
    ],
)
def test_what_exceeds_the_bounds_is_marked(mail: bytes) -> None:
    assert envelope(mail)["unparsed"] is True


def test_what_was_readable_of_it_is_there() -> None:
    mail = (
        b"Subject: parts\r\nFrom: a@b.example\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        + b"--b\r\n\r\n" * 1100
    )
    made = envelope(mail)
    assert made["unparsed"] is True
    assert (made["subject"], made["from"]["address"]) == ("parts", "a@b.example")


def test_lists_and_texts_are_cut_to_the_size() -> None:
    name = "\u00e4" * 600
    many = ", ".join(f'"{name}" <a{number}@{"b" * 200}.example>' for number in range(10))
    mail = (f"From: {many}\r\nTo: {many}\r\n" + f"Cc: {many}\r\n" * 60 + f"Subject: {'s' * 3000}\r\n\r\n").encode()
    made = envelope(mail, "x" * 600)
    assert len(made["subject"]) <= 500
    assert len(made["to"]) <= 50


def test_nothing_decoded_carries_a_line_break() -> None:
    mail = (
        b"From: =?utf-8?q?Ada=0D=0ABcc=3A?= <ada@example.org>\r\n"
        b"Subject: =?utf-8?q?a=0D=0A=0D=0Ab=00?=\r\nMessage-ID: <a\x0b@b>\r\n\r\n"
    )
    made = envelope(mail)
    assert made["from"]["name"] == "Ada  Bcc:"
    assert made["subject"] == "a    b"
    assert made["message_id"] == "<a @b>"


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("Sun, 22 Nov 2026 18:00:00 +0100", "2026-11-22T17:00:00Z"),
        ("22 Nov 2026 18:00:00 GMT (comment)", "2026-11-22T18:00:00Z"),
        ("Sun, 22 Nov 2026 18:00:00", "2026-11-22T18:00:00Z"),
        ("", None),
        ("yesterday", None),
        ("Sun, 99 Nov 2026 18:00:00 +0100", None),
        ("Sun, 22 Nov 0000 18:00:00 +0100", None),
        ("Fri, 31 Dec 9999 23:59:59 -9999", None),
        ("Sun, 22 Nov 999999999999 18:00:00 +0000", None),
        ("Sun, 22 Nov 2026 25:61:61 +0000", None),
        ("x" * 10_000, None),
    ],
)
def test_dates(text: str, date: str | None) -> None:
    if date is None and text.startswith("Sun, 22 Nov 0000"):
        assert read_date(text) in (None, "2000-11-22T17:00:00Z")
    else:
        assert read_date(text) == date


@given(st.text(max_size=80))
def test_no_date_raises(text: str) -> None:
    read_date(text)


@given(st.lists(st.sampled_from([
    b"From: ", b"To: ", b"Subject: ", b"Date: ", b"\r\n", b"=?utf-8?b?4oKs?=", b"<a@b>", b"\xff\xfe", b'"', b"(", b",",
    b"Content-Type: ", b"text/html", b" ", b"\x01", b"=?utf-7?q?+2AA-?=", b"multipart/mixed; boundary=",
]), max_size=40))  # fmt: skip
def test_every_mail_has_an_envelope_in_utf8(pieces: list[bytes]) -> None:
    made = envelope(b"".join(pieces))
    assert made["v"] == 1


@pytest.mark.parametrize(
    ("mail", "domain"),
    [
        (b"From: Ada <ada@Example.ORG>\r\n\r\n", "example.org"),
        (b"From: ada@example.org\r\nFrom: eve@example.net\r\n\r\n", ""),
        (b"From: ada@example.org, eve@example.net\r\n\r\n", ""),
        (b"From: nobody\r\n\r\n", ""),
        (b"Subject: x\r\n\r\n", ""),
    ],
)
def test_the_domain_of_the_author(mail: bytes, domain: str) -> None:
    assert Letter(bytearray(mail)).from_domain() == domain
