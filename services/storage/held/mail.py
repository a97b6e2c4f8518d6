"""Mail: of members, in public inboxes, and copies and bodies whose delivery is under way.

An erasure deletes copies that wait and bodies first, then what is listed: a copy that is revealed meanwhile moves from
the former to the latter, never back. The ranges of the indexes are deleted without reading a document, and neither
counters nor flags are looked at: nobody can ask for them any more.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import AsyncIterator

from libs.docstore.store import Document, Query
from libs.owner.model import Count, Erased, Item, Swept, Wanted
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import NotFoundError, UnavailableError
from services.storage.bodies import Bodies
from services.storage.domain import flag_names
from services.storage.expiry import Expiry
from services.storage.held.common import Keeping, MailboxClass, counted
from services.storage.repository import BODIES, MESSAGES, is_shown, number, text
from services.storage.spells import in_pieces

_PAGE = 100
_PIECE = 1000
_BODIES = 8
_END = "g"
"""Sorts after every message id."""
_LATEST = 2**62


class MemberMail(MailboxClass):
    """Implements HeldClass: member_mail. The key that opens it is its owner's, wrapped, at accounts."""

    name = "member_mail"

    def __init__(self, keeping: Keeping, bodies: Bodies, clock: Clock) -> None:
        """Take also where large bodies are."""
        super().__init__(keeping)
        self._bodies = bodies
        self._clock = clock

    async def count(self) -> Count:
        """See HeldClass: what is listed and does not expire."""
        listed = await counted(self._store, MESSAGES, "listed")
        public = (await counted(self._store, MESSAGES, "free_expiry")).count
        public += (await counted(self._store, MESSAGES, "counted_expiry")).count
        return Count(max(0, listed.count - public), listed.at_least)

    async def _items(self, mailbox_id: str, wanted: Wanted) -> AsyncIterator[Item]:
        lower = f"{wanted.since:010x}" if wanted.since else None
        upper = f"{wanted.until - 1:010x}{_END}" if wanted.until else None
        after: tuple[str, str] | None = None
        while True:
            query = Query(MESSAGES, "listed", (mailbox_id,), lower=lower, upper=upper, after=after, limit=_PAGE)
            page = await self._store.find(query)
            await self._erased.check(mailbox_id)
            for document in page:
                if is_shown(document, unix_seconds(self._clock)):
                    blocks = self._bodies.read(document.body)
                    try:
                        first = await anext(blocks, b"")
                    except NotFoundError:
                        continue  # deleted since the page was read
                    yield Item(text(document.body, "message"), "mail", _content(document, first, blocks))
            if len(page) < _PAGE:
                return
            after = (text(page[-1].body, "message"), page[-1].key)

    async def _erase(self, mailbox_id: str, limit: int) -> Erased:
        async def delete(asked: int) -> int:
            return await self._store.delete_range(MESSAGES, "listed", (mailbox_id,), _END, asked)

        done = await in_pieces(delete, limit, _PIECE)
        return Erased(done.deleted, more=done.more)


class PublicMail(MailboxClass):
    """Implements HeldClass: public_mail, which is whatever expires. It is nobody's, so there is nothing to erase."""

    name = "public_mail"

    def __init__(self, keeping: Keeping, expiry: Expiry) -> None:
        """Take also what deletes it."""
        super().__init__(keeping)
        self._expiry = expiry

    async def count(self) -> Count:
        """See HeldClass."""
        total, at_least, first = 0, False, 0
        for index in ("free_expiry", "counted_expiry"):
            held = await counted(self._store, MESSAGES, index)
            total, at_least = total + held.count, at_least or held.at_least
            for document in await self._store.find(Query(MESSAGES, index, limit=1)):
                due = number(document.body, "expires_at")
                first = min(first or due, due)
        return Count(total, at_least, first)

    async def sweep(self, until: int, limit: int) -> Swept:
        """See HeldClass."""
        return await self._expiry.sweep(until, limit)


class StagedMail(MailboxClass):
    """Implements HeldClass: staged_mail. What nobody comes back for goes with recovery, within the hour."""

    name = "staged_mail"

    def __init__(self, keeping: Keeping, bodies: Bodies) -> None:
        """Take also where large bodies are."""
        super().__init__(keeping)
        self._bodies = bodies

    async def count(self) -> Count:
        """See HeldClass: copies in no list, and bodies that the sweep has to look at."""
        copies = await counted(self._store, MESSAGES, "settling")
        bodies = await counted(self._store, BODIES, "due")
        return Count(copies.count + bodies.count, copies.at_least or bodies.at_least)

    async def _erase(self, mailbox_id: str, limit: int) -> Erased:
        async def delete(asked: int) -> int:
            return await self._store.delete_range(MESSAGES, "waiting", (mailbox_id,), _LATEST, asked)

        async def delete_bodies(asked: int) -> int:
            return await self._bodies.erase(mailbox_id, asked)

        copies = await in_pieces(delete, limit, _PIECE)
        if copies.more:
            return Erased(copies.deleted, more=True)
        # Bodies belong to messages that are counted as such.
        bodies = await in_pieces(delete_bodies, limit, _BODIES)
        return Erased(copies.deleted, more=bodies.more)


async def _content(document: Document, first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Give a message as docs/architecture.md, "Export", has it."""
    body = document.body
    envelope = body["envelope"]
    header = {
        "message": text(body, "message"),
        "folder": text(body, "folder"),
        "flags": list(flag_names(number(body, "flags"))),
        "received_minute": number(body, "minute"),
        "size": number(body, "size"),
        "expires_at": number(body, "expires_at"),
        "scheme": text(body, "scheme"),
        "key_id": text(body, "key_id"),
        "envelope": b64encode(envelope if isinstance(envelope, bytes) else b"").decode("ascii"),
        "body_size": number(body, "body_size"),
    }
    yield json.dumps(header, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"
    yield first
    try:
        async for block in rest:
            yield block
    except NotFoundError as error:
        raise UnavailableError("export_torn") from error
