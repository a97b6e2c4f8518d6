"""Parts with HTML, written back exactly but for their links and their end, or left as they came."""

from __future__ import annotations

import base64
import email
import email.policy
import quopri
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.delivery.measuring.pages import Writing, find

URL = "https://mail.example"
WRITING = Writing(lambda target: f"{URL}/m/{len(target)}", "<!--END-->")
PAGE = (
    '<html><body><p>Hi</p><a href="https://shop.example/a?b=1&amp;c=2">On</a> '
    '<a href="mailto:x@y.test">M</a></body></html>'
)
NEW = PAGE.replace('"https://shop.example/a?b=1&amp;c=2"', f'"{URL}/m/30"').replace("</body>", "<!--END--></body>")


def mail(body: bytes, *fields: str) -> bytes:
    header = "\r\n".join(["From: a@shop.example", "Subject: x", "MIME-Version: 1.0", *fields])
    return header.encode() + b"\r\n\r\n" + body


def part(page: str, charset: str = "utf-8", encoding: str = "8bit") -> bytes:
    data = page.encode(charset)
    if encoding == "base64":
        data = base64.encodebytes(data).replace(b"\n", b"\r\n")
    elif encoding == "quoted-printable":
        data = quopri.encodestring(data).replace(b"\n", b"\r\n")
    fields = f"Content-Type: text/html; charset={charset}", f"Content-Transfer-Encoding: {encoding}"
    return mail(data, *fields)


def rendered(content: bytes, clicks: bool = True) -> bytes | None:
    found = find(content, clicks, lambda target: False)
    return None if found is None else found.render(WRITING)


def html_of(content: bytes) -> str:
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    data = message.get_payload(decode=True)
    assert isinstance(data, bytes)
    return data.decode(message.get_content_charset("utf-8"))


@pytest.mark.parametrize("encoding", ["8bit", "base64", "quoted-printable"])
@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1", "windows-1252", "iso-8859-15"])
def test_charsets_and_encodings(charset: str, encoding: str) -> None:
    page, new = PAGE.replace("Hi", "Grüße"), NEW.replace("Hi", "Grüße")
    got = rendered(part(page, charset, encoding))
    assert got is not None and html_of(got).rstrip("\r\n") == new
    assert all(len(line) <= 998 for line in got.split(b"\r\n")) and b"\n" not in got.replace(b"\r\n", b"")


def test_other_scripts() -> None:
    for charset, word in (("iso-2022-jp", "日本"), ("koi8-r", "Привет"), ("shift_jis", "日本"), ("gb18030", "你好")):
        got = rendered(part(PAGE.replace("Hi", word), charset, "base64"))
        assert got is not None and html_of(got) == NEW.replace("Hi", word)


@pytest.mark.parametrize(
    "content",
    [
        mail(b"Hello https://shop.example/\r\n", "Content-Type: text/plain"),
        mail(PAGE.encode(), "Content-Type: text/html; charset=x-unknown"),
        mail(PAGE.encode(), "Content-Type: text/html; charset=unicode_escape"),
        mail(b"\xff" + PAGE.encode(), "Content-Type: text/html; charset=utf-8"),
        mail("é".encode() + PAGE.encode(), "Content-Type: text/html; charset=us-ascii"),
        mail(PAGE.encode(), "Content-Type: text/html", "Content-Transfer-Encoding: x-uuencode"),
        mail(PAGE.encode(), "Content-Type: text/html", "Content-Disposition: attachment"),
        mail(PAGE.encode() + b"<!-- cut off", "Content-Type: text/html"),
        mail(PAGE.encode() + b" " * 1024 * 1024, "Content-Type: text/html"),
        mail(b"", "Content-Type: text/html"),
        *(
            mail(
                b"--b\r\nContent-Type: text/html\r\n\r\n" + PAGE.encode() + b"\r\n--b\r\nContent-Type: " + kind.encode()
                + b"\r\n\r\nx\r\n--b--\r\n",
                f"Content-Type: {top}; boundary=b",
            )
            for top, kind in (
                ("multipart/signed", "application/pgp-signature"),
                ("multipart/encrypted", "application/octet-stream"),
                ("multipart/mixed", "application/pgp-signature"),
                ("multipart/mixed", "application/pkcs7-mime"),
            )
        ),
    ],
)  # fmt: skip
def test_what_stays_as_it_came(content: bytes) -> None:
    assert rendered(content) is None


def test_a_line_that_would_be_too_long_stays() -> None:
    content = mail(b"x" * 960 + PAGE[12:].encode(), "Content-Type: text/html")
    assert rendered(content) == content


def test_only_the_html_of_several_parts_changes() -> None:
    before = b"--b\r\nContent-Type: text/plain\r\n\r\nhttps://shop.example/\r\n--b\r\nContent-Type: text/html\r\n\r\n"
    after = b"\r\n--b--\r\n"
    top = "Content-Type: multipart/alternative; boundary=b"
    assert rendered(mail(before + PAGE.encode() + after, top)) == mail(before + NEW.encode() + after, top)


def test_without_clicks_only_the_end_is_new() -> None:
    assert rendered(part(PAGE), clicks=False) == part(PAGE.replace("</body>", "<!--END--></body>"))


_PIECES = st.lists(
    st.one_of(
        st.sampled_from(
            ["<p>", "</p>", "<!-- x -->", "<br/>", "&amp;", "\r\n", "\n", "\r", " ", "=", "=3D", ".", "From ", "\t",
             "é", "€", '<a href="https://s.example/', "<a href='http://s.example/'>", '">', "<script>", "</script>",
             "<a ", ">", "'"]
        ),
        st.text(st.characters(codec="utf-8"), max_size=8),
    ),
    max_size=30,
).map("".join)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(_PIECES, st.sampled_from(["base64", "quoted-printable"]))
def test_everything_but_links_and_the_end_is_unchanged(page: str, encoding: str) -> None:
    data = page.encode()
    lines = [data[place : place + 24] for place in range(0, len(data), 24)]
    quoted = b"=\r\n".join(b"".join(b"=%02X" % byte for byte in line) for line in lines)
    body = base64.encodebytes(data).replace(b"\n", b"\r\n") if encoding == "base64" else quoted
    fields = "Content-Type: text/html; charset=utf-8", f"Content-Transfer-Encoding: {encoding}"
    content = mail(body, *fields)
    exact = html_of(content)
    marked = find(content, True, lambda target: False)
    if marked is None:
        return
    targets: list[str] = []

    def link(target: str) -> str:
        targets.append(target)
        return f"LINK{len(targets) - 1}LINK"

    new = marked.render(Writing(link, "\0END\0"))
    assert b"\n" not in new.replace(b"\r\n", b"") and b"\r" not in new.replace(b"\r\n", b"")
    text = html_of(new).replace("\0END\0", "")
    places = iter(marked.pages[0].targets)
    for number, one in enumerate(places):
        text = text.replace(f'"LINK{number}LINK"', exact[one.start : one.end], 1)
    assert text == exact
