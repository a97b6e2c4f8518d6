"""What events say of use: one decoder for each subject.

A mailbox is counted under its own id, since whoever stores a mail knows no account; the account's other uses are
counted under the account's. A statement puts both together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from google.protobuf.message import DecodeError

from libs.docstore.store import Event
from libs.runtime.errors import InvalidError
from protos.events.v1.events_pb2 import MailDelivered, MailStored
from services.billing.domain.model import DAY, Meter
from services.billing.metering.intake import Use

# Of a message id: Unix seconds of receipt, in hexadecimal (libs.runtime.ids.new_message_id).
_TIME_DIGITS = 10


def use_of(event: Event) -> Use | None:
    """Return what an event says was used, None if that is nothing anybody pays for.

    Raises: InvalidError("event") for a subject that nobody here knows, or a payload that says nothing.
    """
    decode = DECODERS.get(event.subject)
    if decode is None:
        raise InvalidError("event")
    try:
        return decode(event)
    except (DecodeError, ValueError) as error:
        raise InvalidError("event") from error


def _mail_stored(event: Event) -> Use | None:
    stored = MailStored.FromString(event.payload)
    if not stored.owned:
        return None
    if not stored.mailbox_id:
        raise ValueError("no mailbox")
    day = int(stored.message_id[:_TIME_DIGITS], 16) // DAY
    return Use(event.event_id, stored.mailbox_id, Meter.MAILS_STORED, day)


def _mail_delivered(event: Event) -> Use:
    delivered = MailDelivered.FromString(event.payload)
    if not delivered.account_id or delivered.day <= 0:
        raise ValueError("no account or no day")
    return Use(event.event_id, delivered.account_id, Meter.MAILS_DELIVERED, delivered.day)


DECODERS: Mapping[str, Callable[[Event], Use | None]] = {
    "mail.stored.v1": _mail_stored,
    "mail.delivered.v1": _mail_delivered,
}
"""By subject."""
