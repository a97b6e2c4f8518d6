"""Mails as the client writes them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from libs.client.compose import Attachment, Composed, Letter
from libs.client.errors import UsageError

SENDER = "ada@sealpost.test"
NOW = datetime(2026, 11, 22, 17, 0, 5, 123, tzinfo=UTC)


def composed(**changes: object) -> Composed:
    fields: dict[str, object] = {"to": ["bob@sealpost.test"], "subject": "Hello", "text": "Hello Bob\n"} | changes
    return Composed(Letter(**fields), SENDER, NOW)  # type: ignore[arg-type]


def parsed(mail: bytes) -> EmailMessage:
    message = message_from_bytes(mail, policy=policy.SMTP)
    assert isinstance(message, EmailMessage)
    return message


def test_a_plain_mail_says_what_it_must_and_nothing_else() -> None:
    made = composed(cc=["carol@example.org"], bcc=["dave@example.org"])
    assert made.mail().decode() == (
        "Date: Sun, 22 Nov 2026 17:00:05 +0000\r\nFrom: ada@sealpost.test\r\nTo: bob@sealpost.test\r\n"
        f"Cc: carol@example.org\r\nSubject: Hello\r\nMessage-ID: {made.message_id}\r\n"
        'Content-Type: text/plain; charset="utf-8"\r\nContent-Transfer-Encoding: 7bit\r\nMIME-Version: 1.0\r\n'
        "\r\nHello Bob\r\n"
    )
    assert made.message_id.endswith("@sealpost.test>")
    assert parsed(made.mail(with_bcc=True))["bcc"] == "dave@example.org"


@pytest.mark.parametrize(
    "text", ["", "ä\u2028ö", "x" * 5000, "one\r\ntwo\rthree\n\n\n", ".\n..\nFrom here\n", "\x0c\x1c=20", "a" * 990]
)
def test_any_text_arrives(text: str) -> None:
    mail = composed(text=text).mail()
    expected = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n") + "\n"
    assert parsed(mail).get_content().replace("\r\n", "\n") == expected
    assert all(len(line) <= 998 for line in mail.split(b"\r\n"))
    assert mail.isascii() and b"\n" not in mail.replace(b"\r\n", b"")


@pytest.mark.parametrize("subject", ["", "Grüße", "x" * 500, "ä" * 300])
def test_any_subject_arrives(subject: str) -> None:
    mail = composed(subject=subject).mail()
    assert (parsed(mail)["subject"] or "") == subject
    assert all(len(line) <= 998 for line in mail.split(b"\r\n"))


@pytest.mark.parametrize("subject", ["a\r\nBcc: eve@evil.example", "a\nb", "a\x0bb"])
def test_a_subject_is_one_line(subject: str) -> None:
    with pytest.raises(UsageError, match="line"):
        composed(subject=subject).mail()


def test_files_arrive_with_their_names(tmp_path: Path) -> None:
    (tmp_path / "grüße.pdf").write_bytes(b"%PDF" + bytes(range(256)) * 500)
    attachments = [
        Attachment.of_file(tmp_path / "grüße.pdf"),
        Attachment("mail.eml", b"Subject: x\r\n\r\n"),
        Attachment("", b"x"),
    ]
    made = composed(attachments=attachments)
    parts = list(parsed(made.mail()).iter_attachments())
    assert [part.get_filename() for part in parts] == ["grüße.pdf", "mail.eml", None]
    assert [part.get_content_type() for part in parts] == ["application/pdf"] + ["application/octet-stream"] * 2
    assert parts[0].get_content() == attachments[0].content
    noted = json.loads(made.envelope("bob@sealpost.test"))["attachments"]
    assert [(one["name"], one["size"]) for one in noted][:2] == [("grüße.pdf", 128_004), ("mail.eml", 14)]
    with pytest.raises(UsageError):
        Attachment.of_file(tmp_path / "absent")


@pytest.mark.parametrize(
    "address", ["", "bob", "@x.test", "bob@", "a b@x.test", "a@x.test, b@x.test", "<a@x.test>", "a\r\nBcc: b@x.test"]
)
def test_addresses_are_plain(address: str) -> None:
    with pytest.raises(UsageError):
        composed(bcc=[address])


def test_addresses_of_other_scripts_make_a_header_in_utf_8() -> None:
    mail = composed(to=["bjørn@bücher.example"], subject="Grüße").mail()
    assert "To: bjørn@bücher.example\r\nSubject: Grüße\r\n" in mail.decode()


def test_the_envelope_says_who_made_it() -> None:
    made = composed(cc=["carol@example.org"], bcc=["dave@example.org"])
    envelope = json.loads(made.envelope("dave@example.org"))
    assert envelope["sealed_by_sender"] is True
    assert (envelope["rcpt"], envelope["from"]["address"]) == ("dave@example.org", SENDER)
    assert envelope["message_id"] == made.message_id
    assert envelope["preview"] == "Hello Bob"
    assert envelope["auth"] == {"spf": "none", "dkim": "none", "dmarc": "none"}
    assert "dave" not in json.dumps(envelope | {"rcpt": ""})


def test_pgp_mime_hides_the_subject_and_protects_the_header() -> None:
    made = composed(subject="Secret", attachments=[Attachment("a.txt", b"x")])
    inner = parsed(made.protected())
    assert inner["subject"] == "Secret" and inner["mime-version"] is None
    assert inner.get_param("protected-headers") == "v1"
    assert inner.get_content_type() == "multipart/mixed"
    armoured = "-----BEGIN PGP MESSAGE-----\n\nabc\n-----END PGP MESSAGE-----\n"
    outer = parsed(made.around(armoured))
    assert outer["subject"] == "..." and b"Secret" not in made.around(armoured)
    assert outer["message-id"] == inner["message-id"] == made.message_id
    assert outer.get_content_type() == "multipart/encrypted"
    assert outer.get_param("protocol") == "application/pgp-encrypted"
    first, second = outer.iter_parts()
    assert first.get_content_type() == "application/pgp-encrypted"
    assert first.get_content().strip() == b"Version: 1"
    assert second.get_content().replace(b"\r\n", b"\n").strip() == armoured.strip().encode()
