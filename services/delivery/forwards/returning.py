"""What comes to the return path of a forwarded copy: a report of its failure goes on to the sender of the mail, once.

The address names the copy and the trail of the copy names the sender, sealed. Everything but a failure is taken and
dropped: delays, replies of people who are away, complaints about mail that somebody had forwarded to himself. The
report goes out as it came, with a Received field in front, from <> and to nobody else; its id is made of the copy, so
one that comes again is the same. After it the address is used up and refuses everything at RCPT, as does one that is
forged, has expired, or is asked for too often.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Protocol

from libs.envelope import KeyedHash
from libs.mail.verdict import Verdict
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, InvalidError
from libs.runtime.limits import KeyedLimiter
from services.delivery.domain.addresses import check_recipient
from services.delivery.domain.model import Forwarded, Order, Profile, Way
from services.delivery.domain.ports import Trace
from services.delivery.domain.prepare import Prepared
from services.delivery.domain.reports import Kind, read_report
from services.delivery.domain.submission import Queue
from services.delivery.forwards.srs import ForwardedCopy, ForwardPaths
from services.delivery.reports.taking import Taken

_ASKS_PER_HOUR = 20
_HOUR = 3600.0
_KEYS = 20_000


class Trails(Protocol):
    """Tells of mails that are queued or settled."""

    async def find(self, mail_id: str) -> Sequence[Trace]:
        """Return all recipients of a mail in their order; nothing if it is unknown or forgotten."""


@dataclass(frozen=True)
class ReturnParts:
    """What reports are sent back with."""

    paths: ForwardPaths
    trails: Trails
    queue: Queue
    hashes: KeyedHash
    hostname: str
    clock: Clock


class Returning:
    """Sends reports back."""

    def __init__(self, parts: ReturnParts) -> None:
        """Take these."""
        self._parts = parts
        self._asks = KeyedLimiter(_ASKS_PER_HOUR, _HOUR, _KEYS, parts.clock)

    def is_one(self, address: str) -> bool:
        """Tell whether an address has the shape of a return path of forwarded mail."""
        return self._parts.paths.is_one(address)

    async def refusal(self, address: str) -> str:
        """Return why nothing is taken at an address of this shape, "" if something is. Raises: UnavailableError.

        "return_path_forged", "return_path_expired" or "return_path_used".
        """
        parts = self._parts
        try:
            copy = parts.paths.read(address, unix_seconds(parts.clock))
        except InvalidError as error:
            return error.reason
        if self._asks.allow(copy.mail_id + str(copy.index)) > 0:
            return "return_path_used"
        trace = await self._trace(copy)
        if trace is None:
            return "return_path_expired"
        used = await parts.queue.find(trace.account_id, self._return_id(copy))
        return "" if used is None else "return_path_used"

    async def take(self, address: str, content: bytes) -> Taken:
        """Take a mail that came to such an address; what follows from it is durable then. Raises: UnavailableError."""
        parts = self._parts
        try:
            copy = parts.paths.read(address, unix_seconds(parts.clock))
        except InvalidError:
            return Taken.UNKNOWN
        trace = await self._trace(copy)
        if trace is None:
            return Taken.UNKNOWN
        kind = read_report(content).kind
        if kind is Kind.COMPLAINED:
            return Taken.STRAY
        if kind is not Kind.FAILED:
            return Taken(kind.value)
        order = Order(
            submission_id=self._return_id(copy),
            account_id=trace.account_id,
            profile=Profile.RELAY,
            mail_from="",
            recipients=(trace.mail_from,),
            content=b"",
            smtputf8=not trace.mail_from.isascii(),
            forwarded=Forwarded(Way.RETURN, "", Verdict()),
            terms=trace.terms,
        )
        received = _received(parts.hostname, order.submission_id, parts.clock.now())
        try:
            await parts.queue.put(order, Prepared(received + content, "", (), "", auto_submitted=True))
        except ConflictError:
            return Taken.REPEATED
        return Taken.RETURNED

    async def _trace(self, copy: ForwardedCopy) -> Trace | None:
        """Return what is known of a copy; None if that is nothing, or its mail was a report itself."""
        found = [one for one in await self._parts.trails.find(copy.mail_id) if one.index == copy.index]
        if not found or not found[0].mail_from:
            return None
        try:
            check_recipient(found[0].mail_from)
        except InvalidError:
            return None
        return found[0]

    def _return_id(self, copy: ForwardedCopy) -> str:
        return self._parts.hashes.digest("forward/return", f"{copy.mail_id}/{copy.index}".encode()).hex()


def _received(hostname: str, mail_id: str, now: datetime) -> bytes:
    return f"Received: by {hostname} with ESMTP id {mail_id};\r\n\t{format_datetime(now)}\r\n".encode()
