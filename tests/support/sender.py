"""A member or a business that sends: an account, its app password, and a mail program."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP

import httpx

from libs.client.api import Client
from libs.client.http import COOKIE
from libs.client.model import Mail
from tests.support.ledger_procs import wait_for
from tests.support.platform import RunningPlatform

PASSWORD = "correct horse battery"
CLIENT = "laptop-of-somebody.example"
"""What the mail program calls its machine."""


@dataclass
class Sender:
    """An account of a running platform."""

    platform: RunningPlatform
    address: str
    client: Client
    app_password: str

    def submit(self, message: EmailMessage | bytes, recipients: Sequence[str], sender: str = "") -> None:
        """Hand a mail in over TLS, as a mail program does. Raises smtplib's exceptions."""
        content = message if isinstance(message, bytes) else message.as_bytes(policy=SMTP)
        with self.session() as smtp:
            smtp.sendmail(sender or self.address, list(recipients), content, ["BODY=8BITMIME"])

    @contextmanager
    def session(self) -> Iterator[smtplib.SMTP_SSL]:
        """Give a session that is signed in."""
        context = ssl.create_default_context(cafile=str(self.platform.home / "tls" / "ca.crt"))
        place = ("127.0.0.1", self.platform.submissions_port, CLIENT)
        with smtplib.SMTP_SSL(*place, context=context, timeout=60) as smtp:
            smtp.login(self.address, self.app_password)
            yield smtp

    def http(self) -> httpx.Client:
        """Return an HTTP client in the session of the account."""
        headers = {"Cookie": f"{COOKIE}={self.client.token}", "Origin": self.platform.url}
        return httpx.Client(base_url=self.platform.url, headers=headers, timeout=30)

    def wait_mails(self, count: int = 1, folder: str = "inbox", seconds: float = 30.0) -> list[Mail]:
        """Return the mails in a folder, newest first, once there are so many."""
        wait_for(f"{count} mails in {folder}", lambda: len(self.client.list(folder)) >= count, seconds)
        return self.client.list(folder)


def sign_up(platform: RunningPlatform, name: str, domain: str = "", number: int = 1) -> Sender:
    """Make an account with an app password; `number` gives it a client address of its own, by which limits count."""
    address = f"{name}@{domain or platform.member_domain}"
    transport = httpx.HTTPTransport(local_address=f"127.78.0.{number}")
    client = Client(platform.url, transport=transport)
    client.signup(address, PASSWORD)
    sender = Sender(platform, address, client, "")
    with sender.http() as http:
        given = {"kind": "app_password", "label": "program", "scopes": ["smtp:send"]}
        answer = http.post("/v1/credentials", json=given).raise_for_status()
    sender.app_password = str(answer.json()["secret"])
    return sender


def letter(sender: str, to: str, subject: str = "A letter", text: str = "Plain words.\n") -> EmailMessage:
    """Return a mail."""
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = sender, to, subject
    message.set_content(text)
    return message
