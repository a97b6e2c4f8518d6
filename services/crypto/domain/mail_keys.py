"""Data keys that each seal one mail on its way out: made in advance and in number, destroyed when the mail is settled.

They are a family of their own: their ids are random and found in their own collection, so that nothing that opens
public mail by the id of its key can be led to one of them. They are not held unwrapped here: whoever asks for one asks
rarely, and a key that is destroyed is gone for every process at once.

Destroying removes the document and owes a compaction (see compaction.py); until the sweeper has paid it, the wrapped
key may still stand in the write-ahead log or in a page that is free. The delay is bounded by the sweeper's interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from libs.envelope import KeyEncryptionKeys, new_data_key, place_of
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import InvalidError, NotFoundError, SealpostError
from libs.runtime.ids import is_id, new_id
from libs.runtime.secret import Secret
from services.crypto.domain.compaction import Compaction
from services.crypto.domain.model import KeyRecord, MailKeyRecords
from services.crypto.domain.wrapping import rewrap, unwrap

MAX_KEYS = 1000
MAX_LIFETIME = timedelta(days=60)


class MailKeys:
    """The keys of mails on their way out."""

    def __init__(self, records: MailKeyRecords, kek: KeyEncryptionKeys, clock: Clock, compaction: Compaction) -> None:
        """Keep them in `records`, wrapped under `kek`."""
        self._records = records
        self._kek = kek
        self._clock = clock
        self._compaction = compaction

    async def new(self, count: int, destroy_after: int) -> list[tuple[str, Secret[bytes]]]:
        """Return ids and keys of `count` new ones (1 to 1,000), durable, destroyed at `destroy_after` at the latest.

        Raises: InvalidError("key_count" | "destroy_after"): the latter is Unix seconds, in the coming 60 days.
        """
        now = unix_seconds(self._clock)
        if not 1 <= count <= MAX_KEYS:
            raise InvalidError("key_count")
        if not now < destroy_after <= now + MAX_LIFETIME.total_seconds():
            raise InvalidError("destroy_after")
        keys = [(new_id(), new_data_key()) for _ in range(count)]
        await self._records.insert_many(
            [
                KeyRecord(key, self._kek.wrap(secret, _place(key)), self._kek.newest, destroy_after)
                for key, secret in keys
            ]
        )
        return keys

    async def get(self, key_ids: Sequence[str]) -> list[Secret[bytes] | SealpostError]:
        """Return for each id, in order, the key or why it cannot be had.

        NotFoundError("key_destroyed") stands for one that is absent or past its time, UnavailableError("key_damaged" |
        "kek_missing") for one that cannot be unwrapped now.
        """
        records = await self._records.get_many([key for key in dict.fromkeys(key_ids) if is_id(key)])
        now = unix_seconds(self._clock)
        return [self._opened(records.get(key), now) for key in key_ids]

    async def destroy(self, key_ids: Sequence[str]) -> None:
        """Destroy them; absent ones are fine. Durable: no process finds them any more."""
        self._compaction.owe()
        await self._records.delete_many([key for key in dict.fromkeys(key_ids) if is_id(key)])
        # Again, for a compaction may have begun and ended before they went.
        self._compaction.owe()

    async def sweep(self, until: int, limit: int) -> int:
        """Destroy at most `limit` keys whose time was over at `until` (Unix seconds); return how many."""
        destroyed = await self._records.delete_due(min(until, unix_seconds(self._clock)), limit)
        if destroyed:
            self._compaction.owe()
        return destroyed

    async def rewrap(self, limit: int) -> tuple[int, int]:
        """Wrap at most `limit` keys under the newest key-encryption key; return how many were, and how many failed."""
        return await rewrap(self._records, self._kek, _place, _renewed, limit)

    def _opened(self, record: KeyRecord | None, now: int) -> Secret[bytes] | SealpostError:
        if record is None or (record.due or 0) <= now:
            return NotFoundError("key_destroyed")
        try:
            return unwrap(self._kek, record, _place(record.key))
        except SealpostError as error:
            return error


def _renewed(record: KeyRecord, wrapped: bytes, kek: int) -> KeyRecord:
    return replace(record, wrapped=wrapped, kek=kek)


def _place(key: str) -> str:
    return place_of("mail_key", key, "wrapped")
