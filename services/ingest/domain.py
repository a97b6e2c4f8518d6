"""What mail in is about: the mail, and the checks of its sender. Knows no wire."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from libs.mail.letter import Letter
from libs.mail.verdict import Verdict
from libs.mailbox.model import Recipient


@dataclass(slots=True)
class Client:
    """Who speaks, as far as it is written into the mail."""

    address: str
    hello: str = ""
    extended: bool = False
    tls: bool = False


@dataclass(slots=True)
class Mail:
    """A mail that has been read to its end, and everything around it that the inbound path needs."""

    client: Client
    sender: str
    recipients: Sequence[Recipient]
    content: bytearray
    smtputf8: bool = False


class Authentication(Protocol):
    """One mail's checks: begun at MAIL, finished after DATA."""

    async def finish(self, letter: Letter) -> Verdict:
        """Return what was found, in bounded time; never raises for a fault of DNS or of the mail."""

    def cancel(self) -> None:
        """Drop checks that nobody waits for any more. Idempotent."""


class Authenticator(Protocol):
    """Begins the checks of a mail."""

    def begin(self, client: Client, sender: str) -> Authentication:
        """Start what is known at MAIL: SPF for `sender` ("" for <>) from this client."""


class NoAuthentication:
    """Authentication and Authenticator where nothing is checked."""

    def begin(self, client: Client, sender: str) -> Authentication:
        """Return itself: there is nothing to remember."""
        return self

    async def finish(self, letter: Letter) -> Verdict:
        """Return that nothing is known."""
        return Verdict()

    def cancel(self) -> None:
        """Do nothing."""
