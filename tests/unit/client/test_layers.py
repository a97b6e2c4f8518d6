"""Mail that was encrypted or signed elsewhere (PGP/MIME) opens, and nobody is believed who has not signed it."""

from __future__ import annotations

import pysequoia
import pytest

from libs.client import layers, signatures
from libs.client.api import Client
from libs.client.reading import as_text
from tests.unit.client.server import SITE, Sealpost

PASSWORD = "correct horse battery staple"
BOB, ANN = "bob@sealpost.test", "ann@example.org"
INNER = (
    f"From: Ann <{ANN}>\r\nTo: {BOB}\r\nSubject: Inside the seal\r\nAuthentication-Results: forged; dkim=pass\r\n"
    'Content-Type: text/plain; protected-headers="v1"\r\n\r\nfrom afar\r\n'
).encode()
RESULTS = b"Authentication-Results: mx.sealpost.test; dmarc=fail\r\n"


class World:
    """A site, its member bob, and ann elsewhere, whose key is published."""

    def __init__(self) -> None:
        self.site = Sealpost()
        self.bob = Client(SITE, transport=self.site.transport())
        self.bob.signup(BOB, PASSWORD)
        self.ann = self.publish(ANN)

    def publish(self, address: str, user_id: str = "") -> pysequoia.Tsk:
        """Make a key and publish it for an address."""
        key = pysequoia.Tsk.generate(user_id or f"<{address}>")
        self.site.directory[address] = bytes(key.extract_certificate())
        return key

    def encrypt(self, inner: bytes, signer: pysequoia.Tsk | None = None, to: bytes = b"") -> bytes:
        """Return `inner` encrypted to bob."""
        certificate = pysequoia.Cert.from_bytes(to or self.bob._unlocked().certificate())
        made = pysequoia.encrypt(inner, recipients=[certificate], signer=signer.signer() if signer else None)
        return bytes(made).replace(b"\n", b"\r\n")

    def read(self, mail: bytes, *, ask: bool = False) -> tuple[str, str]:
        """Return the word for a mail that came by SMTP, and its text."""
        self.bob._opening = None
        opened = self.bob.open(self.site.deliver(BOB, mail, {"from": {"address": ANN}}), ask=ask)
        assert opened.content == mail
        if opened.inner is None:
            return opened.how and "closed", as_text(mail)
        return opened.signature, as_text(mail, opened.inner, f" (not {opened.how})")

    def asked(self) -> bool:
        """Tell whether a key was asked for."""
        return any(one.url.path == "/v1/recipients" for one in self.site.requests)


@pytest.fixture(scope="module")
def only_one() -> World:
    return World()


@pytest.fixture
def world(only_one: World) -> World:
    only_one.site.requests.clear()
    return only_one


def around(kind: str, *parts: bytes, sender: str = ANN) -> bytes:
    """Return the mail as a server elsewhere hands it over, trace fields in front."""
    head = f"From: Ann <{sender}>\r\nTo: {BOB}\r\nSubject: ...\r\nDate: Sun, 22 Nov 2026 17:00:00 +0000\r\n"
    body = b"".join(b"--edge\r\n" + part + b"\r\n" for part in parts)
    return (
        RESULTS
        + head.encode()
        + f'Content-Type: multipart/{kind}; boundary="edge"\r\n\r\n'.encode()
        + (body + b"--edge--\r\n")
    )


def encrypted(message: bytes, sender: str = ANN) -> bytes:
    version = b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n"
    return around("encrypted", version, b"Content-Type: application/octet-stream\r\n\r\n" + message, sender=sender)


def signed(world: World, part: bytes, said: bytes = b"") -> bytes:
    mode = pysequoia.SignatureMode.DETACHED
    signature = bytes(pysequoia.sign(world.ann.signer(), part, mode=mode)).replace(b"\n", b"\r\n")
    return around("signed", said or part, b"Content-Type: application/pgp-signature\r\n\r\n" + signature)


def test_the_inner_text_and_subject_are_shown_and_nobody_elsewhere_is_asked_unbidden(world: World) -> None:
    word, text = world.read(encrypted(world.encrypt(INNER, world.ann)))
    assert word == signatures.UNCHECKED
    assert "Subject: Inside the seal\n" in text and "from afar" in text
    assert "..." not in text and "forged" not in text
    # What is not inside is told as such.
    assert "\nDate (not encrypted): Sun" in text
    assert "\nAuthentication-Results (not encrypted): mx.sealpost.test; dmarc=fail\n" in text
    assert not world.asked()
    assert "--check" in layers.sentence(word, ANN, askable=True)


def test_the_signature_is_checked_when_asked_for(world: World) -> None:
    assert world.read(encrypted(world.encrypt(INNER, world.ann)), ask=True)[0] == signatures.VERIFIED
    assert world.asked()


def test_line_ends_of_unix_inside_change_nothing(world: World) -> None:
    unix = INNER.replace(b"\r\n", b"\n")
    word, text = world.read(encrypted(world.encrypt(unix, world.ann)), ask=True)
    assert word == signatures.VERIFIED and "Subject: Inside the seal\n" in text
    mallory = unix.replace(ANN.encode(), b"ceo@example.org")
    assert world.read(encrypted(world.encrypt(mallory, world.ann)), ask=True)[0] == signatures.OTHER_KEY


def test_nobody_is_believed_who_has_not_signed(world: World) -> None:
    other = pysequoia.Tsk.generate(f"<{ANN}>")
    assert world.read(encrypted(world.encrypt(INNER)), ask=True)[0] == signatures.NONE
    assert world.read(encrypted(world.encrypt(INNER, other)), ask=True)[0] == signatures.OTHER_KEY
    # A good signature of ann's, on a mail that says it is from somebody else, inside or outside.
    mallory = INNER.replace(ANN.encode(), b"ceo@example.org")
    assert world.read(encrypted(world.encrypt(mallory, world.ann)), ask=True)[0] == signatures.OTHER_KEY
    outside = encrypted(world.encrypt(INNER, world.ann), sender="ceo@example.org")
    assert world.read(outside, ask=True)[0] == signatures.UNCHECKED
    # A directory that gives out a key made out to another address.
    odd = world.publish("odd@example.org", "<somebody@example.org>")
    mail = encrypted(world.encrypt(INNER.replace(b"ann@", b"odd@"), odd), sender="odd@example.org")
    assert world.read(mail, ask=True)[0] == signatures.UNCHECKED


def test_without_fields_inside_those_outside_are_shown_as_what_they_are(world: World) -> None:
    word, text = world.read(encrypted(world.encrypt(b"Content-Type: text/plain\r\n\r\nhello\r\n", world.ann)), ask=True)
    assert word == signatures.VERIFIED
    assert f"From (not encrypted): Ann <{ANN}>\n" in text and "Subject (not encrypted): ..." in text


@pytest.mark.parametrize(
    "change",
    [
        lambda mail: mail.replace(b"--edge--", b"--edge\r\nContent-Type: text/plain\r\n\r\nslipped in\r\n--edge--"),
        lambda mail: mail.replace(b"--edge\r\n", b"--edge\r\nContent-Type: text/html\r\n\r\n<a\r\n--edge\r\n", 1),
        lambda mail: mail.replace(b"application/pgp-encrypted", b"text/plain"),
        lambda mail: mail.replace(b"multipart/encrypted", b"multipart/mixed"),
        lambda mail: mail.replace(b"From: Ann", b"From: x@example.org\r\nFrom: Ann", 1),
        lambda mail: mail.replace(b"--edge--", b""),
    ],
)
def test_what_is_not_exactly_two_parts_is_shown_as_it_came(world: World, change: object) -> None:
    assert callable(change)
    word, text = world.read(change(encrypted(world.encrypt(INNER, world.ann))))
    assert word == "" and "from afar" not in text


def test_what_does_not_open_is_shown_as_it_came(world: World) -> None:
    foreign = bytes(world.ann.extract_certificate())
    for message in (world.encrypt(INNER, to=foreign), world.encrypt(INNER)[:-200], b"noise", b""):
        word, text = world.read(encrypted(message))
        assert word == "closed" and "Subject: ..." in text


def test_a_signature_beside_the_text(world: World) -> None:
    part = b"Content-Type: text/plain\r\n\r\nas it was\r\n"
    word, text = world.read(signed(world, part), ask=True)
    assert word == signatures.VERIFIED and "as it was" in text and "Subject (not signed): ..." in text
    assert world.read(signed(world, part))[0] == signatures.UNCHECKED
    changed = part.replace(b"as it was", b"as it is")
    assert world.read(signed(world, part, changed), ask=True)[0] in (signatures.BROKEN, signatures.OTHER_KEY)
    assert world.read(around("signed", part, b"Content-Type: application/pgp-signature\r\n\r\nnone"))[0] == "closed"


@pytest.mark.parametrize("mail", [b"", b"\r\n", b"From: a@b.c\r\n", b"Content-Type: multipart/encrypted\r\n\r\n"])
def test_other_mails_have_no_layer(mail: bytes) -> None:
    assert layers.find(mail) is None
