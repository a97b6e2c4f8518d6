"""The parts of a mail that do not consist of others, and what they encode."""

from __future__ import annotations

import base64

from libs.mail.letter import Letter
from libs.mail.mime import Part, decoded, leaves

REPORT = (
    b'Content-Type: multipart/report; boundary="b"\r\n\r\nnot a part\r\n--b\r\n\r\nText\r\n--b\r\n'
    b'Content-Type: multipart/mixed; boundary="c"\r\n\r\n--c\r\nContent-Type: message/delivery-status\r\n'
    b"Content-Transfer-Encoding: base64\r\n\r\n" + base64.b64encode(b"Action: failed\r\n") + b"\r\n--c--\r\n--b\r\n"
    b"Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=3Db\r\n--b--\r\n"
)


def found(mail: bytes, most: int = 10) -> tuple[Letter, list[Part]]:
    letter = Letter(bytearray(mail))
    return letter, leaves(letter.content, letter.fields, letter.body, most)


def test_leaves_come_in_order_whatever_they_are_in() -> None:
    letter, parts = found(REPORT)
    assert [part.type for part in parts] == ["", "message/delivery-status", "text/plain"]
    assert [decoded(letter.content, part, 1000) for part in parts] == [b"Text", b"Action: failed\r\n", b"a=b"]
    assert decoded(letter.content, parts[0], 2) == b"Te"


def test_no_more_are_looked_at_than_asked_for() -> None:
    assert [part.type for part in found(REPORT, 2)[1]] == ["", "message/delivery-status"]
    assert found(REPORT, 0)[1] == []


def test_a_mail_of_one_part_is_its_own_leaf() -> None:
    letter, (part,) = found(b"Content-Type: text/html\r\n\r\n<p>")
    assert (part.type, decoded(letter.content, part, 10)) == ("text/html", b"<p>")


def test_nesting_beyond_the_bounds_ends() -> None:
    deep = b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (n, n) for n in range(100))
    assert found(deep)[1] == []
