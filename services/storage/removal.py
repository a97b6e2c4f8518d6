"""Deleting messages: the document, its counters, its body; exactly once, whoever else deletes at the same time.

A message is deleted at the version that was read, so of two who delete it one wins, and only he gives back what it
weighed, with the flags and the folder that it had then. What a user deletes soon after receipt leaves a tombstone (its
ids and nothing else) for 15 minutes: the sender's side may still repeat the append, and what was deleted must not come
back.
"""

from __future__ import annotations

from collections.abc import Sequence

from libs.docstore.store import Body, Delete, Document, Operation, Replace, Store, Written
from libs.runtime.clock import Clock, unix_seconds
from services.storage.bodies import Bodies
from services.storage.deliveries import STAGED_SECONDS
from services.storage.repository import MESSAGES, number, text
from services.storage.usage import Tally, Usage, weight


class Remover:
    """Deletes messages for users, expiry and trimming."""

    def __init__(self, store: Store, usage: Usage, bodies: Bodies, clock: Clock) -> None:
        """Delete from `store`."""
        self.store = store
        self._gate = usage.gate
        self.usage = usage
        self.bodies = bodies
        self._clock = clock

    async def remove(self, documents: Sequence[Document], *, tombstones: bool = False) -> list[Document]:
        """Delete those of `documents` that have not changed since they were read; return them.

        Raises: UnavailableError.
        """
        if not documents:
            return []
        mailboxes = {text(document.body, "mailbox") for document in documents if document.body.get("counted")}
        with self._gate.inside(), self.usage.suspecting(mailboxes):
            await self.bodies.expect_release(_body_ids(documents))
            results = await self.store.write_many([self._operation(document, tombstones) for document in documents])
            removed = [doc for doc, result in zip(documents, results, strict=True) if isinstance(result, Written)]
            tally = Tally()
            for document in removed:
                if document.body.get("counted"):
                    tally.add(text(document.body, "mailbox"), weight(document.body), -1)
            await self.usage.apply(tally)
        await self.bodies.release(_body_ids(removed))
        return removed

    def _operation(self, document: Document, tombstones: bool) -> Operation:
        now = unix_seconds(self._clock)
        if tombstones and number(document.body, "minute") * 60 + STAGED_SECONDS > now:
            waiting = text(document.body, "mailbox")
            body: Body = {"gone": True, "settle_at": now + STAGED_SECONDS, "waiting": waiting}
            return Replace(MESSAGES, document.key, body, document.version)
        return Delete(MESSAGES, document.key, document.version)


def _body_ids(documents: Sequence[Document]) -> list[str]:
    return [body_id for document in documents if (body_id := text(document.body, "body_id"))]
