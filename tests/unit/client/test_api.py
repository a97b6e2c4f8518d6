"""The library against a site in memory: what is sent, what never is, and what comes back."""

from __future__ import annotations

import base64
import json

import httpx
import pytest

from libs.client.api import Client
from libs.client.errors import ClientError, RefusedError, SignInNeededError, UnreachableError, UsageError
from libs.client.http import MAX_JSON_BYTES
from services.crypto.domain.packets import Tag, read_packets
from tests.unit.client.server import NOTICE, SITE, Sealpost, problem

ADA = "ada@sealpost.test"
PASSWORD = "correct horse battery staple"
MAIL = b"Return-Path: <bob@example.org>\r\nSubject: Hello\r\n\r\nHello Ada\x00\xff\r\n"
ENVELOPE = {"v": 1, "from": {"name": "Bob", "address": "bob@example.org"}, "subject": "Hello"}


@pytest.fixture
def site() -> Sealpost:
    return Sealpost()


@pytest.fixture
def signed_up(site: Sealpost) -> Client:
    client = Client(SITE, transport=site.transport())
    client.signup(ADA, PASSWORD)
    return client


def reason_of(caught: pytest.ExceptionInfo[ClientError]) -> str:
    return caught.value.reason


def test_sign_up_receive_list_read_delete(site: Sealpost, signed_up: Client) -> None:
    mail_id = site.deliver(ADA, MAIL, ENVELOPE)
    (mail,) = signed_up.list()
    assert (mail.id, mail.envelope, mail.folder, mail.expires) == (mail_id, ENVELOPE, "inbox", None)
    assert signed_up.read(mail_id) == MAIL
    assert signed_up.delete(mail_id) == []
    assert signed_up.delete(mail_id) == [mail_id]
    assert signed_up.list() == []


def test_sign_in_from_elsewhere(site: Sealpost, signed_up: Client) -> None:
    mail_id = site.deliver(ADA, MAIL, ENVELOPE)
    with Client(SITE, transport=site.transport()) as elsewhere:
        assert elsewhere.login(ADA, PASSWORD).address == ADA
        assert elsewhere.read(mail_id) == MAIL
        assert elsewhere.export_key() == signed_up.export_key()
        elsewhere.logout()
        with pytest.raises(SignInNeededError):
            elsewhere.list()
    assert signed_up.read(mail_id) == MAIL


def test_a_session_is_taken_up_again_with_the_password(site: Sealpost, signed_up: Client) -> None:
    mail_id = site.deliver(ADA, MAIL, ENVELOPE)
    with Client(SITE, token=signed_up.token, transport=site.transport()) as later:
        with pytest.raises(SignInNeededError) as locked:
            later.read(mail_id)
        assert reason_of(locked) == "locked"
        with pytest.raises(RefusedError) as wrong:
            later.unlock("another password")
        assert reason_of(wrong) == "wrong_password"
        later.unlock(PASSWORD)
        assert later.read(mail_id) == MAIL


def test_neither_password_nor_private_key_is_ever_sent(site: Sealpost, signed_up: Client) -> None:
    Client(SITE, transport=site.transport()).login(ADA, PASSWORD)
    lines = signed_up.export_key().splitlines()
    secret = base64.b64decode("".join(line for line in lines[1:-1] if line and ":" not in line and line[0] != "="))
    # The private numbers themselves, in front of the checksum.
    parts = [p.body[-32:-4] for p in read_packets(secret) if p.tag in (Tag.SECRET_KEY, Tag.SECRET_SUBKEY)]
    assert len(parts) == 2
    sent = b"\n".join(request.content + str(request.headers).encode() for request in site.requests)
    for mark in (PASSWORD.encode(), base64.b64encode(PASSWORD.encode())):
        assert mark not in sent
    for request in site.requests:
        for value in _strings(json.loads(request.content or b"{}")):
            assert not any(part in base64.b64decode(value + "==", validate=False) for part in parts)


def _strings(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _strings(inner)]
    return [value] if isinstance(value, str) else []


def test_wrong_password_taken_address_short_password(site: Sealpost, signed_up: Client) -> None:
    fresh = Client(SITE, transport=site.transport())
    for attempt, reason in (
        (lambda: fresh.login(ADA, "wrong password"), "bad_proof"),
        (lambda: fresh.login("eve@sealpost.test", PASSWORD), "bad_proof"),
        (lambda: fresh.signup(ADA, PASSWORD), "address_taken"),
        (lambda: fresh.signup(ADA, "short"), "password_short"),
    ):
        with pytest.raises(RefusedError) as caught:
            attempt()
        assert reason_of(caught) == reason
    assert fresh.token == ""


def test_recovery(site: Sealpost) -> None:
    client = Client(SITE, transport=site.transport())
    made = client.signup(ADA, PASSWORD, recovery=True)
    assert made.recovery_code is not None
    assert made.account.has_recovery
    mail_id = site.deliver(ADA, MAIL)
    lost = Client(SITE, transport=site.transport())
    with pytest.raises(RefusedError):
        lost.recover(ADA, "0" * 32, "a new password")
    lost.recover(ADA, made.recovery_code.reveal().lower(), "a new password")
    assert lost.read(mail_id) == MAIL
    with pytest.raises(RefusedError):
        client.login(ADA, PASSWORD)
    client.login(ADA, "a new password")
    assert client.read(mail_id) == MAIL


def test_many_mails_come_in_pages(site: Sealpost, signed_up: Client) -> None:
    site.page = 3
    ids = [site.deliver(ADA, b"x", ENVELOPE) for _ in range(10)][::-1]
    assert [mail.id for mail in signed_up.list()] == ids
    assert [mail.id for mail in signed_up.list(limit=4)] == ids[:4]
    assert [mail.id for mail in signed_up.list(folder="", limit=1)] == ids[:1]
    assert "folder" not in str(site.requests[-1].url)


def test_one_mail_that_does_not_open_hides_no_other(site: Sealpost, signed_up: Client) -> None:
    good = site.deliver(ADA, MAIL, ENVELOPE)
    bad = site._store(ADA, b"junk", base64.b64encode(b"junk").decode())
    worse = site._store(ADA, b"junk", "?")
    assert {mail.id: mail.envelope for mail in signed_up.list()} == {good: ENVELOPE, bad: None, worse: None}
    with pytest.raises(RefusedError) as caught:
        signed_up.read(bad)
    assert reason_of(caught) == "cannot_open"


def test_no_such_mail(site: Sealpost, signed_up: Client) -> None:
    for mail_id in ("0" * 32, "../session", ""):
        with pytest.raises(RefusedError):
            signed_up.read(mail_id)
    assert not any(".." in str(request.url) for request in site.requests)


def test_public_inboxes_need_no_session(site: Sealpost) -> None:
    address = "any@public.sealpost.test"
    mail_id = site.post_public(address, MAIL, ENVELOPE)
    client = Client(SITE, transport=site.transport())
    inbox = client.public(address)
    assert inbox.notice == NOTICE
    assert [mail.envelope for mail in inbox.mails] == [ENVELOPE]
    assert client.public("empty@public.sealpost.test").notice == NOTICE
    assert client.read_public(address, mail_id) == MAIL
    for bad in (ADA, "..", "x/../../session"):
        with pytest.raises(RefusedError):
            client.public(bad)
    assert all("cookie" not in request.headers for request in site.requests)


def test_the_cookie_goes_back_with_the_origin(site: Sealpost, signed_up: Client) -> None:
    signed_up.list()
    signed_up.delete("0" * 32)
    token = signed_up.token
    *_, listing, deleting = site.requests
    assert listing.headers["cookie"] == deleting.headers["cookie"] == f"__Host-session={token}"
    assert deleting.headers["origin"] == SITE
    assert "origin" not in listing.headers


@pytest.mark.parametrize(
    ("answer", "kind", "reason"),
    [
        (problem(401, "session_missing"), SignInNeededError, "session_missing"),
        (problem(403, "denied"), RefusedError, "denied"),
        (problem(404, "no"), RefusedError, "no"),
        (problem(429, "rate", **{"Retry-After": "7"}), UnreachableError, "rate"),
        (problem(503, "unavailable"), UnreachableError, "unavailable"),
        (httpx.Response(502, text="<html>"), UnreachableError, "http"),
        (httpx.Response(418, json=["tea"]), RefusedError, "http"),
        (httpx.Response(301, headers={"Location": "https://elsewhere.test"}), UsageError, "http"),
        (httpx.Response(200, text="<html>"), UnreachableError, "answer"),
        (httpx.Response(200, json=[1]), UnreachableError, "answer"),
        (httpx.Response(200, json={"messages": 5, "next_cursor": None}), UnreachableError, "answer"),
        (httpx.Response(200, json={"messages": [{}], "next_cursor": None}), UnreachableError, "answer"),
        (httpx.Response(200, content=b" " * (MAX_JSON_BYTES + 1)), RefusedError, "answer_too_large"),
    ],
)
def test_answers_that_are_none(
    site: Sealpost, signed_up: Client, answer: httpx.Response, kind: type[ClientError], reason: str
) -> None:
    site.instead["GET /v1/messages"] = answer
    with pytest.raises(ClientError) as caught:
        signed_up.list()
    assert isinstance(caught.value, kind)
    if reason != "http" or kind is not UsageError:
        assert reason_of(caught) == reason
    if answer.status_code == 429:
        assert "7 seconds" in str(caught.value)


def test_a_server_cannot_ask_for_a_weak_derivation(site: Sealpost, signed_up: Client) -> None:
    kdf = {**site.accounts[ADA]["kdf"], "memory_kib": 8}
    site.instead["POST /v1/kdf"] = httpx.Response(200, json={"kdf": kdf})
    with pytest.raises(RefusedError) as caught:
        Client(SITE, transport=site.transport()).login(ADA, PASSWORD)
    assert reason_of(caught) == "kdf_parameters"
    assert site.requests[-1].url.path == "/v1/kdf"


def test_a_dead_server() -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(UnreachableError) as caught:
        Client(SITE, transport=httpx.MockTransport(refuse)).info()
    assert reason_of(caught) == "unreachable"


@pytest.mark.parametrize(
    "url",
    [
        "sealpost.test",
        "ftp://sealpost.test",
        "https://",
        "https://user@sealpost.test",
        "https://sealpost.test/path",
        "https://sealpost.test?x=1",
        "https://sealpost.test:port",
        "http://sealpost.test",
        "http://10.0.0.1:8080",
        "http://127.0.0.1.evil.test",
    ],
)
def test_addresses_that_are_refused(url: str) -> None:
    with pytest.raises(UsageError):
        Client(url)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080", "http://localhost:1", "http://[::1]:80", "https://a.test:8443"]
)
def test_addresses_that_are_taken(url: str) -> None:
    with Client(url + "/") as client:
        assert client.url == url


def test_progress_is_told(site: Sealpost, signed_up: Client) -> None:
    told: list[tuple[str, int, int | None]] = []
    client = Client(
        SITE, transport=site.transport(), progress=lambda stage, done, total: told.append((stage, done, total))
    )
    mail_id = site.deliver(ADA, MAIL, ENVELOPE)
    client.login(ADA, PASSWORD)
    client.list()
    client.read(mail_id)
    size = len(site.bodies[mail_id])
    assert told == [("derive", 0, None), ("list", 1, 50), ("download", size, size)]
