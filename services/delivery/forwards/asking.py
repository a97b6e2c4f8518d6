"""Asks an address by mail whether copies may come: the one mail that goes to somebody who has not asked for any.

Its text is ours; three a day go to one address, and ten a day are sent for one account. A failure comes back to nobody.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from libs.runtime.clock import Clock
from libs.runtime.errors import InvalidError
from libs.runtime.ids import is_id, new_id
from services.delivery.domain.addresses import check_recipient, domain_key
from services.delivery.domain.dsn import Site
from services.delivery.domain.model import Order, Profile
from services.delivery.domain.prepare import Prepared
from services.delivery.domain.submission import Queue
from services.delivery.forwards.counts import DailyCounts
from services.delivery.forwards.letters import Question, make_question

PER_ACCOUNT = 10
PER_ADDRESS = 3

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}\Z")


@dataclass(frozen=True)
class AskParts:
    """What is asked with. `own_hosts`: where nobody reads mail."""

    queue: Queue
    counts: DailyCounts
    site: Site
    public_url: str
    own_hosts: frozenset[str]
    clock: Clock


class Asking:
    """Sends questions."""

    def __init__(self, parts: AskParts) -> None:
        """Take these."""
        self._parts = parts

    async def ask(self, account_id: str, account_address: str, address: str, token: str) -> None:
        """Queue the mail that brings `token` to `address`.

        Raises: InvalidError("forward_address" | "forward"), ExhaustedError("forward_asks"), UnavailableError.
        """
        parts = self._parts
        if not is_id(account_id) or not _TOKEN.match(token):
            raise InvalidError("forward")
        try:
            refused = domain_key(check_recipient(address)) in parts.own_hosts
        except InvalidError:
            refused = True
        if refused:
            raise InvalidError("forward_address")
        await parts.counts.add("asks", account_id, PER_ACCOUNT, account_id=account_id)
        await parts.counts.add("asked", address.lower(), PER_ADDRESS)
        mail_id = new_id()
        question = Question(account_address, address, f"{parts.public_url.rstrip('/')}/f/{token}")
        content = make_question(question, parts.site, mail_id, parts.clock.now())
        order = Order(mail_id, account_id, Profile.SEALED, "", (address,), b"", smtputf8=not address.isascii())
        message_id = f"<{mail_id}@{parts.site.domain}>"
        await parts.queue.put(order, Prepared(content, message_id, (), parts.site.domain, auto_submitted=True))
