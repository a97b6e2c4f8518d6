"""Destroys the keys of settled mails, many at a time, and deletes the pieces of large ones.

The keys that a batch of settled mails leaves stand in one document that is written with their trails, so that a crash
forgets none. What this process has settled itself it destroys at once. What it finds left over it destroys only where
the mail is seen to be settled: a document may stand there although the settling failed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from libs.docstore.fields import number
from libs.docstore.store import Delete, Document, Insert, Patch, Query, Store, Value
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import NotFoundError, SealpostError
from libs.runtime.ids import new_id
from libs.telemetry.logs import get_logger
from services.delivery.queue.collections import CONTENTS, MAILS, QUEUED, SHREDS
from services.delivery.queue.keys import DataKeys

_LEFT_OVER_SECONDS = 120
_GATHER_SECONDS = 0.5
_KEYS = 1000
_NEXT_CHECK = 86400
_NOTES = 20

_log = get_logger("shredder")


@dataclass(frozen=True, slots=True)
class UsedKey:
    """The key of a mail, and how many pieces its content has outside its document."""

    mail_id: str
    key_id: str
    pieces: int


def new_shred(used: Sequence[UsedKey], now: int) -> Insert:
    """Return what notes keys that are to be destroyed."""
    listed: list[Value] = [[one.mail_id, one.key_id, one.pieces] for one in used]
    return Insert(SHREDS, new_id(), {"due": now + _LEFT_OVER_SECONDS, "keys": listed})


class Shredder:
    """Destroys keys; `run` does it until cancelled."""

    def __init__(self, store: Store, keys: DataKeys, clock: Clock) -> None:
        """Take where notes are kept and who destroys."""
        self._store = store
        self._keys = keys
        self._clock = clock
        self._noted: deque[tuple[str, Sequence[UsedKey], bool]] = deque()
        self._wake = asyncio.Event()

    def note(self, shred: str, used: Sequence[UsedKey], *, complete: bool) -> None:
        """Have keys destroyed of mails that are settled for certain; `complete`: all of that document's."""
        self._noted.append((shred, used, complete))
        self._wake.set()

    async def run(self) -> None:
        """Destroy what is noted, soon, until cancelled."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(_GATHER_SECONDS)
            self._wake.clear()
            await self.flush()

    async def flush(self) -> None:
        """Destroy what is noted now; what fails is left to `sweep`."""
        while self._noted:
            batch: list[tuple[str, Sequence[UsedKey], bool]] = []
            count = 0
            while self._noted and count + len(self._noted[0][1]) <= _KEYS:
                batch.append(self._noted.popleft())
                count += len(batch[-1][1])
            try:
                await self._destroy([one for _, used, _ in batch for one in used])
                await self._forget([shred for shred, _, complete in batch if complete])
            except SealpostError as error:
                _log.warning("keys_left", count=count, error=error)

    async def sweep(self) -> int:
        """Destroy what has been left over; return how many notes were done with. Raises: SealpostError."""
        now = unix_seconds(self._clock)
        found = await self._store.find(Query(SHREDS, "due", (), upper=now, limit=_NOTES))
        for shred in found:
            used = _used(shred)
            mails = await self._store.get_many(MAILS, [one.mail_id for one in used])
            await self._destroy([one for one in used if not _is_queued(mails.get(one.mail_id), one.key_id)])
        await self._forget([shred.key for shred in found])
        return len(found)

    async def destroy_settled(self) -> None:
        """Destroy the keys of all mails that are settled, whoever has settled them. Raises: SealpostError.

        The notes stay: in what stands in one of them a mail may be about to be settled.
        """
        after: tuple[int, str] | None = None
        while True:
            found = await self._store.find(Query(SHREDS, "due", (), after=after, limit=_NOTES))
            for shred in found:
                used = _used(shred)
                mails = await self._store.get_many(MAILS, [one.mail_id for one in used])
                await self._destroy([one for one in used if not _is_queued(mails.get(one.mail_id), one.key_id)])
            if len(found) < _NOTES:
                return
            after = (number(found[-1].body, "due"), found[-1].key)

    async def sweep_pieces(self) -> int:
        """Delete pieces whose mail was never written or is settled; return how many were looked at."""
        now = unix_seconds(self._clock)
        found = await self._store.find(Query(CONTENTS, "check", (), upper=now, limit=20))
        mails = await self._store.get_many(MAILS, list({str(one.body.get("mail")) for one in found}))
        orphans = [
            one for one in found if not _is_queued(mails.get(str(one.body.get("mail"))), one.key.rpartition("/")[0])
        ]
        gone = {one.key for one in orphans}
        later = [one for one in found if one.key not in gone]
        await self._store.write_many(
            [
                *(Delete(CONTENTS, one.key) for one in orphans),
                *(Patch(CONTENTS, one.key, {"check": now + _NEXT_CHECK}) for one in later),
            ]
        )
        return len(found)

    async def _destroy(self, used: Sequence[UsedKey]) -> None:
        for start in range(0, len(used), _KEYS):
            await self._keys.destroy([one.key_id for one in used[start : start + _KEYS]])
        pieces = [f"{one.key_id}/{number}" for one in used for number in range(one.pieces)]
        for start in range(0, len(pieces), _KEYS):
            await self._delete([Delete(CONTENTS, key) for key in pieces[start : start + _KEYS]])

    async def _forget(self, shreds: Sequence[str]) -> None:
        await self._delete([Delete(SHREDS, shred) for shred in shreds])

    async def _delete(self, operations: Sequence[Delete]) -> None:
        for result in await self._store.write_many(operations):
            if isinstance(result, Exception) and not isinstance(result, NotFoundError):
                raise result


def _used(shred: Document) -> list[UsedKey]:
    listed = shred.body.get("keys")
    found = []
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, list) and len(one) == 3:
            mail_id, key_id, pieces = one
            found.append(UsedKey(str(mail_id), str(key_id), pieces if isinstance(pieces, int) else 0))
    return found


def _is_queued(mail: Document | None, key_id: str) -> bool:
    return mail is not None and mail.body.get("state") == QUEUED and mail.body.get("key_id") == key_id
