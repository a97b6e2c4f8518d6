"""Copies of a mail for the addresses that its account has it forwarded to, handed to delivery before it is stored.

The order decides what a failure can do (docs/adr/0012): delivery has the copies, durably, before storage has the mail,
and holds them for some seconds. If it cannot take them nothing is stored, and the client comes again; if the mail
then cannot be stored the copies are withdrawn. A client that comes again - told 4xx, or our reply was lost - brings
the same bytes, and by their digest delivery knows the copies that it has already. So a mail that was accepted is stored
and its copies are queued, once; only a copy can go out twice or alone, and that takes two failures.

A copy is the mail as it came, byte for byte, behind our Received and Authentication-Results fields and one field that
marks it. What bears that mark of ours is stored and never forwarded again, so there are neither loops nor chains.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import Protocol

from libs.mail.letter import Letter
from libs.mail.verdict import Verdict
from libs.mailbox.model import Recipient
from libs.runtime.errors import SealpostError
from libs.telemetry.logs import get_logger
from services.ingest import meters
from services.ingest.domain import Mail

# Somebody else's loop, which delivery would not break (RFC 5321 6.3).
MAX_RECEIVED = 50

_MARK = b"X-Loop"
_WITHDRAW_SECONDS = 10.0

_log = get_logger("forwarding")


@dataclass(frozen=True, slots=True)
class ForwardCopy:
    """Copies of one mail for one account's addresses. `content` and `verdict` are there when they are handed over."""

    account_id: str
    domain: str
    sender: str
    recipients: tuple[str, ...]
    digest: bytes
    verdict: Verdict
    content: bytes
    smtputf8: bool
    # The version of the policy that holds for the account.
    terms: int = 0


class Forwards(Protocol):
    """Of the service delivery: takes copies that are to be forwarded."""

    async def forward(self, copy: ForwardCopy) -> bool:
        """Return once the copies are durable, False if the account's are used up for today and these are dropped.

        Raises SealpostError: they are not queued, or, for "deadline" and "unreachable" alone, it is not known.
        """

    async def withdraw(self, copy: ForwardCopy) -> None:
        """Forget copies that have not gone out yet. Raises SealpostError."""


class Forwarding:
    """Forwards for one process."""

    def __init__(self, forwards: Forwards, hostname: str) -> None:
        """Take who queues copies, and the name that marks them."""
        self._forwards = forwards
        self._hostname = hostname.lower()

    def plan(self, mail: Mail, recipients: Sequence[Recipient], letter: Letter) -> list[ForwardCopy]:
        """Return what is to be forwarded of a mail, without its content; nearly always nothing, at no cost."""
        chosen = [one for one in recipients if one.route.forward_to]
        if not chosen:
            return []
        if not self._may_go_on(letter):
            meters.FORWARDS.inc(outcome="loop")
            return []
        # The sender as well: two mails may have the same bytes.
        digest = hashlib.sha256(b"%b\0" % mail.sender.encode())
        digest.update(letter.content)
        return [
            ForwardCopy(
                account_id=one.route.account_id,
                domain=one.route.domain,
                sender=mail.sender,
                recipients=one.route.forward_to,
                digest=digest.digest(),
                verdict=Verdict(),
                content=b"",
                smtputf8=mail.smtputf8,
                terms=one.route.terms,
            )
            for one in chosen
        ]

    @asynccontextmanager
    async def ahead(self, copies: Sequence[ForwardCopy], body: bytes, verdict: Verdict) -> AsyncIterator[None]:
        """Queue copies of the mail that the block stores as `body`; take them back if it fails.

        Raises SealpostError: they are not queued, or it is not known; the block has not begun.
        """
        queued = False
        try:
            # Return-Path is the last server's to write.
            content = _MARK + b": " + self._hostname.encode() + b"\r\n" + body[body.index(b"\r\n") + 2 :]
            del body
            for copy in copies:
                taken = await self._forwards.forward(replace(copy, content=content, verdict=verdict))
                meters.FORWARDS.inc(outcome="queued" if taken else "limited")
            del content
            queued = True
            yield
        except BaseException:
            if not queued:
                meters.FORWARDS.inc(outcome="failed")
            await self._withdraw(copies)
            raise

    async def _withdraw(self, copies: Sequence[ForwardCopy]) -> None:
        """Take copies back, as far as that can be done; whoever is told to come again brings them again."""
        # Also where the caller is being cancelled: the failure that it has is the one that counts.
        with suppress(TimeoutError):
            async with asyncio.timeout(_WITHDRAW_SECONDS):
                for copy in copies:
                    try:
                        await self._forwards.withdraw(copy)
                    except SealpostError as error:
                        _log.warning("forward_not_withdrawn", error=error)

    def _may_go_on(self, letter: Letter) -> bool:
        if not letter.readable or len(letter.fields.all(b"received")) >= MAX_RECEIVED:
            return False
        mark = self._hostname.encode()
        return not any(mark in value.lower() for value in letter.fields.all(_MARK.lower()))
