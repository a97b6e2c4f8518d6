"""The MX: takes mail for addresses of this installation from anybody, and relays none.

A recipient is a mailbox here, or a return path: the address that a mail of ours went out with, at which its bounces and
complaints come back. Such a mail goes to delivery and nobody else, so it has that one recipient. Whatever is neither is
refused at RCPT, for after the 250 nothing bounces (backscatter).
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import ClassVar

from libs.mail.addresses import Path
from libs.mailbox.model import Accounts, Recipient, Standing
from services.ingest import meters, replies
from services.ingest.connection import Transaction
from services.ingest.domain import Authenticator, Mail, ReturnPaths
from services.ingest.receive import Inbound
from services.ingest.site import Site
from services.ingest.smtp import Edge

_REFUSED = {
    Standing.NOT_OURS: replies.NOT_OURS,
    Standing.UNKNOWN: replies.UNKNOWN_RECIPIENT,
    Standing.SUSPENDED: replies.SUSPENDED,
    Standing.INVALID: replies.BAD_RECIPIENT,
}
# Return paths of forwarded mail (SRS): what comes there goes on to a stranger, so it must be a report.
_FORWARDED = ("srs0", "srs1")


@dataclass(frozen=True, slots=True)
class Parts:
    """What the MX hands its mail to. `return_paths` is None where there is no domain for them."""

    accounts: Accounts
    authenticator: Authenticator
    inbound: Inbound
    return_paths: ReturnPaths | None


class MxEdge(Edge):
    """One connection to the MX."""

    meter: ClassVar[meters.Meter] = meters.RECEIVED
    span: ClassVar[str] = "receive"
    port: ClassVar[str] = "mx"

    def __init__(self, site: Site, parts: Parts, loop: asyncio.AbstractEventLoop) -> None:
        """Serve for `site`."""
        super().__init__(site, loop)
        self._parts = parts

    def begin_mail(self) -> None:
        """Begin the checks of the sender."""
        transaction = self.transaction
        transaction.authentication = self._parts.authenticator.begin(self.client, transaction.mail_from or "")

    async def take_recipient(self, path: Path) -> bool:
        """Accept mailboxes and return paths, never both in one mail."""
        transaction, address = self.transaction, path.address
        paths = self._parts.return_paths
        report = paths is not None and path.domain.lower() == self.settings.bounce_domain.lower()
        if transaction.rcpt_tos and (report or not transaction.recipients):
            await self.push(replies.TOO_MANY_RECIPIENTS)
            return False
        if report and transaction.mail_from and address.lower().startswith(_FORWARDED):
            return await self.mistake(replies.ONLY_REPORTS)
        if paths is not None and report:
            standing = Standing.OK if await paths.known(address) else Standing.UNKNOWN
        else:
            route = await self._parts.accounts.resolve(address)
            standing = route.standing
            if standing is Standing.OK:
                transaction.recipients.append(Recipient(address, route))
        meters.RECIPIENTS.inc(outcome=standing.value)
        if standing is Standing.OK:
            transaction.rcpt_tos.append(address)
            await self.push(replies.RECIPIENT_OK)
            return False
        self.visit.note("refused")
        if standing is Standing.UNKNOWN and self.site.count_unknown(self.key):
            return await self.break_off("unknown", replies.TOO_MANY_UNKNOWN)
        return await self.mistake(_REFUSED[standing])

    async def hand_over(self, content: bytearray) -> str:
        """Accept once the sealed copies, or the report, are durable."""
        transaction, paths = self.transaction, self._parts.return_paths
        if transaction.recipients or paths is None:
            mail, size = _mail(self, transaction, content), len(content)
            del content
            delivery_id = await self._parts.inbound.receive(mail, transaction.authentication)
            self.visit.stored(mail.recipients, size)
            return replies.accepted(delivery_id)
        await paths.take(transaction.rcpt_tos[0], content)
        meters.REPORTS.inc()
        return replies.REPORT_OK


def _mail(edge: MxEdge, transaction: Transaction, content: bytearray) -> Mail:
    sender = transaction.mail_from or ""
    return Mail(edge.client, sender, transaction.recipients, content, transaction.smtp_utf8)
