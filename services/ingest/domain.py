"""What mail in is about: the mail, the checks of its sender, and mail that its sender submits. Knows no wire."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from libs.mail.letter import Letter
from libs.mail.verdict import Verdict
from libs.mailbox.model import Recipient
from libs.runtime.secret import Secret


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


@dataclass(frozen=True, slots=True)
class Proof:
    """What a client says to be: an address and an app password."""

    address: str
    password: Secret[str]


@dataclass(frozen=True, slots=True)
class Submitter:
    """Who has signed in. `profile` is a number of sealpost.common.v1.Profile and means nothing here; `relay` tells
    whether the account is one that sends much, `terms` the version of the policy that holds for it."""

    account_id: str
    profile: int
    relay: bool
    terms: int = 0


@dataclass(slots=True)
class SignedIn:
    """Whoever has signed in on a connection, by which proof, and until when (monotonic seconds) that is believed."""

    submitter: Submitter
    proof: Proof
    until: float


@dataclass(slots=True)
class Submission:
    """A mail that its sender hands over. `content` is emptied on the way, so that a large mail is not held twice."""

    submission_id: str
    submitter: Submitter
    sender: str
    recipients: Sequence[str]
    content: bytearray
    smtputf8: bool = False


class Proofs(Protocol):
    """Of the service accounts."""

    async def sign_in(self, proof: Proof) -> Submitter:
        """Return who is behind an app password that may send.

        Raises:
            UnauthenticatedError: nobody is, or it must not send.
            ExhaustedError: "too_many_attempts" with this address; whether the password is right was not looked at.
            SealpostError: accounts cannot tell.
        """


class Sends(Protocol):
    """Of the service billing: what an account may send by its plan. Each recipient of a mail is one unit."""

    async def take(self, submitter: Submitter, units: int) -> None:
        """Take units.

        Raises:
            ExhaustedError: "allowance_used" until tomorrow, "plan_lacks" or "read_only" until something changes.
            UnavailableError: it cannot be told now.
        """

    def give_back(self, submitter: Submitter, units: int) -> None:
        """Take back what was not sent after all."""


class Outbox(Protocol):
    """Of the service delivery: takes mail that is to be sent."""

    async def may_send(self, account_id: str, sender: str) -> bool:
        """Tell whether an account may send with an address. Raises SealpostError if delivery cannot tell."""

    async def submit(self, submission: Submission) -> str:
        """Return the id of the submission once it is durable. Other submissions are not affected by a failure.

        Raises SealpostError: it is not sent, or, for "deadline" and "unreachable" alone, it is not known.
        """


class ReturnPaths(Protocol):
    """Of the service delivery: takes what comes back for mail that was sent."""

    async def known(self, address: str) -> bool:
        """Tell whether reports are expected at an address.

        Raises InvalidError for one of a forwarded mail that is forged, too old or used up (replies says which), and
        SealpostError if delivery cannot tell.
        """

    async def take(self, address: str, content: bytearray) -> None:
        """Return once a report is durable. Raises SealpostError: it may not be."""


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
