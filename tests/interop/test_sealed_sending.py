"""Mail that a member seals, through the whole platform, read and verified by GnuPG: by members and by people elsewhere.

Elsewhere is a domain with a mail server and a key directory of its own, on the loopback; the keys in it GnuPG has made.
"""

from __future__ import annotations

import asyncio
import os
import smtplib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import httpx
import pytest

from libs.client import signatures
from libs.client.api import Client
from libs.client.compose import Attachment, Letter
from libs.client.errors import RefusedError
from libs.client.reading import as_text
from services.gateway.wkd import hash_of
from tests.support.gnupg import Gpg, gnupg
from tests.support.https import Asked, HttpsServer, reply, served_https
from tests.support.outside import Outside, outside
from tests.support.platform import ROOT, RunningPlatform, running_platform

PASSWORD = "correct horse battery staple"
CONTACTS, DIRECT = "contact.test", "direct.test"
ANN, OLD, GONE, OTTO = (f"{name}@{CONTACTS}" for name in ("ann", "old", "gone", "otto"))
DAN = f"dan@{DIRECT}"
TEXT = "Meet me at noon at the café, bring cake.\n"
LONG_AGO = "20240101T000000!"


class Directory:
    """The key directory of both domains: paths and what lies there."""

    def __init__(self) -> None:
        self.keys: dict[str, bytes] = {}

    async def answer(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        found = self.keys.get(asked.path.partition("?")[0])
        await (reply(404) if found is None else reply(200, found))(asked, writer)


class World:
    """A platform with two members, and the people outside, whose keys one GnuPG holds."""

    def __init__(self, platform: RunningPlatform, found: Outside, directory: HttpsServer, gpg: Gpg) -> None:
        self.platform, self.outside, self.directory, self.gpg = platform, found, directory, gpg
        self.ada, self.bob = self.sign_up("ada"), self.sign_up("bob")
        self.taken = 0

    def sign_up(self, name: str) -> Client:
        client = Client(self.platform.url)
        client.signup(f"{name}@{self.platform.member_domain}", PASSWORD)
        return client

    def certificate_of(self, name: str) -> bytes:
        """Return a member's certificate as anybody gets it, from the key directory of the platform."""
        path = f"/.well-known/openpgpkey/{self.platform.member_domain}/hu/{hash_of(name)}"
        return httpx.get(self.platform.url + path).raise_for_status().content

    def next_mail(self) -> EmailMessage:
        """Return the next mail that the server of the contacts takes."""
        self.taken += 1
        message = message_from_bytes(self.outside.wait_mail(CONTACTS, self.taken).content, policy=policy.SMTP)
        assert isinstance(message, EmailMessage)
        return message


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home, directory = tmp_path_factory.mktemp("sealed"), Directory()
    with ExitStack() as stack:
        gpg = stack.enter_context(gnupg())
        _make_keys(gpg, directory)
        hosts = [f"openpgpkey.{CONTACTS}", DIRECT]
        server = stack.enter_context(served_https(home, hosts, directory.answer))
        found = stack.enter_context(outside(CONTACTS))
        for host in hosts:
            found.publish(host, "A", "127.0.0.1")
        settings = found.settings | {"CA_FILE": server.ca_file, "FETCH_PORTS": str(server.port)}
        platform = stack.enter_context(running_platform(home / "home", **settings))
        running = World(platform, found, server, gpg)
        gpg.run("--import", given=running.certificate_of("ada"))
        yield running
        running.ada.close()
        running.bob.close()


def _make_keys(gpg: Gpg, directory: Directory) -> None:
    gpg.make_key(f"Ann <{ANN}>")
    gpg.make_key(f"Dan <{DAN}>")
    gpg.make_key(f"Old <{OLD}>", when=LONG_AGO, subkey="1d")
    gone = gpg.make_key(f"Gone <{GONE}>")
    revocation = Path(gpg.home, "openpgp-revocs.d", f"{gone.upper()}.rev").read_bytes()
    gpg.run("--import", given=revocation.replace(b":-----BEGIN", b"-----BEGIN"))
    for address in (ANN, OLD, GONE):
        path = f"/.well-known/openpgpkey/{CONTACTS}/hu/{gpg.wkd_hash(address)}"
        directory.keys[path] = gpg.run("--export", address)
    directory.keys[f"/.well-known/openpgpkey/hu/{gpg.wkd_hash(DAN)}"] = gpg.run("--export", DAN)


def letter(*to: str, **changes: object) -> Letter:
    fields: dict[str, object] = {
        "to": to,
        "subject": "Grüße",
        "text": "Meet me at noon at the café, bring cake.\n",
    } | changes
    return Letter(**fields)  # type: ignore[arg-type]


def test_a_member_s_mail_opens_and_verifies_in_gnupg(world: World) -> None:
    content = bytes(range(256)) * 10_000
    world.ada.send(letter("bob@sealpost.test", attachments=[Attachment("cake.bin", content)]))
    (mail,) = world.bob.list()
    assert mail.signature == signatures.VERIFIED
    opened = world.bob.open(mail.id)
    assert opened.signature == signatures.VERIFIED
    sealed = world.bob._http.download(f"/v1/messages/{mail.id}/body")
    with gnupg() as theirs:
        theirs.run("--import", given=world.bob.export_key().encode())
        theirs.run("--import", given=world.certificate_of("ada"))
        found = theirs.open(sealed)
        assert found.plaintext == opened.content
        assert found.signers == [world.ada.account().fingerprint]
        assert sum(word.startswith("ENC_TO ") for word in found.status) == 1
    message = message_from_bytes(found.plaintext, policy=policy.SMTP)
    assert isinstance(message, EmailMessage)
    assert message["subject"] == "Grüße"
    (attached,) = message.iter_attachments()
    assert attached.get_content() == content


def test_the_own_copy_opens_and_verifies_in_gnupg(world: World) -> None:
    sent = world.ada.send(letter("bob@sealpost.test", bcc=[ANN]))
    world.next_mail()
    mail = next(one for one in world.ada.list("sent") if (one.envelope or {})["message_id"] == sent.message_id)
    assert mail.flags == ("seen",)
    sealed = world.ada._http.download(f"/v1/messages/{mail.id}/body")
    with gnupg() as own:
        own.run("--import", given=world.ada.export_key().encode())
        found = own.open(sealed)
    assert found.signers == [world.ada.account().fingerprint]
    assert f"Bcc: {ANN}".encode() in found.plaintext


@pytest.mark.parametrize("address", [ANN, DAN])
def test_people_elsewhere_are_found(world: World, address: str) -> None:
    (found,) = world.ada.recipients(address)
    assert (found.kind, found.fingerprint) == ("wkd", world.gpg.fingerprint(address))


@pytest.mark.parametrize("address", [OLD, GONE, OTTO, f"nobody@{DIRECT}", "x@no-such-domain.test"])
def test_keys_that_are_no_good_are_not_used(world: World, address: str) -> None:
    (found,) = world.ada.recipients(address)
    assert (found.kind, found.certificate) == ("open", None)
    with pytest.raises(RefusedError, match="no key"):
        world.ada.send(letter(address))


def test_nobody_asks_the_directory_about_our_own(world: World) -> None:
    world.ada.recipients("bob@sealpost.test", "nobody@sealpost.test", "x@public.sealpost.test")
    assert not any("sealpost" in f"{asked.path} {asked.headers.get('host')}" for asked in world.directory.asked)
    for asked in world.directory.asked:
        assert asked.method == "GET" and set(asked.headers) == {"host", "user-agent", "accept-encoding"}


def test_a_contact_elsewhere_reads_and_verifies_pgp_mime_with_gnupg(world: World) -> None:
    sent = world.ada.send(letter(ANN, "bob@sealpost.test", attachments=[Attachment("cake.txt", b"recipe")]))
    outer = world.next_mail()
    assert (outer["subject"], outer["message-id"]) == ("...", sent.message_id)
    assert outer["from"] == "ada@sealpost.test" and ANN in outer["to"]
    assert b"noon" not in outer.as_bytes() and b"cake" not in outer.as_bytes()
    assert outer.get_content_type() == "multipart/encrypted"
    _, part = outer.iter_parts()
    found = world.gpg.open(part.get_content())
    assert found.signers == [world.ada.account().fingerprint]
    inner = message_from_bytes(found.plaintext, policy=policy.SMTP)
    assert isinstance(inner, EmailMessage)
    assert (inner["subject"], inner["message-id"]) == ("Grüße", sent.message_id)
    assert inner.get_param("protected-headers") == "v1"
    text, attached = inner.iter_parts()
    assert text.get_content().replace("\r\n", "\n") == TEXT
    assert attached.get_content() == "recipe"


def test_what_gnupg_signed_verifies_here(world: World) -> None:
    with gnupg() as theirs:
        theirs.make_key(f"Ann <{ANN}>")
        theirs.run("--import", given=world.certificate_of("ada"))
        message = theirs.run("--sign", "--encrypt", "--local-user", ANN, "--recipient", "ada@", given=b"note")
        certificate = theirs.run("--export", ANN)
    key = world.ada._unlocked()
    assert key.open_checked(message, certificate).signature == signatures.VERIFIED
    assert key.open_checked(message, world.gpg.run("--export", DAN)).signature == signatures.OTHER_KEY
    assert key.open_checked(message, None) == signatures.Opened(b"note", signatures.UNCHECKED)


def test_what_gnupg_encrypts_elsewhere_is_opened_inside_what_the_platform_seals(world: World) -> None:
    """Ann takes bob's certificate from the key directory, and sends PGP/MIME as mail programs do, over SMTP."""
    bob = f"bob@{world.platform.member_domain}"
    world.gpg.run("--import", given=world.certificate_of("bob"))
    inner = (
        f"From: Ann <{ANN}>\r\nTo: {bob}\r\nSubject: The real subject\r\nContent-Type: text/plain; charset=utf-8; "
        f'protected-headers="v1"\r\n\r\n{TEXT}'
    )
    sealing = ["--armor", "--sign", "--encrypt", "--local-user", ANN, "--recipient", bob]
    message = world.gpg.run(*sealing, given=inner.encode()).replace(b"\n", b"\r\n")
    head = f"From: Ann <{ANN}>\r\nTo: {bob}\r\nSubject: ...\r\nMIME-Version: 1.0\r\n"
    head += 'Content-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary="edge"\r\n\r\n'
    version = b"--edge\r\nContent-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n\r\n"
    data = b'--edge\r\nContent-Type: application/octet-stream; name="encrypted.asc"\r\n\r\n' + message
    with smtplib.SMTP(world.platform.smtp_host, world.platform.smtp_port, timeout=30) as smtp:
        smtp.sendmail(ANN, [bob], head.encode() + version + data + b"\r\n--edge--\r\n")
    # Mails of one second are in no order.
    [mail] = [one for one in world.bob.list() if (one.envelope or {})["subject"] == "..."]
    asked = len(world.directory.asked)
    unasked = world.bob.open(mail.id)
    assert (unasked.signature, unasked.sender, unasked.askable) == (signatures.UNCHECKED, ANN, True)
    assert len(world.directory.asked) == asked
    opened = world.bob.open(mail.id, ask=True)
    assert (opened.signature, opened.inner) == (signatures.VERIFIED, inner.encode())
    text = as_text(opened.content, opened.inner, " (not encrypted)")
    assert "Subject: The real subject\n" in text and TEXT in text and "Subject: ..." not in text


def test_the_program_sends_to_all_kinds_at_once(world: World, tmp_path: Path) -> None:
    def run(*arguments: str, given: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "libs.client", "--url", world.platform.url]
        command += ["--state", str(tmp_path / "state.json"), *arguments]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        return subprocess.run(command, input=given, capture_output=True, text=True, env=environment, timeout=60)

    assert run("signup", "eve@sealpost.test", given=PASSWORD + "\n").returncode == 0
    recipients = ["--to", "bob@sealpost.test", "--cc", ANN, "--bcc", OTTO, "--subject", "To all"]
    refused = run("send", *recipients, given=f"{PASSWORD}\nhello all\n")
    assert refused.returncode == 1 and "in the clear" in refused.stderr
    done = run("send", *recipients, "--allow-open", given=f"{PASSWORD}\nhello all\n")
    assert done.returncode == 0, done.stderr
    mails = [world.next_mail(), world.next_mail()]
    sealed = next(mail for mail in mails if mail["subject"] == "...")
    plain = next(mail for mail in mails if mail["subject"] == "To all")
    assert b"hello all" not in sealed.as_bytes()
    assert plain.get_content().strip() == "hello all" and OTTO not in plain.as_string()
    assert world.bob.list()[0].signature == signatures.VERIFIED
    listed = run("list", "--folder", "sent", given=PASSWORD)
    assert "signed" in listed.stdout and "To all" in listed.stdout
