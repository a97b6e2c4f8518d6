"""The words of mail out: what is submitted, what is tried, what came of it. Knows no wire."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from libs.mail.verdict import Verdict


class Profile(Enum):
    """Whose rules hold for an account."""

    SEALED = "sealed"
    PUBLIC = "public"
    MAILING = "mailing"
    RELAY = "relay"


class State(Enum):
    """How it stands with one recipient of one mail."""

    QUEUED = "queued"
    DELIVERED = "delivered"
    BOUNCED = "bounced"
    SUPPRESSED = "suppressed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


class Way(Enum):
    """Why a mail that nobody submitted goes out."""

    # A copy of incoming mail, to where its account has it forwarded.
    COPY = "copy"
    # A report about such a copy, back to the sender of the mail.
    RETURN = "return"


@dataclass(frozen=True, slots=True)
class Forwarded:
    """Of a mail that came in and goes on: the domain that vouches for it, and what the MX knew of its sender.

    `Order.mail_from` of a copy is the original sender: what it goes out with is made of it (forwards.srs).
    """

    way: Way
    domain: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Order:
    """A mail as it was submitted; see sealpost.delivery.v1.SubmitItem. Times are Unix seconds."""

    submission_id: str
    account_id: str
    profile: Profile
    mail_from: str
    recipients: Sequence[str]
    content: bytes
    send_at: int = 0
    idempotency_key: str = ""
    campaign: str = ""
    one_click_unsubscribe: bool = False
    smtputf8: bool = False
    # None for what the account itself has submitted.
    forwarded: Forwarded | None = None
    # The version of the policy whose numbers hold for what is kept of the mail; 0: the one in force.
    terms: int = 0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One mail on its way to some recipients at one domain.

    `content` is complete, signed, CRLF. With `return_path` "" (a report) nothing ever comes back for it.
    """

    domain: str
    return_path: str
    recipients: tuple[str, ...]
    content: bytes
    smtputf8: bool = False


class Result(Enum):
    """What an attempt came to, for one recipient."""

    DELIVERED = "delivered"
    # Try again later: a 4xx, no answer, no connection, a TLS policy that could not be met.
    TEMPORARY = "temporary"
    # Never: a 5xx, no such domain, a null MX (RFC 7505).
    PERMANENT = "permanent"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one attempt for one recipient.

    `text` is what the other side said, cleaned and at most 500 characters: it may name people, so it goes into the
    sealed report to the sender and nowhere else. `host` is the MX that was spoken to, "" if none.
    `elsewhere`: nothing was wrong with this recipient, the destination as a whole did not answer. `tls` says what
    protected the way, in words of the policy; "" where there was no connection.
    """

    result: Result
    # RFC 5321 reply code, 0 where none came.
    code: int = 0
    # RFC 3463, e.g. "4.4.1".
    status: str = ""
    text: str = ""
    host: str = ""
    elsewhere: bool = False
    tls: str = field(default="", compare=False)


class Transport(Protocol):
    """Brings mail to the MX of a domain."""

    async def send(self, outgoing: Outgoing) -> Sequence[Outcome]:
        """Return the outcome for each recipient, in their order.

        Never raises for a fault of the other side, of DNS or of the network; all of these are outcomes. Bounded in
        time (RFC 5321 4.5.3.2 gives the limits for each command).
        """

    def busy(self, domain: str) -> bool:
        """Tell whether a `send` to this domain would have to wait: its connections are all in use, or it is known
        not to answer for the moment."""


class Signer(Protocol):
    """Signs mail with DKIM."""

    async def sign(self, content: bytes, domain: str) -> bytes:
        """Return `content` with DKIM-Signature fields for `domain` in front (RFC 6376): Ed25519 and RSA.

        Raises SealpostError if crypto cannot sign now; the mail then waits, unsigned mail is not sent.
        """


@dataclass(slots=True)
class Recipient:
    """One recipient in the queue."""

    address: str
    state: State = State.QUEUED
    attempts: int = 0
    # Unix seconds of the next attempt.
    due: int = 0
    status: str = ""
    # Last reply, for the report; see Outcome.text.
    text: str = ""
    host: str = ""
    # Whether the sender has a report, or one is decided, that it waits, and that it failed.
    delay_told: bool = False
    failure_told: bool = False


@dataclass(slots=True)
class QueuedMail:
    """A mail in the queue, opened. `version` is the fence: settling with another one fails."""

    mail_id: str
    order: Order
    # Unix seconds.
    submitted_at: int
    recipients: list[Recipient] = field(default_factory=list)
    version: int = 0
