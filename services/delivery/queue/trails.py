"""What may be told of mails, in the queue and for a month after, and what is found out about them later."""

from __future__ import annotations

from collections.abc import Sequence

from libs.docstore.store import Document
from libs.runtime.errors import ConflictError, NotFoundError
from services.delivery.domain.model import State
from services.delivery.domain.ports import Trace
from services.delivery.queue.codec import traces
from services.delivery.queue.collections import LOST, SETTLED
from services.delivery.queue.entry import Entry
from services.delivery.queue.repository import QueueRepository

_TRIES = 5


class MailTrails:
    """Implements domain.ports.Trails."""

    def __init__(self, queue: QueueRepository) -> None:
        """Read from `queue`."""
        self._queue = queue

    async def find(self, mail_id: str) -> Sequence[Trace]:
        """See domain.ports.Trails."""
        found = await self._open(mail_id)
        return traces(found[1]) if found else ()

    async def of_account(self, account_id: str, mail_id: str) -> tuple[Entry, bool]:
        """Return a mail of an account, and whether what waits of it is cancelled. Raises: NotFoundError("submission").

        The content is not to be looked at.
        """
        found = await self._open(mail_id)
        if found is None or found[0].body.get("account") != self._queue.codec.hashes.account(account_id):
            raise NotFoundError("submission")
        return found[1], bool(found[0].body.get("cancel"))

    async def bounced(self, mail_id: str, index: int, status: str) -> bool:
        """See domain.ports.Trails.

        A mail that is in the queue for others is left alone, for it belongs to whoever sends it: the bounce is news
        then, and its event id makes it the same news each time.
        """
        for _ in range(_TRIES):
            found = await self._open(mail_id)
            if found is None:
                return False
            document, entry = found
            if not 0 <= index < len(entry.mail.recipients):
                return False
            one = entry.mail.recipients[index]
            if one.state is not State.DELIVERED:
                return False
            if document.body.get("state") != SETTLED:
                return True
            one.state, one.status = State.BOUNCED, status
            try:
                await self._queue.change_trail(entry, document)
            except ConflictError:
                continue
            except NotFoundError:
                return False
            return True
        raise ConflictError("version")

    async def _open(self, mail_id: str) -> tuple[Document, Entry] | None:
        document = await self._queue.get(mail_id)
        if document is None or document.body.get("state") == LOST:
            return None
        return document, await self._queue.open(document)
