"""Events and the uses that they tell of."""

from __future__ import annotations

import pytest

from libs.docstore.store import Event
from libs.runtime.errors import InvalidError
from libs.runtime.ids import new_message_id
from protos.events.v1.events_pb2 import MailDelivered, MailStored
from services.billing.domain.model import DAY, Meter
from services.billing.metering.decoding import use_of
from services.billing.metering.intake import Use
from tests.support.clock import START, ManualClock

MESSAGE = new_message_id(ManualClock())


def _event(subject: str = "mail.stored.v1", **fields: object) -> Event:
    payload = MailStored(**{"mailbox_id": "box", "message_id": MESSAGE, "owned": True, **fields})  # type: ignore[arg-type]
    return Event("id", subject, payload.SerializeToString())


def test_a_stored_mail_counts_for_its_mailbox_on_the_day_it_came() -> None:
    assert use_of(_event()) == Use("id", "box", Meter.MAILS_STORED, int(START.timestamp()) // DAY)


def _delivered(account_id: str = "account", day: int = 20_000) -> Event:
    return Event("id", "mail.delivered.v1", MailDelivered(account_id=account_id, day=day).SerializeToString())


def test_a_delivered_mail_counts_for_the_account_that_sent_it() -> None:
    assert use_of(_delivered()) == Use("id", "account", Meter.MAILS_DELIVERED, 20_000)


def test_what_belongs_to_nobody_is_not_counted() -> None:
    assert use_of(_event(owned=False)) is None


@pytest.mark.parametrize(
    "event",
    [
        _event("mail.unheard.v1"),
        _event(mailbox_id=""),
        _event(message_id=""),
        _event(message_id="zz"),
        Event("id", "mail.stored.v1", b"\xff\xff"),
        Event("id", "mail.delivered.v1", b"\xff\xff"),
        _delivered(account_id=""),
        _delivered(day=0),
        _delivered(day=-1),
    ],
)
def test_what_says_nothing_is_refused(event: Event) -> None:
    with pytest.raises(InvalidError, match=r"^event$"):
        use_of(event)
