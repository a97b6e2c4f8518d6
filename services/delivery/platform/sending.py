"""The one way for mail of the platform itself.

    1. the letter belongs to the purpose       libs/policy/policy.yaml, mail
    2. accounts says that, and where, the account may be reached for it; without that nothing goes out
    3. what is about to be sent is noted, with its time
    4. into the mailbox                        sealed like all mail there, under an id made of the notice's
    5. to the contact address, if there is one queued and signed as ours, from <>, so that nothing comes back
    6. that it was sent is noted

Whoever dies between two of them comes again with the same notice: 4 and 5 are made of what 3 has noted, so the mailbox
and the queue know what they have already. After 6 the same notice changes nothing. A mailbox that is full, or an
account that is gone, loses the letter: there is nobody to tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from libs.docstore.fields import number
from libs.docstore.store import Body, Collection, Document, Index, Insert, Patch, Store
from libs.policy import Policy, Terms
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, DeniedError, InvalidError, NotFoundError, UnavailableError
from libs.runtime.ids import is_id
from libs.telemetry import metrics
from services.delivery.customers.marks import Marks
from services.delivery.domain.addresses import check_recipient, domain_key
from services.delivery.domain.dsn import Site
from services.delivery.domain.model import Order, Profile
from services.delivery.domain.plain_mail import Head, plain_mail
from services.delivery.domain.ports import Notices, PlatformLetter
from services.delivery.domain.prepare import Prepared
from services.delivery.domain.queue import message_id_of
from services.delivery.domain.submission import Queue
from services.delivery.platform.consent import ConsentLinks, fields_of
from services.delivery.platform.letter import Place, Written
from services.delivery.platform.letters import names, write

# key = id of the notice: {account: mark, at: Unix seconds, sent, expires}
PLATFORM = Collection(
    "platform_mail",
    (Index("expires", ("expires",)), Index("account", ("account", "expires"))),
    fields=("account", "at", "sent", "expires"),
)

_NEWSLETTER = "newsletter"
_SENT = metrics.counter(
    "sealpost_delivery_platform_letters_total",
    "Letters of the platform to accounts, by what they were.",
    {"letter": tuple(names())},
)


class Reaching(Protocol):
    """Of the service accounts: the choke point."""

    async def reach(self, account_id: str, purpose: str) -> Sequence[str]:
        """Return the account's address, and after it its contact address where purpose and consent allow it.

        Raises: DeniedError("no_consent" | "purpose"), NotFoundError("account_not_found"), UnavailableError.
        """


@dataclass(frozen=True)
class PlatformParts:
    """What letters are sent with."""

    store: Store
    marks: Marks
    policy: Policy
    terms: Terms
    accounts: Reaching
    mailboxes: Notices
    consents: ConsentLinks
    site: Site
    public_url: str
    clock: Clock


class PlatformMail:
    """Sends letters. Implements domain.ports.Letters."""

    def __init__(self, parts: PlatformParts) -> None:
        """Take these."""
        self._parts = parts
        self.consents = parts.consents
        # For contact addresses; set before anything is sent.
        self.queue: Queue | None = None

    async def send(self, letter: PlatformLetter) -> None:
        """Bring a letter to its account, durably, once for each notice.

        Raises: InvalidError("notice_id" | "letter" | "letter_fields"), DeniedError("purpose" | "no_consent"),
        NotFoundError("account_not_found"), UnavailableError.
        """
        parts = self._parts
        if not is_id(letter.notice_id) or not is_id(letter.account_id):
            raise InvalidError("notice_id")
        written = write(letter.name, letter.fields, Place(parts.site.domain, parts.public_url))
        if not self._belongs(letter):
            raise DeniedError("purpose")
        if self._is_sent(letter, await parts.store.get(PLATFORM, letter.notice_id)):
            return
        addresses = await parts.accounts.reach(letter.account_id, letter.purpose)
        noted = await self._noted(letter)
        if self._is_sent(letter, noted):
            return
        at = number(noted.body, "at")
        message_id = message_id_of(letter.notice_id, "platform/mailbox", at)
        await parts.mailboxes.put(letter.account_id, message_id, self._content(letter, written, message_id))
        for address in addresses[1:]:
            await self._queue(letter, written, address, message_id_of(letter.notice_id, f"platform/{address}", at))
        await parts.store.write(Patch(PLATFORM, letter.notice_id, {"sent": True}))
        _SENT.inc(letter=letter.name)

    def _belongs(self, letter: PlatformLetter) -> bool:
        try:
            return self._parts.policy.purpose_of(letter.name) == letter.purpose
        except KeyError:
            return False

    def _is_sent(self, letter: PlatformLetter, found: Document | None) -> bool:
        if found is None:
            return False
        if found.body.get("account") != self._parts.marks.account(letter.account_id):
            raise InvalidError("notice_id")
        return found.body.get("sent") is True

    async def _noted(self, letter: PlatformLetter) -> Document:
        parts, now = self._parts, unix_seconds(self._parts.clock)
        body: Body = {
            "account": parts.marks.account(letter.account_id),
            "at": now,
            "sent": False,
            # By the terms in force: it guards against a second letter, and holds nothing but its time.
            "expires": now + parts.terms.rule("platform_mail_seconds"),
        }
        try:
            written = await parts.store.write(Insert(PLATFORM, letter.notice_id, body))
        except ConflictError:
            found = await parts.store.get(PLATFORM, letter.notice_id)
            if found is None:
                raise UnavailableError("contention") from None
            return found
        return Document(letter.notice_id, body, written.version)

    async def _queue(self, letter: PlatformLetter, written: Written, address: str, message_id: str) -> None:
        """Queue the letter for somewhere else; an address that is none any more is left out."""
        if self.queue is None:
            raise UnavailableError("queue")
        try:
            domain_key(check_recipient(address))
        except InvalidError:
            return
        site = self._parts.site
        content = self._content(letter, written, message_id, address)
        order = Order(
            message_id, letter.account_id, Profile.SEALED, "", (address,), b"", smtputf8=not address.isascii()
        )
        prepared = Prepared(content, f"<{message_id}@{site.domain}>", (), site.domain, auto_submitted=True)
        try:
            await self.queue.put(order, prepared)
        except ConflictError:
            # It was queued before a crash.
            return
        except NotFoundError:
            # The account is being erased.
            return

    def _content(self, letter: PlatformLetter, written: Written, message_id: str, to: str = "") -> bytes:
        paragraphs, fields = written.paragraphs, ""
        if letter.purpose == _NEWSLETTER:
            url = self._parts.consents.url(letter.account_id)
            fields, paragraphs = fields_of(url), (*paragraphs, "Never again, with one click:", url)
        head = Head(written.subject, message_id, to, fields)
        content = plain_mail(head, paragraphs, self._parts.site, self._parts.clock.now())
        return content if to else b"Return-Path: <>\r\n" + content
