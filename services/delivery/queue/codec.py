"""Mails to documents and back.

The order with all addresses and replies is one JSON, sealed under the mail's own data key; the content is sealed under
the same key, in the document or in pieces. What stays of a settled mail, its trail, is sealed under the service's own
key instead: the mail's key is destroyed then.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from libs.docstore.store import Body, Document, Value
from libs.envelope import KeyedHash, Vault, open_sealed, place_of, seal
from libs.mail.verdict import Verdict
from libs.runtime.errors import InternalError, InvalidError
from libs.runtime.secret import Secret
from services.delivery.customers.marks import Marks
from services.delivery.domain.addresses import domain_key
from services.delivery.domain.model import Forwarded, Order, Profile, QueuedMail, Recipient, State, Way
from services.delivery.domain.ports import Happening, Kind, Trace
from services.delivery.domain.queue import Facts, Report, ReportKind, pending
from services.delivery.queue.collections import QUEUED, SETTLED
from services.delivery.queue.entry import Entry

INLINE_BYTES = 32 * 1024
PIECE_BYTES = 1024 * 1024
# Destinations of a mail that are worth naming in its document.
_MAX_DESTINATIONS = 20

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Hashes:
    """What stands in documents instead of names."""

    def __init__(self, hashes: KeyedHash) -> None:
        """Take the keyed hash of the service."""
        self._hashes = hashes
        self._marks = Marks(hashes)

    def account(self, account_id: str) -> bytes:
        """Return what stands for an account."""
        return self._hashes.digest("delivery/account", account_id.encode())

    def campaign(self, account_id: str, campaign: str) -> bytes | None:
        """Return what stands for a campaign of an account, None for none."""
        return self._hashes.digest("delivery/campaign", f"{account_id}/{campaign}".encode()) if campaign else None

    def destination(self, domain: str) -> bytes:
        """Return what stands for a domain that mail goes to."""
        return self._hashes.digest("delivery/destination", domain.encode())

    def idempotency(self, account_id: str, key: str) -> str:
        """Return the mark of the account and the name of a document for its key, with a slash between them."""
        name = self._hashes.digest("delivery/idempotency", f"{account_id}/{key}".encode())
        return f"{self._marks.account(account_id)}/{name.hex()}"

    def same(self, content: bytes) -> bytes:
        """Return what tells two submissions apart."""
        return self._hashes.digest("delivery/submission", content)


class MailCodec:
    """Encodes and decodes documents of the queue."""

    def __init__(self, hashes: Hashes, vault: Vault) -> None:
        """Take what hides names, and what seals trails."""
        self.hashes = hashes
        self._vault = vault

    def new(self, entry: Entry, due: int, until: int) -> dict[str, Value]:
        """Return the document of a new mail whose pieces, if any, are written."""
        order = entry.mail.order
        return {
            "state": QUEUED,
            "until": until,
            "submitted": entry.mail.submitted_at,
            "account": self.hashes.account(order.account_id),
            "campaign": self.hashes.campaign(order.account_id, order.campaign),
            "key_id": entry.key_id,
            "content": entry.sealed_content,
            "size": entry.size,
            "pieces": entry.pieces,
            "holder": entry.holder,
            "terms": order.terms,
            **self.progress(entry, due),
            "wait": entry.waits_for,
        }

    def progress(self, entry: Entry, due: int) -> dict[str, Value]:
        """Return the fields of a mail in the queue that change."""
        return {"due": due, "claims": 0, "wait": None, "to": self._destinations(entry.mail), "order": seal_order(entry)}

    def _destinations(self, mail: QueuedMail) -> list[Value]:
        domains = {domain_key(mail.recipients[index].address) for index in pending(mail)}
        if len(domains) > _MAX_DESTINATIONS:
            return []
        return [self.hashes.destination(domain) for domain in sorted(domains)]

    def open(self, document: Document, key: Secret[bytes]) -> Entry:
        """Return the mail of a document. Raises: InternalError("document_damaged")."""
        body = document.body
        try:
            order = json.loads(open_sealed(key, place_of("mail", document.key, "order"), _blob(body, "order")))
            inline = _blob(body, "content") if body.get("content") is not None else None
            content = None if inline is None else open_sealed(key, place_of("mail", document.key, "content"), inline)
        except (InvalidError, ValueError) as error:
            raise InternalError("document_damaged") from error
        entry = _entry(document.key, order, key)
        entry.key_id = str(body["key_id"])
        entry.content, entry.size, entry.pieces = content, _number(body, "size"), _number(body, "pieces")
        entry.mail.version = document.version
        entry.leased_until = _number(body, "due")
        entry.holder, entry.cancelled = str(body.get("holder") or ""), bool(body.get("cancel"))
        return entry

    def trail(self, entry: Entry, expires: int) -> dict[str, Value]:
        """Return the document that stays of a settled mail."""
        mail = entry.mail
        content = _encode(_order_object(entry)).encode()
        return {
            "state": SETTLED,
            "account": self.hashes.account(mail.order.account_id),
            "trail": self._vault.seal(place_of("mail", mail.mail_id, "trail"), content),
            "expires": expires,
        }

    def open_trail(self, document: Document) -> Entry:
        """Return a settled mail, without content and key. Raises: InternalError, UnavailableError("kek_missing")."""
        content = self._vault.open(place_of("mail", document.key, "trail"), _blob(document.body, "trail"))
        entry = _entry(document.key, json.loads(content), Secret(b""))
        entry.mail.version = document.version
        return entry


def traces(entry: Entry) -> list[Trace]:
    """Return what may be told of the recipients of a mail."""
    mail, order = entry.mail, entry.mail.order
    return [
        Trace(
            mail_id=mail.mail_id,
            account_id=order.account_id,
            profile=order.profile,
            mail_from=order.mail_from,
            campaign=order.campaign,
            submitted_at=mail.submitted_at,
            message_id=entry.facts.message_id,
            index=index,
            address=one.address,
            state=one.state,
            status=one.status,
            terms=order.terms,
        )
        for index, one in enumerate(mail.recipients)
    ]


def seal_order(entry: Entry) -> bytes:
    """Return the sealed order of a mail, the state of its recipients in it."""
    content = _encode(_order_object(entry)).encode()
    return seal(entry.key, place_of("mail", entry.mail.mail_id, "order"), content)


def seal_content(mail_id: str, key: Secret[bytes], content: bytes) -> tuple[bytes | None, list[bytes]]:
    """Return the sealed content for inside the document, or None and its sealed pieces."""
    if len(content) <= INLINE_BYTES:
        return seal(key, place_of("mail", mail_id, "content"), content), []
    starts = range(0, len(content), PIECE_BYTES)
    return None, [seal(key, _piece(mail_id, n), content[at : at + PIECE_BYTES]) for n, at in enumerate(starts)]


def open_pieces(mail_id: str, key: Secret[bytes], pieces: Iterable[bytes]) -> bytes:
    """Return what `seal_content` was given. Raises: InternalError("document_damaged")."""
    try:
        return b"".join(open_sealed(key, _piece(mail_id, n), piece) for n, piece in enumerate(pieces))
    except InvalidError as error:
        raise InternalError("document_damaged") from error


def _piece(mail_id: str, number: int) -> str:
    return place_of("mail", mail_id, f"content/{number}")


def _order_object(entry: Entry) -> dict[str, Any]:
    mail, order = entry.mail, entry.mail.order
    return {
        "v": 1,
        "account": order.account_id,
        "profile": order.profile.value,
        "from": order.mail_from,
        "submitted": mail.submitted_at,
        "send_at": order.send_at,
        "campaign": order.campaign,
        "unsubscribe": order.one_click_unsubscribe,
        "utf8": order.smtputf8,
        "forwarded": _forwarded_list(order.forwarded),
        "terms": order.terms,
        "message_id": entry.facts.message_id,
        "domain": entry.facts.sender_domain,
        "auto": entry.facts.auto_submitted,
        "to": [_recipient_list(one) for one in mail.recipients],
        "reports": [[one.kind.value, one.message_id, list(one.indices), one.at] for one in entry.reports],
        "untold": [[one.event_id, one.kind.value, one.at, one.recipient, one.status] for one in entry.untold],
    }


def _recipient_list(one: Recipient) -> list[Any]:
    return [one.address, one.state.value, one.attempts, one.due, one.status, one.text, one.host, _told(one)]


def _entry(mail_id: str, read: Mapping[str, Any], key: Secret[bytes]) -> Entry:
    recipients = [_recipient(one) for one in read["to"]]
    order = Order(
        submission_id=mail_id,
        account_id=read["account"],
        profile=Profile(read["profile"]),
        mail_from=read["from"],
        recipients=tuple(one.address for one in recipients),
        content=b"",
        send_at=read["send_at"],
        campaign=read["campaign"],
        one_click_unsubscribe=read["unsubscribe"],
        smtputf8=read["utf8"],
        forwarded=_forwarded(read.get("forwarded")),
        # Absent in what was written before accounts had terms of their own.
        terms=read.get("terms", 0),
    )
    mail = QueuedMail(mail_id, order, read["submitted"], recipients)
    facts = Facts(read["message_id"], read["domain"], read["auto"])
    reports = [Report(ReportKind(kind), name, tuple(indices), at) for kind, name, indices, at in read["reports"]]
    untold = [_happening(order, mail_id, one) for one in read["untold"]]
    return Entry(mail, facts, "", key, None, 0, reports=reports, untold=untold)


def _forwarded_list(one: Forwarded | None) -> list[str] | None:
    if one is None:
        return None
    verdict = one.verdict
    return [one.way.value, one.domain, verdict.spf, verdict.dkim, verdict.dmarc, verdict.results, verdict.arc]


def _forwarded(read: Sequence[str] | None) -> Forwarded | None:
    if read is None:
        return None
    way, domain, *verdict = read
    return Forwarded(Way(way), domain, Verdict(*verdict))


def _happening(order: Order, mail_id: str, read: Sequence[Any]) -> Happening:
    event_id, kind, at, recipient, status = read
    whose = order.account_id, order.profile, mail_id, order.campaign
    return Happening(event_id, Kind(kind), at, *whose, recipient, status, order.terms)


def _recipient(read: Sequence[Any]) -> Recipient:
    address, state, attempts, due, status, text, host, told = read
    delay, failure = bool(told & 1), bool(told & 2)
    return Recipient(address, State(state), attempts, due, status, text, host, delay_told=delay, failure_told=failure)


def _told(one: Recipient) -> int:
    return one.delay_told | one.failure_told << 1


def _blob(body: Body, name: str) -> bytes:
    value = body.get(name)
    if not isinstance(value, bytes):
        raise InternalError("document_damaged")
    return value


def _number(body: Body, name: str) -> int:
    value = body.get(name)
    if not isinstance(value, int):
        raise InternalError("document_damaged")
    return value
