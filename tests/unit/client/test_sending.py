"""Sending and reading sealed mail, between accounts of one site."""

from __future__ import annotations

import base64
import json
from email import message_from_bytes, policy

import httpx
import pysequoia
import pytest

from libs.client import keys, signatures
from libs.client.api import Client
from libs.client.compose import Letter
from libs.client.errors import RefusedError, UnreachableError
from libs.client.sending import Recipient
from libs.runtime.clock import SystemClock, unix_seconds
from tests.unit.client.server import SITE, Sealpost, problem

PASSWORD = "correct horse battery staple"
ADA, BOB, CAROL = (f"{name}@sealpost.test" for name in ("ada", "bob", "carol"))
ANN, OPEN, PUBLIC = "ann@example.org", "otto@example.net", "x@public.sealpost.test"


class World:
    """A site, and those who have signed up."""

    def __init__(self) -> None:
        self.site = Sealpost()
        self.clients: dict[str, Client] = {}
        contact = keys.generate(ANN, unix_seconds(SystemClock()))
        self.ann = keys.PrivateKey(contact.secret, contact.fingerprint)
        self.site.directory[ANN] = contact.certificate

    def client(self, address: str) -> Client:
        if address not in self.clients:
            self.clients[address] = Client(SITE, transport=self.site.transport())
            self.clients[address].signup(address, PASSWORD)
        return self.clients[address]


@pytest.fixture(scope="module")
def signed_up() -> World:
    """Deriving keys takes long: three accounts for all tests."""
    world = World()
    for address in (ADA, BOB, CAROL):
        world.client(address)
    return world


@pytest.fixture
def world(signed_up: World) -> World:
    site = signed_up.site
    for kept in (site.mails, site.bodies, site.submitted, site.instead):
        kept.clear()
    site.requests.clear()
    for client in signed_up.clients.values():
        client._opening = None
    return signed_up


def letter(*to: str, **changes: object) -> Letter:
    fields: dict[str, object] = {"to": to, "subject": "Plan", "text": "Meet me at noon."} | changes
    return Letter(**fields)  # type: ignore[arg-type]


def test_a_member_gets_a_mail_of_his_own_that_says_who_wrote_it(world: World) -> None:
    sent = world.client(ADA).send(letter(BOB, cc=[CAROL], bcc=[BOB]))
    assert sent.failed == {}
    for reader in (BOB, CAROL):
        (mail,) = world.client(reader).list()
        assert (mail.sealed_by_sender, mail.signature) == (True, signatures.VERIFIED)
        assert mail.envelope is not None and mail.envelope["rcpt"] == reader
        opened = world.client(reader).open(mail.id)
        assert (opened.signature, opened.sender) == (signatures.VERIFIED, ADA)
        assert b"Meet me at noon." in opened.content
        assert b"Bcc" not in opened.content
        assert sent.message_id.encode() in opened.content
    assert len(world.site.mails[BOB]) == 1


def test_each_copy_is_encrypted_to_one_key_and_nothing_is_in_the_clear(world: World) -> None:
    world.client(ADA).send(letter(BOB, CAROL))
    assert len(world.site.bodies) == 3
    for body in world.site.bodies.values():
        tags = [packet.tag for packet in pysequoia.packet.PacketPile.from_bytes(body)]
        assert tags.count(pysequoia.packet.Tag.PKESK) == 1
    for request in world.site.requests:
        assert b"noon" not in request.content and b"Plan" not in request.content


def test_the_own_copy_has_bcc_and_is_ours(world: World) -> None:
    ada = world.client(ADA)
    ada.send(letter(BOB, bcc=[CAROL]))
    (mail,) = ada.list("sent")
    opened = ada.open(mail.id)
    assert (mail.signature, opened.signature) == (signatures.VERIFIED, signatures.VERIFIED)
    assert f"Bcc: {CAROL}".encode() in opened.content
    assert ada.list("inbox") == []


def test_a_contact_elsewhere_gets_pgp_mime(world: World) -> None:
    world.client(ADA).send(letter(ANN))
    ((sender, recipients, content),) = world.site.submitted.values()
    assert (sender, recipients) == (ADA, [ANN])
    assert b"noon" not in content and b"Plan" not in content
    outer = message_from_bytes(content, policy=policy.SMTP)
    armoured = outer.get_payload(1).get_payload(decode=True)  # type: ignore[union-attr]
    writer = base64.b64decode(world.site.accounts[ADA]["certificate"])
    opened = world.ann.open_checked(armoured, writer)  # type: ignore[arg-type]
    assert opened.signature == signatures.VERIFIED
    assert b"Subject: Plan" in opened.plaintext and b"noon" in opened.plaintext


def test_everybody_else_is_refused_until_it_is_said(world: World) -> None:
    ada = world.client(ADA)
    for unsealed in (OPEN, PUBLIC):
        with pytest.raises(RefusedError) as refused:
            ada.send(letter(BOB, unsealed))
        assert refused.value.reason == "open_recipients" and unsealed in str(refused.value)
    assert world.site.mails.get(BOB, []) == [] and world.site.submitted == {}
    sent = ada.send(letter(BOB, OPEN, PUBLIC), allow_open=True)
    assert sent.failed == {}
    ((_, recipients, content),) = world.site.submitted.values()
    assert recipients == [OPEN, PUBLIC] and b"noon" in content
    assert len(world.site.mails[BOB]) == 1


def test_nobody_gets_what_cannot_go_to_all(world: World) -> None:
    for wrong in (letter(BOB, "nobody@sealpost.test"), letter()):
        with pytest.raises(RefusedError):
            world.client(ADA).send(wrong, allow_open=True)
    assert world.site.mails.get(BOB, []) == [] and world.site.submitted == {}


def test_some_may_fail_and_are_told(world: World) -> None:
    world.site.instead["POST /v1/send"] = problem(429, "recipients_per_day", "Too many.")
    sent = world.client(ADA).send(letter(BOB, ANN))
    assert set(sent.failed) == {ANN} and sent.failed[ANN].reason == "recipients_per_day"
    assert len(world.site.mails[BOB]) == 1 and len(world.client(ADA).list("sent")) == 1


def test_if_all_fail_there_is_no_copy(world: World) -> None:
    world.site.instead["POST /v1/outbox/sealed"] = problem(409, "recipient_full", "Full.")
    with pytest.raises(RefusedError, match="Full"):
        world.client(ADA).send(letter(BOB))
    assert world.client(ADA).list("sent") == []


def test_a_lost_answer_sends_nothing_twice(world: World) -> None:
    lost: list[str] = []

    def losing(request: httpx.Request) -> httpx.Response:
        answer = world.site._answer(request)
        if request.url.path.startswith(("/v1/outbox", "/v1/send")) and len(lost) % 2 == 0:
            lost.append(request.url.path)
            raise httpx.ReadError("gone")
        lost.append("")
        return answer

    ada = Client(SITE, token=world.client(ADA).token, transport=httpx.MockTransport(losing))
    ada._key = world.client(ADA)._key
    assert ada.send(letter(BOB, ANN)).failed == {}
    assert len(lost) > 4
    assert len(world.site.mails[BOB]) == 1 and len(world.site.submitted) == 1
    assert len(world.client(ADA).list("sent")) == 1


def test_an_answer_that_stays_away_is_told(world: World) -> None:
    def dead(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/outbox/sealed":
            raise httpx.ConnectError("no")
        return world.site._answer(request)

    ada = Client(SITE, token=world.client(ADA).token, transport=httpx.MockTransport(dead))
    ada._key = world.client(ADA)._key
    with pytest.raises(UnreachableError):
        ada.send(letter(BOB))


def forged(world: World, envelope: dict[str, object], writer: str = CAROL, scheme: str = "openpgp-sender") -> str:
    """Put a mail into Bob's inbox as Carol's own program might."""
    key = world.client(writer)._key
    assert key is not None
    certificate = base64.b64decode(world.site.accounts[BOB]["certificate"])
    mail = b"From: ada@sealpost.test\r\nMessage-ID: <1@x>\r\n\r\nSend money.\r\n"
    mail_id = world.site._store(
        BOB,
        key.seal(mail, certificate),
        base64.b64encode(key.seal(json.dumps(envelope).encode(), certificate)).decode(),
    )
    world.site.mails[BOB][0]["scheme"] = scheme
    return mail_id


FROM_ADA: dict[str, object] = {"from": {"name": "", "address": ADA}, "rcpt": BOB, "message_id": "<1@x>"}


@pytest.mark.parametrize(("marked", "scheme"), [(True, "openpgp-sender"), (False, "openpgp-sender"), (True, "openpgp")])
def test_a_forged_sender_is_shown_as_such(world: World, marked: bool, scheme: str) -> None:
    mail_id = forged(world, FROM_ADA | ({"sealed_by_sender": True} if marked else {}), scheme=scheme)
    (mail,) = world.client(BOB).list()
    assert (mail.sealed_by_sender, mail.signature) == (True, signatures.OTHER_KEY)
    assert world.client(BOB).open(mail_id).signature == signatures.OTHER_KEY


def test_what_was_sealed_on_to_somebody_else_is_shown_as_such(world: World) -> None:
    mail_id = forged(world, FROM_ADA | {"rcpt": CAROL}, writer=ADA)
    assert world.client(BOB).list()[0].signature == signatures.MISMATCH
    assert world.client(BOB).open(mail_id).signature == signatures.MISMATCH


def test_an_envelope_that_does_not_fit_its_mail_is_shown_as_such(world: World) -> None:
    mail_id = forged(world, FROM_ADA | {"message_id": "<2@x>"}, writer=ADA)
    assert world.client(BOB).open(mail_id).signature == signatures.MISMATCH


@pytest.mark.parametrize("sender", ["eve@evil.example", "nobody@sealpost.test", "", None])
def test_senders_elsewhere_are_not_looked_up(world: World, sender: str | None) -> None:
    mail_id = forged(world, FROM_ADA | {"from": {"address": sender}})
    assert world.client(BOB).open(mail_id).signature == signatures.UNCHECKED
    asked = [json.loads(request.content) for request in world.site.requests if request.url.path == "/v1/recipients"]
    assert asked in ([], [{"addresses": ["nobody@sealpost.test"]}])


def test_mail_that_the_platform_sealed_claims_no_signature(world: World) -> None:
    mail_id = world.site.deliver(BOB, b"From: x@example.org\r\n\r\nhello\r\n", {"from": {"address": "x@example.org"}})
    (mail,) = world.client(BOB).list()
    assert (mail.sealed_by_sender, mail.signature) == (False, "")
    opened = world.client(BOB).open(mail_id)
    assert (opened.sealed_by_sender, opened.signature) == (False, "")


def test_an_envelope_that_does_not_open_is_not_verified(world: World) -> None:
    world.client(ADA).send(letter(BOB))
    world.site.mails[BOB][0]["envelope"] = base64.b64encode(b"\xc1broken").decode()
    (mail,) = world.client(BOB).list()
    assert (mail.envelope, mail.signature) == (None, signatures.UNCHECKED)
    assert world.client(BOB).open(mail.id).signature == signatures.UNCHECKED


def test_a_directory_that_lies_is_not_believed(world: World) -> None:
    other = base64.b64decode(world.site.accounts[CAROL]["certificate"])
    world.site.directory[ANN], kept = other, world.site.directory[ANN]
    try:
        with pytest.raises(RefusedError, match="certificate"):
            world.client(ADA).send(letter(ANN))
    finally:
        world.site.directory[ANN] = kept
    incomplete: dict[str, object] = {
        "recipients": [{"address": BOB, "kind": "member", "certificate": None, "fingerprint": None}]
    }
    nothing: dict[str, object] = {}
    entries: list[dict[str, object]] = [nothing, {"recipients": []}, incomplete]
    for entry in entries:
        world.site.instead["POST /v1/recipients"] = httpx.Response(200, json=entry)
        with pytest.raises(UnreachableError):
            world.client(ADA).send(letter(BOB))
    assert world.site.submitted == {}


def test_recipients_are_told_apart(world: World) -> None:
    found = world.client(ADA).recipients(BOB, ANN, PUBLIC, OPEN, "nobody@sealpost.test")
    assert [one.kind for one in found] == ["member", "wkd", "public", "open", "unknown"]
    assert [one.sealed for one in found] == [True, True, False, False, False]
    assert Recipient(OPEN, "open", None, None) in found
