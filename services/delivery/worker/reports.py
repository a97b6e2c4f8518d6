"""Reports to senders, as domain.dsn writes them."""

from __future__ import annotations

from datetime import datetime

from services.delivery.domain.dsn import Dsn, make_dsn, site_of
from services.delivery.domain.queue import Judge, Report
from services.delivery.forwards.letters import make_failure
from services.delivery.queue.entry import Entry


class DsnReporter:
    """parts.Reporter."""

    def __init__(self, hostname: str, judge: Judge) -> None:
        """Take our name, and who knows how long a mail is tried."""
        self._site = site_of(hostname)
        self._judge = judge

    def make(self, entry: Entry, content: bytes, report: Report, now: datetime) -> bytes:
        """See parts.Reporter."""
        mail = entry.mail
        if mail.order.forwarded is not None:
            return make_failure(
                [mail.recipients[index] for index in report.indices], self._site, report.message_id, now
            )
        dsn = Dsn(
            kind=report.kind,
            sender=mail.order.mail_from,
            recipients=[mail.recipients[index] for index in report.indices],
            content=content,
            arrived_at=mail.submitted_at,
            retry_until=self._judge.given_up_at(mail),
        )
        return make_dsn(dsn, self._site, report.message_id, now)
