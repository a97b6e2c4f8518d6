"""What the parts of this service ask of each other: who does it is composed in main.

The queue (services/delivery/queue, worker) knows customers only through these Protocols; what belongs to customers
(services/delivery/customers) and reports knows the queue only through them. All are called from many tasks at once, so
whoever keeps something gathers calls into batches; none may take a second for a single call when nothing is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from libs.docstore.store import Insert, Written
from services.delivery.domain.model import Profile, QueuedMail, State


class Kind(Enum):
    """What can happen to a recipient; the words of sealpost.delivery.v1.Event.type."""

    DELIVERED = "delivered"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    SUPPRESSED = "suppressed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    UNSUBSCRIBED = "unsubscribed"


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that happened to one recipient of one mail.

    `event_id` (32 hexadecimal digits, see `event_id_of`) is the same whenever the same thing is told again.
    """

    event_id: str
    kind: Kind
    # Unix seconds.
    at: int
    account_id: str
    profile: Profile
    submission_id: str
    campaign: str
    recipient: str
    # RFC 3463, "" where there is none.
    status: str = ""
    # See Order.terms.
    terms: int = 0


class Happenings(Protocol):
    """Events, webhooks, suppression after a hard bounce or a complaint, and the standing of the account."""

    async def note(self, happenings: Sequence[Happening]) -> None:
        """Return once they are durable; told again they change nothing.

        The worker calls this before it settles the mail, so that nothing settled goes untold. A crash between the two
        has it told again. Raises UnavailableError where that cannot be done now.
        """


@dataclass(frozen=True, slots=True)
class Beside:
    """All that follows from happenings, where that is writes alone: they may go into one commit with something else.

    `written` is to be called with their results when they are durable. It raises what is wrong with one of them for
    good.
    """

    writes: Sequence[Insert]
    written: Callable[[Sequence[Written | Exception]], None]


class Teller(Protocol):
    """Tells happenings together with the end of the mail that they are about."""

    async def beside(self, happenings: Sequence[Happening]) -> Beside | None:
        """Return what to write, or None where more follows and `Happenings.note` is to be called before.

        Raises: UnavailableError.
        """


class Limits(Protocol):
    """How much an account may send, and whether it may at all."""

    async def reserve(self, account_id: str, profile: Profile, recipients: int) -> None:
        """Count `recipients` of one mail against the limits of the account, all or none.

        Raises: InvalidError("too_many_recipients"), ExhaustedError("recipients_per_minute" | "recipients_per_day") with
        retry_after, DeniedError("sending_paused"), UnavailableError. What was reserved for a mail that then was not
        taken is not given back.
        """


class Senders(Protocol):
    """Domains of customers."""

    async def verified(self, account_id: str, domain: str) -> bool:
        """Tell whether the account has proved that it may send with `domain` (lower case, A-labels)."""


class Campaigns(Protocol):
    """Campaigns that were stopped."""

    async def stopped(self, account_id: str, campaign: str) -> bool:
        """Tell whether the account has stopped this campaign; asked at submission and before each attempt."""


class Suppressions(Protocol):
    """Addresses that an account does not send to."""

    async def of(self, account_id: str, addresses: Sequence[str]) -> Collection[str]:
        """Return those of at most 1,000 `addresses`, as they are written there, that are suppressed."""


@dataclass(frozen=True, slots=True)
class Trace:
    """What is still known of one recipient of a mail, while it is queued and for 30 days after."""

    mail_id: str
    account_id: str
    profile: Profile
    mail_from: str
    campaign: str
    # Unix seconds.
    submitted_at: int
    message_id: str
    # Position among the recipients of the mail.
    index: int
    address: str
    state: State
    status: str
    # See Order.terms.
    terms: int = 0


class Trails(Protocol):
    """What the queue tells of mails to whoever handles bounces, complaints and clicks that come back later."""

    async def find(self, mail_id: str) -> Sequence[Trace]:
        """Return all recipients of a mail in their order; nothing if it is unknown or forgotten."""

    async def bounced(self, mail_id: str, index: int, status: str) -> bool:
        """Note that a recipient that counted as delivered bounced after all; tell whether that was news."""


class Stopper(Protocol):
    """Takes mails out of the queue."""

    async def stop_campaign(self, account_id: str, campaign: str) -> int:
        """Cancel every recipient of the campaign that is not sent yet; return how many recipients."""


@dataclass(frozen=True)
class PlatformLetter:
    """A letter of the platform to an account; see services.delivery.platform.

    `notice_id`, 32 hexadecimal digits, is the same whenever the same is announced; `purpose` is one of the policy's.
    """

    notice_id: str
    account_id: str
    purpose: str
    name: str
    fields: Mapping[str, str] = field(default_factory=dict)


class Letters(Protocol):
    """The one way for letters of the platform."""

    async def send(self, letter: PlatformLetter) -> None:
        """Bring a letter to its account, durably, once for each notice.

        Raises: InvalidError("notice_id" | "letter" | "letter_fields"), DeniedError("purpose" | "no_consent"),
        NotFoundError("account_not_found"), UnavailableError.
        """


class Notices(Protocol):
    """Puts mails into the mailboxes of accounts."""

    async def put(self, account_id: str, notice_id: str, content: bytes) -> None:
        """Store `content` (a whole mail, CRLF) in the mailbox of the account, once for each `notice_id`.

        `notice_id` is a message id (libs.runtime.ids.new_message_id), kept by the caller and given again in a
        repetition. A mailbox that is gone or full for good loses the mail; UnavailableError otherwise.
        """


class Unsubscribes(Protocol):
    """One click out of a list (RFC 8058)."""

    def fields(self, mail: QueuedMail, index: int) -> bytes:
        """Return List-Unsubscribe and List-Unsubscribe-Post for one recipient of a mail, CRLF at the end of each."""


class Domains(Protocol):
    """Which domains are served here."""

    async def own(self) -> Collection[str]:
        """Return them, lower case, A-labels. Raises: UnavailableError."""


class AccountAddresses(Protocol):
    """Where accounts are reached."""

    async def address(self, account_id: str) -> str:
        """Return the address of an account. Raises: NotFoundError, UnavailableError."""
