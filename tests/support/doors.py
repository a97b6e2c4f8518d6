"""Goes through every door of a platform with canaries in whatever can be said there, and from addresses that are some.

Every word begins with one random token, so that a search for one token finds any of them; the addresses of the network
are random too, and searched for on their own. Each door says what came back, so that a test knows that it was open.
"""

from __future__ import annotations

import base64
import secrets
import smtplib
import socket
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from libs.client import keys
from libs.client.api import Client
from libs.client.compose import Attachment, Letter
from libs.client.errors import RefusedError
from libs.client.http import COOKIE
from tests.support.ledger_mail import Run
from tests.support.ledger_procs import wait_for
from tests.support.outside import Outside
from tests.support.platform import RunningPlatform

PROXY = "127.99.0.1"
"""An address that the gateway is to trust as a proxy."""


def _address(first: str) -> str:
    return f"{first}.{'.'.join(str(100 + secrets.randbelow(150)) for _ in range(2))}"


@dataclass
class Words:
    """The canaries of a run. `clients` are addresses of the network by what is done from there."""

    token: str = field(default_factory=lambda: Run.fresh().token)
    mx: str = field(default_factory=lambda: _address("127.201"))
    program: str = field(default_factory=lambda: _address("127.202"))
    browser: str = field(default_factory=lambda: _address("127.203"))
    forwarded: str = field(default_factory=lambda: _address("198.18"))

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses of the network."""
        return (self.mx, self.program, self.browser, self.forwarded)

    @property
    def remote(self) -> str:
        """A domain outside."""
        return f"{self.token}.test"

    @property
    def shop(self) -> str:
        """A domain that a business sends with."""
        return f"shop-{self.token}.test"

    @property
    def password(self) -> str:
        """A password."""
        return f"{self.token} password"

    def mail(self, sender: str, to: str) -> bytes:
        """Return a mail that is full of canaries."""
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Subject"] = f'"{self.token} name" <{sender}>', to, f"{self.token} subject"
        mail["Message-ID"] = f"<{self.token}{secrets.token_hex(4)}@{self.remote}>"
        mail["X-Mailer"] = f"{self.token} mailer"
        mail.set_content(f"{self.token} body\n")
        mail.add_attachment(f"{self.token} file".encode(), "application", "pdf", filename=f"{self.token}.pdf")
        return mail.as_bytes(policy=SMTP)


class Doors:
    """The doors of one platform, for one set of words."""

    def __init__(self, platform: RunningPlatform, outside: Outside, words: Words) -> None:
        """Prepare; nothing is said yet."""
        self.platform, self.outside, self.words = platform, outside, words
        self.inbox = f"{words.token}@{platform.public_domain}"
        self.ada = f"ada-{words.token}@{platform.member_domain}"
        self.bob = f"bob-{words.token}@{platform.member_domain}"
        self.desk = f"desk-{words.token}@{platform.relay_domain}"
        self.friend = f"friend-{words.token}@{words.remote}"
        self.headers = {
            "User-Agent": f"{words.token} agent",
            "Referer": f"https://{words.token}.example/{words.token}",
            "Accept-Language": words.token,
            "X-Request-Id": words.token,
            "Forwarded": f"for={words.forwarded}",
        }

    def members(self) -> None:
        """Sign two members and a business up; a wrong password, a recovery, an app password, and a letter."""
        words = self.words
        with self._client() as ada, self._client() as bob:
            ada.signup(self.ada, words.password, recovery=True)
            bob.signup(self.bob, words.password)
            with pytest.raises(RefusedError):
                bob.login(self.ada, f"{words.token} wrong")
            bob.login(self.bob, words.password)
            letter = Letter(
                [self.bob, self.friend],
                f"{words.token} subject",
                f"{words.token} text\n",
                attachments=[Attachment(f"{words.token}.txt", f"{words.token} file".encode())],
            )
            assert not ada.send(letter, allow_open=True).failed
            self.outside.wait_mail(words.remote)
            wait_for("a letter", lambda: len(bob.list()) == 1, 30.0)
            (mail,) = bob.list()
            assert words.token.encode() in bob.read(mail.id)
            with self._http(ada.token) as http:
                self._account(http)

    def _account(self, http: httpx.Client) -> None:
        token = self.words.token
        given = {"kind": "app_password", "label": f"{token} label", "scopes": ["smtp:send"]}
        self.app_password = str(_done(http.post("/v1/credentials", json=given), 201)["secret"])
        _done(http.put(f"/v1/objects/{token}", content=token, headers={"Content-Type": token}), 400, 404, 415, 422)
        with http.stream("GET", "/v1/events", params={token: token}, headers={"Last-Event-ID": token}) as events:
            assert events.status_code == 200
        kdf = _done(http.post("/v1/kdf", json={"address": self.ada}), 200)["kdf"]
        proof = keys.derive(self.words.password, keys.Kdf.from_json(kdf)).authentication.reveal()
        given_now = {"address": self.friend, "current_authentication_key": base64.b64encode(proof).decode()}
        _done(http.post("/v1/forwarding", json=given_now), 201)
        link = self.outside.wait_mail(self.words.remote, 2).content.decode().partition("/f/")[2].split()[0]
        _done(http.get(f"/f/{link}"), 200)
        _done(http.post(f"/f/{link}", data={"answer": "yes"}), 200)

    def mx(self) -> None:
        """Be a mail server that says it all, wrongly too."""
        words = self.words
        sender = f"stranger-{words.token}@{words.token}.example"
        with smtplib.SMTP(
            self.platform.smtp_host, self.platform.smtp_port, f"{words.token}.host.example", 30, (words.mx, 0)
        ) as smtp:
            for to in (self.inbox, self.ada):
                smtp.sendmail(sender, [to], words.mail(sender, to))
            smtp.mail(sender)
            assert smtp.rcpt(f"nobody-{words.token}@{self.platform.member_domain}")[0] == 550
            assert smtp.rcpt(f"relayed-{words.token}@{words.remote}")[0] == 550
            smtp.rset()
            for line in (f"{words.token} x", f"MAIL FROM:<{words.token}", f"VRFY {words.token}", f"HELP {words.token}"):
                assert smtp.docmd(line)[0] >= 214
        with socket.create_connection(("127.0.0.1", self.platform.smtp_port), 30, (words.mx, 0)) as raw:
            # A line that does not end, and one that ends wrongly.
            raw.recv(1000)
            raw.sendall(f"EHLO {words.token}\n{words.token}".encode())
            raw.recv(1000)

    def submission(self) -> None:
        """Be a mail program, with a wrong password first."""
        words = self.words
        context = ssl.create_default_context(cafile=str(self.platform.home / "tls" / "ca.crt"))
        place = ("127.0.0.1", self.platform.submissions_port, f"{words.token}.laptop.example")
        with smtplib.SMTP_SSL(*place, timeout=30, context=context, source_address=(words.program, 0)) as smtp:
            with pytest.raises(smtplib.SMTPAuthenticationError):
                smtp.login(self.ada, f"{words.token} wrong")
            smtp.login(self.ada, self.app_password)
            smtp.sendmail(self.ada, [self.bob, self.friend], words.mail(self.ada, self.friend))
        self.outside.wait_mail(words.remote, 4)

    def relay(self) -> None:
        """Be a business: a domain, a campaign, suppressions, webhooks, and somebody who unsubscribes."""
        words = self.words
        with self._client() as desk:
            desk.signup(self.desk, words.password)
            with self._http(desk.token) as http:
                claimed = _done(http.post("/v1/sender-domains", json={"domain": words.shop}), 201)
                for record in claimed["records"]:
                    self.outside.publish(record["name"], record["type"], record["value"])
                assert _done(http.post(f"/v1/sender-domains/{words.shop}/check"), 200)["verified"]
                self._campaign(http)

    def _campaign(self, http: httpx.Client) -> None:
        words = self.words
        reader = f"reader-{words.token}@{words.remote}"
        before = len(self.outside.mails(words.remote))
        mail = {
            "from": f"news@{words.shop}",
            "to": [reader],
            "subject": f"{words.token} offer",
            "text": f"{words.token} offer",
            "html": f'<p>{words.token} <a href="https://{words.token}.example/{words.token}">offer</a></p>',
            "campaign": words.token,
            "one_click_unsubscribe": True,
            "headers": {f"X-{words.token}": words.token},
        }
        headers = {"Idempotency-Key": words.token}
        wait_for("the domain", lambda: http.post("/v1/send", json=mail, headers=headers).status_code == 202, 30.0)
        content = self.outside.wait_mail(words.remote, before + 1).content.decode()
        link = content.partition("/u/")[2].partition(">")[0].split()[0]
        for call in (http.get, http.post):
            _done(call(f"/u/{link}"), 200)
        _done(http.post("/v1/suppressions", json={"address": f"quiet-{words.token}@{words.remote}"}), 201)
        _done(http.get("/v1/suppressions", params={"address": reader}), 200)
        _done(http.post("/v1/webhooks", json={"url": f"https://{words.remote}/{words.token}", "types": []}), 201, 400)
        _done(http.post(f"/v1/campaigns/{words.token}/stop"), 200, 204)

    def pages(self) -> None:
        """Be a browser of somebody who is not signed in: pages, the API, directories, links; also behind a proxy."""
        token = self.words.token
        body: Mapping[str, Any] = {"address": self.ada, token: token}
        paths: dict[str, Callable[[httpx.Client, str], httpx.Response]] = {}
        for path in (
            f"/{token}",
            f"/?{token}={token}",
            f"/public/{quote(self.inbox)}",
            f"/assets/{token}.js",
            f"/operator/{token}",
            f"/v1/{token}",
            f"/v1/messages/{token}",
            f"/v1/public/{quote(self.inbox)}/messages",
            f"/v1/public/{quote(self.inbox)}/messages/{token}/raw",
            f"/v1/operator/statistics/{token}/{token}",
            f"/.well-known/openpgpkey/{self.platform.member_domain}/hu/{token}?l=ada-{token}",
            f"/.well-known/openpgpkey/{token}.example/policy",
            f"/u/{token}",
            f"/f/{token}",
            f"/m/{token}",
            f"/o/{token}.gif",
        ):
            paths[path] = lambda http, path: http.get(path)
        for path in ("/v1/session", "/v1/accounts", "/v1/kdf", "/v1/recovery", "/v1/send", "/v1/recipients"):
            paths[path] = lambda http, path: http.post(path, json=body)
        for path in (f"/u/{token}", f"/f/{token}"):
            paths[f"{path}?"] = lambda http, path: http.post(path, data={"answer": token})
        with self._http(token) as direct, self._http(token, PROXY) as proxied:
            proxied.headers["X-Forwarded-For"] = f"{token}, {self.words.forwarded}"
            for http in (direct, proxied):
                for path, call in paths.items():
                    assert call(http, path).status_code < 500, path
                _done(http.get(f"/v1/public/{quote(self.inbox)}/messages"), 200)
                http.request(token[:8].upper(), f"/{token}")
        with self._client() as somebody:
            (found,) = somebody.public(self.inbox).mails
            assert token.encode() in somebody.read_public(self.inbox, found.id)

    def _client(self) -> Client:
        transport = httpx.HTTPTransport(local_address=self.words.browser)
        return Client(self.platform.url, transport=transport)

    def _http(self, session: str, address: str = "") -> httpx.Client:
        transport = httpx.HTTPTransport(local_address=address or self.words.browser)
        headers = {**self.headers, "Cookie": f"{COOKIE}={session}", "Origin": self.platform.url}
        return httpx.Client(base_url=self.platform.url, headers=headers, timeout=30, transport=transport)


def _done(answer: httpx.Response, *statuses: int) -> Any:
    assert answer.status_code in statuses, (answer.status_code, answer.request.url.path.count("/"), answer.text[:200])
    return answer.json() if answer.headers.get("content-type", "").startswith("application/json") else None
