"""The walk over the parts of a mail: finds what is there, gives up where it is too much, never takes long."""

from __future__ import annotations

import base64
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.mail.letter import Letter
from libs.mail.mime import MAX_DEPTH, MAX_PARTS, Structure, walk


def structure(mail: bytes) -> Structure:
    letter = Letter(bytearray(mail))
    return walk(letter.content, letter.fields, letter.body)


def multipart(kind: str, *parts: bytes, boundary: str = "b") -> bytes:
    body = b"".join(b"--" + boundary.encode() + b"\r\n" + part + b"\r\n" for part in parts)
    head = f'Content-Type: multipart/{kind}; boundary="{boundary}"\r\n\r\npreamble\r\n'.encode()
    return head + body + b"--" + boundary.encode() + b"--\r\nepilogue\r\n"


TEXT = b"Content-Type: text/plain; charset=utf-8\r\n\r\nHello  there,\r\n\tAda"
HTML = b"Content-Type: text/html\r\n\r\n<html><style>p{}</style><p>Hello &amp; <b>bye</b></p><script>x</script></html>"
PDF = (
    b'Content-Type: application/pdf; name="plan.pdf"\r\nContent-Transfer-Encoding: base64\r\n'
    b"Content-Disposition: attachment\r\n\r\n"
)


def test_a_plain_mail() -> None:
    found = structure(b"Subject: x\r\n\r\nHello  there,\r\n\r\nAda\r\n")
    assert (found.preview, found.attachments, found.complete) == ("Hello there, Ada", [], True)


def test_text_is_preferred_to_html_in_any_order() -> None:
    assert structure(multipart("alternative", TEXT, HTML)).preview == "Hello there, Ada"
    assert structure(multipart("alternative", HTML, TEXT)).preview == "Hello there, Ada"
    assert structure(multipart("alternative", HTML)).preview.split() == ["Hello", "&", "bye"]


@pytest.mark.parametrize("size", [0, 1, 2, 3, 56, 57, 58, 1000, 10_000])
def test_the_size_of_an_attachment_is_close(size: int) -> None:
    encoded = base64.encodebytes(b"x" * size).replace(b"\n", b"\r\n").rstrip()
    (attachment,) = structure(multipart("mixed", TEXT, PDF + encoded)).attachments
    assert (attachment.name, attachment.type) == ("plan.pdf", "application/pdf")
    assert abs(attachment.size - size) <= 3


def test_names_lose_their_path_and_controls() -> None:
    part = b"Content-Disposition: attachment; filename*=utf-8''..%2F..%2Fetc%2Fpass%0Awd%E2%80%AEgpj\r\n\r\nx"
    (attachment,) = structure(multipart("mixed", part)).attachments
    assert attachment.name == "pass wd gpj"
    assert attachment.type == "application/octet-stream"


def test_parts_within_parts() -> None:
    inner = multipart("alternative", TEXT, HTML, boundary="inner")
    found = structure(multipart("mixed", inner, PDF + b"AAAA", boundary="outer"))
    assert found.preview == "Hello there, Ada"
    assert [one.name for one in found.attachments] == ["plan.pdf"]


def test_one_boundary_may_begin_another() -> None:
    inner = multipart("alternative", TEXT, boundary="bb")
    found = structure(multipart("mixed", inner, PDF + b"AAAA", boundary="b"))
    assert found.preview == "Hello there, Ada"
    assert len(found.attachments) == 1


def test_a_multipart_that_was_cut_off() -> None:
    found = structure(multipart("mixed", TEXT, PDF + b"AAAA").partition(b"--b--")[0])
    assert found.preview == "Hello there, Ada"
    assert len(found.attachments) == 1


@pytest.mark.parametrize(
    "mail",
    [
        multipart("encrypted", b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1"),
        multipart("mixed", b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\n\r\nx"),
        b"Content-Type: application/pkcs7-mime\r\n\r\nx",
        b"Subject: x\r\n\r\n-----BEGIN PGP MESSAGE-----\r\n\r\nx",
    ],
)
def test_encrypted_mail_is_seen_to_be(mail: bytes) -> None:
    assert structure(mail).encrypted


def test_signed_mail_is_not_encrypted() -> None:
    assert not structure(b"Content-Type: application/pkcs7-mime; smime-type=signed-data\r\n\r\nx").encrypted
    assert not structure(multipart("signed", TEXT)).encrypted


def test_a_digest_holds_mails() -> None:
    found = structure(multipart("digest", b"\r\nSubject: inner\r\n\r\nx"))
    assert [one.type for one in found.attachments] == ["message/rfc822"]


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable", "8bit", "x-unknown"])
def test_the_preview_is_decoded(encoding: str) -> None:
    text = "Gr\u00fc\u00dfe\r\nan alle".encode("iso-8859-1")
    body = {"base64": base64.b64encode(text), "quoted-printable": b"Gr=FC=DFe=\r\n\r\nan alle"}.get(encoding, text)
    head = f"Content-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    assert structure(head.encode() + body).preview == "Gr\u00fc\u00dfe an alle"


def test_the_preview_has_no_controls_and_200_characters() -> None:
    preview = structure(b"\r\n" + b"\x1b[2J\x00\x08" + b"word " * 200).preview
    assert preview.isprintable()
    assert len(preview) <= 200


def nested(depth: int) -> bytes:
    head = b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n"
    return b"".join(head % (level, level) for level in range(depth)) + TEXT


def test_nesting_is_bounded() -> None:
    assert structure(nested(MAX_DEPTH)).complete
    assert structure(nested(MAX_DEPTH)).preview == "Hello there, Ada"
    assert not structure(nested(MAX_DEPTH + 1)).complete
    assert not structure(nested(5000)).complete


def test_parts_are_bounded() -> None:
    assert structure(multipart("mixed", *[TEXT] * MAX_PARTS)).complete
    found = structure(multipart("mixed", *[PDF] * (MAX_PARTS + 1)))
    assert not found.complete
    assert len(found.attachments) <= MAX_PARTS


def test_candidates_for_a_delimiter_are_bounded() -> None:
    mail = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n" + b"--bx\r\n" * 9_000
    assert structure(mail).complete
    assert not structure(mail + b"--bx\r\n" * 2_000).complete


def test_the_header_of_a_part_is_bounded() -> None:
    assert not structure(multipart("mixed", b"A: 1\r\n" * 101 + b"\r\nx")).complete
    assert not structure(multipart("mixed", b"A: " + b"x" * 20_000 + b"\r\n\r\nx")).complete


BOMB = 4_000_000
BOMBS = {
    "delimiters": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n" * (BOMB // 5),
    "almost delimiters": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--bx\r\n" * (BOMB // 6),
    "one boundary nested": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    + b"--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" * (BOMB // 60),
    "spaces behind a delimiter": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b" + b" " * BOMB,
    "empty lines": b"\r\n" * (BOMB // 2),
    "one line": b"x" * BOMB,
    "a long boundary": b"Content-Type: multipart/mixed; boundary=" + b"-" * 7000 + b"\r\n\r\n" + b"-" * BOMB,
    "styles": b"Content-Type: text/html\r\n\r\n" + b"<style>" * (BOMB // 7),
    "openings": b"Content-Type: text/html\r\n\r\n" + b"<" * BOMB,
    "parameters": b"Content-Type: multipart/mixed" + b";a*0=b" * (BOMB // 6) + b"\r\n\r\nx",
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_take_no_time(name: str) -> None:
    began = time.perf_counter()
    structure(BOMBS[name])
    assert time.perf_counter() - began < 1.0


@given(st.lists(st.sampled_from([
    b"--b", b"--b--", b"--c", b"\r\n", b" ", b"x", b"\t", b"Content-Type: multipart/mixed; boundary=b",
    b"Content-Type: multipart/mixed; boundary=c", b"Content-Transfer-Encoding: base64", b"\xff", b"=",
]), max_size=40))  # fmt: skip
def test_no_mail_raises(pieces: list[bytes]) -> None:
    structure(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"".join(pieces))
    structure(b"".join(pieces))
