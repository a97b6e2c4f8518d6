"""What becomes of a mail in the queue: the rules, without where it is kept and how it is sent.

A recipient is queued until it is delivered, refused for good, suppressed, cancelled or given up. Each change is told
as a happening before it is written down; what the sender must be told in a mail becomes a report. That a report is to
be made is written down with the mail, and it is delivered after that, so none is lost and none is made twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from services.delivery.domain.events import event_id_of
from services.delivery.domain.model import Outcome, Profile, QueuedMail, Recipient, Result, State, Way
from services.delivery.domain.ports import Happening, Kind
from services.delivery.domain.schedule import Schedule

MAX_TEXT = 500
_DAY = 86400
_KINDS = {
    State.DELIVERED: Kind.DELIVERED,
    State.BOUNCED: Kind.BOUNCED,
    State.SUPPRESSED: Kind.SUPPRESSED,
    State.CANCELLED: Kind.CANCELLED,
    State.EXPIRED: Kind.EXPIRED,
}

_FAILED = frozenset((State.BOUNCED, State.EXPIRED))
# Businesses that relay hear of the ones that they do not send to by events; a person has nothing but this mail.
_UNSENT = _FAILED | {State.SUPPRESSED}


class ReportKind(Enum):
    """What the sender is told."""

    FAILURE = "failure"
    DELAY = "delay"


@dataclass(frozen=True, slots=True)
class Report:
    """A mail to the sender that is decided and not yet delivered. `message_id` is that in the sender's mailbox."""

    kind: ReportKind
    message_id: str
    # Positions among the recipients.
    indices: tuple[int, ...]
    # Unix seconds.
    at: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What was found when the mail was prepared."""

    # With its brackets.
    message_id: str
    # Of the first address in From; lower case, A-labels.
    sender_domain: str
    auto_submitted: bool


def starts_at(mail: QueuedMail) -> int:
    """Return when the mail was to be sent, in Unix seconds."""
    return max(mail.submitted_at, mail.order.send_at)


def pending(mail: QueuedMail) -> list[int]:
    """Return the positions of the recipients that wait for an attempt."""
    return [index for index, one in enumerate(mail.recipients) if one.state is State.QUEUED]


def next_due(mail: QueuedMail) -> int:
    """Return when the next attempt is due, 0 if there is none."""
    return min((mail.recipients[index].due for index in pending(mail)), default=0)


def settle(mail: QueuedMail, index: int, state: State, told: list[Happening], now: int) -> None:
    """Put a recipient into a state that is not QUEUED, and add that to what is to be `told`."""
    one = mail.recipients[index]
    one.state, one.due = state, 0
    _note(mail, index, _KINDS[state], told, now)


@dataclass(frozen=True, slots=True)
class Judge:
    """Makes of the outcome of an attempt what becomes of the recipient."""

    schedule: Schedule

    def apply(self, mail: QueuedMail, index: int, outcome: Outcome, told: list[Happening], now: int) -> None:
        """Note an attempt. `now` is in Unix seconds."""
        one = mail.recipients[index]
        one.attempts += 1
        one.status, one.text, one.host = outcome.status, outcome.text[:MAX_TEXT], outcome.host
        until = self.given_up_at(mail)
        if outcome.result is Result.DELIVERED:
            one.status = outcome.status or "2.0.0"
            settle(mail, index, State.DELIVERED, told, now)
        elif outcome.result is Result.PERMANENT:
            one.status = outcome.status or "5.0.0"
            settle(mail, index, State.BOUNCED, told, now)
        elif now >= until:
            self.expire(mail, index, told, now)
        else:
            one.status = outcome.status or "4.0.0"
            one.due = self.schedule.next_attempt(one.attempts, now, until)
            _note(mail, index, Kind.DEFERRED, told, now)

    def is_over(self, mail: QueuedMail, now: int) -> bool:
        """Tell whether the time for attempts is over."""
        return now >= self.given_up_at(mail)

    def given_up_at(self, mail: QueuedMail) -> int:
        """Return when the time for attempts is over, in Unix seconds."""
        return starts_at(mail) + self.schedule.max_age(mail.order.terms)

    def expire(self, mail: QueuedMail, index: int, told: list[Happening], now: int) -> None:
        """Give a recipient up."""
        one = mail.recipients[index]
        # RFC 3463: delivery time expired. What was said last stays in the text.
        one.status = "4.4.7"
        settle(mail, index, State.EXPIRED, told, now)

    def reports(self, mail: QueuedMail, facts: Facts, now: int) -> list[Report]:
        """Decide, and note, what the sender must be told by mail now.

        Never about a report (a mail from <>), and nothing of delays where a program wrote the mail (RFC 3834).
        """
        late = now >= starts_at(mail) + self.schedule.notice_after
        failed: list[int] = []
        delayed: list[int] = []
        worth_telling = _FAILED if mail.order.profile is Profile.RELAY else _UNSENT
        for index, one in enumerate(mail.recipients):
            if one.state in worth_telling and not one.failure_told:
                one.failure_told = True
                failed.append(index)
            elif late and one.state is State.QUEUED and one.attempts and not one.delay_told:
                one.delay_told = True
                delayed.append(index)
        if mail.order.forwarded is not None:
            # Not the sender: his mail has arrived, and where it is forwarded is none of his business.
            tell = failed and mail.order.forwarded.way is Way.COPY
            return [_daily_report(mail, failed, now)] if tell else []
        if not mail.order.mail_from:
            return []
        reports = [_report(mail, ReportKind.FAILURE, failed, now)] if failed else []
        if delayed and not facts.auto_submitted:
            reports.append(_report(mail, ReportKind.DELAY, delayed, now))
        return reports


def message_id_of(mail_id: str, place: str, at: int) -> str:
    """Return an id as libs.runtime.ids.new_message_id makes them, the same for the same mail, place and time.

    What is stored under it again, in a repetition after a crash, is stored once.
    """
    return f"{at:010x}{hashlib.sha256(f'{mail_id}/{place}'.encode()).hexdigest()[:22]}"


def _report(mail: QueuedMail, kind: ReportKind, indices: Sequence[int], now: int) -> Report:
    first = mail.recipients[indices[0]]
    place = f"report/{kind.value}/{indices[0]}/{first.attempts}"
    return Report(kind, message_id_of(mail.mail_id, place, now), tuple(indices), now)


def _daily_report(mail: QueuedMail, indices: Sequence[int], now: int) -> Report:
    """Return the report about copies that could not be forwarded: one a day, for its id is that of the day."""
    day = now - now % _DAY
    place = message_id_of(mail.order.account_id, "forwards/failed", day)
    return Report(ReportKind.FAILURE, place, tuple(indices), now)


def _note(mail: QueuedMail, index: int, kind: Kind, told: list[Happening], now: int) -> None:
    one: Recipient = mail.recipients[index]
    order = mail.order
    if order.forwarded is not None:
        # What becomes of strangers' mail says nothing about the account's own sending.
        return
    told.append(
        Happening(
            event_id=event_id_of(mail.mail_id, index, kind, one.attempts if kind is Kind.DEFERRED else 0),
            kind=kind,
            at=now,
            account_id=order.account_id,
            profile=order.profile,
            submission_id=mail.mail_id,
            campaign=order.campaign,
            recipient=one.address,
            status=one.status,
            terms=order.terms,
        )
    )
