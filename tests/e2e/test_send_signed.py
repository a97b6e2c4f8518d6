"""Who signed a mail is shown as it is: green for the expected key's own signature, and for nothing else.

The server and every other member can seal whatever they like to a reader: letters that are unsigned, signed by another,
or that claim checks of the platform; and PGP/MIME from outside whose parts do not belong together.
"""

from __future__ import annotations

import base64
import itertools
import time
from collections.abc import Iterator

import pysequoia
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.e2e import mails
from tests.e2e.browser import sign_up
from tests.support.fake_gateway import FakeGateway

READER, WRITER = "reader@sealpost.test", "writer@sealpost.test"
GRACE = "grace@example.org"
_IDS = itertools.count()


@pytest.fixture(scope="module")
def reader(browser: Browser, gateway: FakeGateway) -> Iterator[Page]:
    """Return the inbox of the reader; the writer has a mailbox too."""
    contexts: list[BrowserContext] = []
    for address in (WRITER, READER):
        contexts.append(browser.new_context(viewport={"width": 1280, "height": 800}))
        page = contexts[-1].new_page()
        sign_up(page, gateway.url, address.split("@")[0])
    yield page
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def grace(gateway: FakeGateway) -> pysequoia.Tsk:
    """Return the key of somebody elsewhere, whose certificate her domain publishes."""
    key = pysequoia.Tsk.generate(f"Grace <{GRACE}>")
    gateway.outbox.certificates[GRACE] = bytes(key.extract_certificate())
    return key


def _certificate(gateway: FakeGateway, address: str = READER) -> pysequoia.Cert:
    return pysequoia.Cert.from_bytes(base64.b64decode(gateway.accounts[address]["certificate"]))


def _keep(gateway: FakeGateway, envelope: bytes, body: bytes) -> None:
    number = next(_IDS)
    message_id = f"{int(time.time()):010x}{number:022x}"
    gateway.keep(READER, message_id, base64.b64encode(envelope).decode(), body)


def _seal(gateway: FakeGateway, data: bytes, signer: pysequoia.PySigner | None = None) -> bytes:
    return bytes(pysequoia.encrypt(data, recipients=[_certificate(gateway)], signer=signer, armor=False))


def _forge(gateway: FakeGateway, subject: str, signer: pysequoia.PySigner | None = None, **claims: object) -> None:
    """Put a letter that says it is the writer's into the reader's inbox."""
    mail = mails.text(f"Ada <{WRITER}>", subject, "Send me your password.", to=READER)
    envelope = mails.envelope(WRITER, subject, **claims)  # type: ignore[arg-type]
    _keep(gateway, _seal(gateway, envelope, signer), _seal(gateway, mail, signer))


def _open(page: Page, subject: str) -> None:
    page.get_by_role("navigation", name="Folders").get_by_role("link", name="Inbox").click()
    page.get_by_role("link", name=subject).first.click()
    page.locator(".mail-text").first.wait_for()


def test_an_unsigned_letter_is_told(reader: Page, gateway: FakeGateway) -> None:
    _forge(gateway, "Unsigned")
    _open(reader, "Unsigned")
    expect(reader.get_by_test_id("sender-check")).to_contain_text("Not signed")
    expect(reader.locator(".reader-who")).to_contain_text("Says it is from Ada")


def test_a_letter_that_another_signed_is_told(reader: Page, gateway: FakeGateway) -> None:
    eve = pysequoia.Tsk.generate(f"Ada <{WRITER}>")
    _forge(gateway, "By another", eve.signer())
    _open(reader, "By another")
    expect(reader.get_by_test_id("sender-check")).to_contain_text("Signed by another key")
    expect(reader.get_by_test_id("sender-check")).to_contain_text("Do not trust the name")


def test_checks_that_a_member_claims_for_the_platform_are_not_shown(reader: Page, gateway: FakeGateway) -> None:
    _forge(gateway, "Claimed checks", by_sender=False, dmarc="pass")
    _open(reader, "Claimed checks")
    expect(reader.get_by_test_id("sender-check")).to_contain_text("Not signed")
    expect(reader.get_by_text("Sender confirmed")).to_have_count(0)


def test_a_list_that_showed_something_else_than_the_letter_says_is_told(reader: Page, gateway: FakeGateway) -> None:
    mail = mails.text(f"Mallory <mallory@{gateway.member_domain}>", "Inside", "hello", to=READER)
    _keep(gateway, _seal(gateway, mails.envelope(WRITER, "Outside")), _seal(gateway, mail))
    _open(reader, "Outside")
    expect(reader.get_by_text("The list showed another sender or subject")).to_be_visible()
    expect(reader.locator(".reader-who")).to_contain_text("Says it is from Mallory")


def _encrypted(gateway: FakeGateway, key: pysequoia.Tsk, sender: str, subject: str) -> bytes:
    inner = (
        f"From: Grace <{sender}>\r\nSubject: Inside the seal\r\n"
        'Content-Type: text/plain; protected-headers="v1"\r\n\r\nfrom afar\r\n'
    )
    armored = pysequoia.encrypt(inner.encode(), recipients=[_certificate(gateway)], signer=key.signer())
    version = b"Content-Type: application/pgp-encrypted\r\n\r\nVersion: 1\r\n"
    data = b"Content-Type: application/octet-stream\r\n\r\n" + bytes(armored).replace(b"\n", b"\r\n")
    return mails.multipart("encrypted", [version, data], sender, subject)


def test_mail_encrypted_elsewhere_is_opened_and_its_signature_checked_when_asked(
    reader: Page, gateway: FakeGateway, grace: pysequoia.Tsk
) -> None:
    gateway.deliver(_encrypted(gateway, grace, GRACE, "..."), READER)
    gateway.requests.clear()
    _open(reader, "...")
    expect(reader.get_by_role("heading", name="Inside the seal")).to_be_visible()
    expect(reader.locator(".mail-text")).to_contain_text("from afar")
    check = reader.get_by_test_id("sender-check")
    expect(check).to_contain_text("Signature not checked")
    # Nobody elsewhere learns that the mail is read before the reader says so.
    assert ("POST", "/v1/recipients") not in gateway.requests
    check.locator("summary").click()
    check.get_by_role("button", name="Ask for the key").click()
    expect(check).to_contain_text("Sender verified")


def test_a_certificate_that_names_somebody_else_verifies_nobody(
    reader: Page, gateway: FakeGateway, grace: pysequoia.Tsk
) -> None:
    other = "other@example.org"
    gateway.outbox.certificates[other] = bytes(grace.extract_certificate())
    gateway.deliver(_encrypted(gateway, grace, other, "Of another"), READER)
    _open(reader, "Of another")
    check = reader.get_by_test_id("sender-check")
    check.locator("summary").click()
    check.get_by_role("button", name="Ask for the key").click()
    expect(check).to_contain_text("Signature not checked")
    expect(check).to_contain_text("no key of other@example.org was found")


def _signed(key: pysequoia.Tsk, text: str, said: str, sender: str) -> bytes:
    """Return a mail that says `said` and carries the signature of `text`."""
    part = "Content-Type: text/plain\r\n\r\n{}\r\n"
    mode = pysequoia.SignatureMode.DETACHED
    signature = bytes(pysequoia.sign(key.signer(), part.format(text).encode(), mode=mode))
    beside = b"Content-Type: application/pgp-signature\r\n\r\n" + signature.replace(b"\n", b"\r\n")
    return mails.multipart("signed", [part.format(said).encode(), beside], sender, f"It was {said}")


@pytest.mark.parametrize(("said", "verdict"), [("as it was", "Sender verified"), ("changed", "Signature broken")])
def test_a_signature_beside_the_text_is_checked(
    said: str, verdict: str, reader: Page, gateway: FakeGateway, grace: pysequoia.Tsk
) -> None:
    sender = f"{said.split()[0]}@example.org"
    key = pysequoia.Tsk.generate(f"<{sender}>")
    gateway.outbox.certificates[sender] = bytes(key.extract_certificate())
    gateway.deliver(_signed(key, "as it was", said, sender), READER)
    _open(reader, f"It was {said}")
    check = reader.get_by_test_id("sender-check")
    check.locator("summary").click()
    check.get_by_role("button", name="Ask for the key").click()
    expect(check).to_contain_text(verdict)


def test_what_stands_beside_the_signed_part_is_not_called_signed(
    reader: Page, gateway: FakeGateway, grace: pysequoia.Tsk
) -> None:
    mail = _signed(grace, "together", "together", GRACE)
    more = b"--edge\r\nContent-Type: text/plain\r\n\r\nslipped in\r\n"
    gateway.deliver(mail.replace(b"--edge--", more + b"--edge--"), READER)
    _open(reader, "It was together")
    expect(reader.locator(".mail-text").first).to_be_visible()
    expect(reader.get_by_text("Sender verified")).to_have_count(0)
