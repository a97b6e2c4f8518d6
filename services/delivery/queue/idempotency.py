"""Customers' own keys for submissions: the same key within a day is the same submission.

The document is written before the mail, under a name made of account and key, so of two that come at once one is first.
It holds the id that the mail will have: whoever comes back after a crash in between submits the mail under that id.
The account stands in it as its mark, so that it is found when the account is erased.
"""

from __future__ import annotations

from libs.docstore.store import Document, Insert, Replace, Store, Value
from libs.policy import Terms
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, InternalError
from services.delivery.queue.collections import IDEMPOTENCY

_TRIES = 5


class IdempotencyKeys:
    """Implements domain.submission.Keys."""

    def __init__(self, store: Store, clock: Clock, terms: Terms) -> None:
        """Keep in `store`, for as long as `terms` say."""
        self._store = store
        self._clock = clock
        self._terms = terms

    async def claim(self, name: str, digest: bytes, mail_id: str, terms: int = 0) -> str:
        """Return the id of the mail that was submitted first under `name` with the same `digest`: perhaps this one.

        `name` is that of codec.Hashes.idempotency, `terms` the version of the policy by which it is kept.

        Raises: ConflictError("idempotency_mismatch") where it was another mail, UnavailableError.
        """
        now = unix_seconds(self._clock)
        account, _, name = name.rpartition("/")
        expires = now + self._terms.rule("idempotency_seconds", terms)
        body: dict[str, Value] = {"account": account, "mail": mail_id, "digest": digest, "expires": expires}
        for _ in range(_TRIES):
            found = await self._store.get(IDEMPOTENCY, name)
            try:
                if found is None:
                    await self._store.write(Insert(IDEMPOTENCY, name, body))
                    return mail_id
                if _number(found, "expires") > now:
                    return _same(found, digest)
                await self._store.write(Replace(IDEMPOTENCY, name, body, found.version))
            except ConflictError as error:
                if error.reason == "idempotency_mismatch":
                    raise
                # Somebody else was quicker.
                continue
            return mail_id
        raise ConflictError("version")


def _same(found: Document, digest: bytes) -> str:
    if found.body.get("digest") != digest:
        raise ConflictError("idempotency_mismatch")
    mail_id = found.body.get("mail")
    if not isinstance(mail_id, str):
        raise InternalError("document_damaged")
    return mail_id


def _number(found: Document, name: str) -> int:
    value = found.body.get(name)
    return value if isinstance(value, int) else 0
