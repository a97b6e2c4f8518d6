"""Mails become text: headers decoded, HTML reduced to words, attachments named, and nothing makes it fail."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.client.reading import as_text

PLAIN = (
    b"From: =?utf-8?q?J=C3=BCrgen?= <j@example.org>\r\nTo: ada@sealpost.test\r\nSubject: =?utf-8?b?R3LDvMOfZQ==?=\r\n"
)


def test_plain_mail() -> None:
    text = as_text(PLAIN + b"X-Other: no\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\nGr\xfc\xdfe\r\n")
    assert text == "From: Jürgen <j@example.org>\nTo: ada@sealpost.test\nSubject: Grüße\n\nGrüße\r\n"


def test_alternatives_and_attachments() -> None:
    mail = PLAIN + (
        b"Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n"
        b"Content-Type: multipart/alternative; boundary=a\r\n\r\n--a\r\nContent-Type: text/plain\r\n\r\nwords\r\n"
        b"--a\r\nContent-Type: text/html\r\n\r\n<b>other words</b>\r\n--a--\r\n"
        b"--m\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=plan.pdf\r\n\r\nx\r\n"
        b"--m\r\nContent-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nhidden\r\n--m--\r\n"
    )
    text = as_text(mail)
    assert "words" in text
    assert "other words" not in text
    assert "[attached: plan.pdf, application/pdf]" in text
    assert "[attached: without a name, message/rfc822]" in text


def test_html_becomes_words() -> None:
    html = (
        b"<html><head><title>T</title><style>p{}</style></head><body><p>One &amp; <b>two</b></p><script>evil()</script>"
        b"<img src=https://tracker.test/x>three<br>four</body></html>"
    )
    text = as_text(PLAIN + b"Content-Type: text/html\r\n\r\n" + html)
    assert text.endswith("\n\nOne & two\nthree\nfour\n")


@pytest.mark.parametrize(
    "mail",
    [
        b"",
        b"\r\n\r\n",
        b"Subject: =?nonsense?q?x?=\r\n\r\n",
        b"Subject: =?utf-8?b?!!!?=\r\n\r\n",
        b"Content-Type: text/plain; charset=klingon\r\n\r\nQapla'",
        b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!",
        b"Content-Disposition: attachment; filename*=klingon''x\r\nContent-Type: image/png\r\n\r\n",
        b"Content-Type: multipart/mixed\r\n\r\nno boundary",
        b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(2000)),
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 3000,
    ],
    ids=range(10),
)
def test_odd_mails_are_shown_somehow(mail: bytes) -> None:
    assert isinstance(as_text(mail), str)


@settings(deadline=1000)
@given(st.binary(max_size=2000), st.booleans())
def test_any_mail_is_shown_somehow(mail: bytes, with_head: bool) -> None:
    assert isinstance(as_text(PLAIN + mail if with_head else mail), str)
