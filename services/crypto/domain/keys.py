"""Data keys: made on first use, kept wrapped, held unwrapped for a minute, destroyed for good.

A key's id is the document's key, so creating one is a single insert: of two processes that try, one wins and the other
reads what the winner made. The id of a public day is a keyed hash of domain and day, which says nothing to whoever sees
it beside a mail.

Destroying a public day leaves a tombstone for as long as somebody might still seal for that day (two days from its
beginning); after that the day itself is refused, and the tombstone goes. Another process may hold the key in memory for
the time limit of the cache, no longer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from libs.envelope import KeyedHash, KeyEncryptionKeys, new_data_key, place_of
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, DeniedError, InvalidError, NotFoundError, SealpostError, UnavailableError
from libs.runtime.ids import is_id
from libs.runtime.secret import Secret
from services.crypto.domain.cache import TimedLru
from services.crypto.domain.compaction import Compaction
from services.crypto.domain.model import KeyRecord, KeyRecords, PublicDay
from services.crypto.domain.wrapping import rewrap, unwrap

_ATTEMPTS = 5
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class _DayKey:
    secret: Secret[bytes]
    due: int


class DataKeys:
    """All data keys of this installation."""

    def __init__(
        self, records: KeyRecords, kek: KeyEncryptionKeys, lookup: KeyedHash, clock: Clock, cache: tuple[int, float]
    ) -> None:
        """`cache` is how many keys of each kind are held unwrapped, and for how many seconds."""
        self._records = records
        self._kek = kek
        self._lookup = lookup
        self._clock = clock
        self._accounts: TimedLru[Secret[bytes]] = TimedLru(*cache, clock)
        self._days: TimedLru[_DayKey] = TimedLru(*cache, clock)
        self.compaction = Compaction(records)

    async def of_accounts(self, account_ids: Sequence[str]) -> dict[str, Secret[bytes] | SealpostError]:
        """Return the keys of those accounts that have one; one that cannot be unwrapped stands as its error."""
        keys: dict[str, Secret[bytes] | SealpostError] = {}
        for account in account_ids:
            if (held := self._accounts.get(account)) is not None:
                keys[account] = held
        missing = [account for account in account_ids if account not in keys]
        if missing:
            records = await self._records.get_many([_account_key(account) for account in missing])
            for account in missing:
                if (record := records.get(_account_key(account))) is not None:
                    keys[account] = self._hold_account(account, record)
        return keys

    async def of_account(self, account_id: str) -> Secret[bytes]:
        """Return the key of an account, made now if there is none."""
        for _ in range(_ATTEMPTS):
            found = (await self.of_accounts([account_id])).get(account_id)
            if isinstance(found, SealpostError):
                raise found
            if found is not None:
                return found
            await self._create(_account_key(account_id), None, 0)
        raise UnavailableError("key_contended")

    async def has_account(self, account_id: str) -> bool:
        """Tell whether an account has a key."""
        return bool(await self._records.get_many([_account_key(account_id)]))

    async def destroy_account(self, account_id: str) -> None:
        """Destroy the key of an account, and with it everything sealed under it. Idempotent."""
        self._accounts.drop(account_id)
        self.compaction.owe()
        await self._records.delete(_account_key(account_id))
        # Somebody may have read it while it was being removed.
        self._accounts.drop(account_id)
        await self._compact()

    async def of_day(self, day: PublicDay) -> tuple[str, Secret[bytes]]:
        """Return id and key of a public day, made now if there is none; its destruction is put off, never moved up.

        Raises: InvalidError ("public_day", "day_not_open", "destroy_after"), UnavailableError("key_destroyed"): a mail
        refused for it may be sent again tomorrow.
        """
        closes, now = _closing_time(day), unix_seconds(self._clock)
        if day.destroy_after <= now:
            raise InvalidError("destroy_after")
        if not closes - 3 * _DAY.total_seconds() <= now < closes:
            raise InvalidError("day_not_open")
        key_id = self.id_of_day(day.domain, day.day)
        held = self._days.get(key_id)
        if held is not None and held.due >= day.destroy_after:
            return key_id, held.secret
        return key_id, await self._load_day(key_id, day.destroy_after, closes)

    async def of_id(self, key_id: str) -> Secret[bytes]:
        """Return the key of a public day by its id.

        Raises: DeniedError("not_public") if no public day has that id; NotFoundError("key_destroyed"), also where the
        time of the key is over and nobody has come to destroy it.
        """
        held, now = self._days.get(key_id), unix_seconds(self._clock)
        if held is not None and now < held.due:
            return held.secret
        record = (await self._records.get_many([key_id])).get(key_id) if is_id(key_id) else None
        if record is None:
            raise DeniedError("not_public")
        if record.wrapped is None or (record.due or 0) <= now:
            raise NotFoundError("key_destroyed")
        return self._hold(record)

    async def destroy_day(self, domain: str, day: str) -> None:
        """Destroy the key of a public day; nothing is sealed under it again. Idempotent."""
        key_id, closes = self.id_of_day(domain, day), _closing_time(PublicDay(domain, day, 0))
        for _ in range(_ATTEMPTS):
            self._days.drop(key_id)
            record = (await self._records.get_many([key_id])).get(key_id)
            if await self._bury(record or KeyRecord(key_id, None, closes=closes)):
                self._days.drop(key_id)
                await self._compact()
                return
        raise UnavailableError("key_contended")

    async def sweep(self, until: int, limit: int) -> int:
        """Destroy at most `limit` keys whose time was over at `until` (Unix seconds) and forget as many tombstones.

        Return how many keys. The compaction is owed then, see `compaction`.
        """
        now, destroyed = min(until, unix_seconds(self._clock)), 0
        for record in await self._records.due(now, limit):
            destroyed += await self._bury(record)
            self._days.drop(record.key)
        await self._records.forget_tombstones(now, limit)
        return destroyed

    async def rewrap(self, limit: int) -> tuple[int, int]:
        """Wrap at most `limit` keys under the newest key-encryption key; return how many were, and how many failed."""
        return await rewrap(self._records, self._kek, _place, _renewed, limit)

    def id_of_day(self, domain: str, day: str) -> str:
        """Return the id of a public day's key: 32 hexadecimal digits."""
        return self._lookup.digest("public-day", f"{domain}\0{day}".encode()).hex()

    async def _load_day(self, key_id: str, destroy_after: int, closes: int) -> Secret[bytes]:
        for _ in range(_ATTEMPTS):
            record = (await self._records.get_many([key_id])).get(key_id)
            if record is None:
                await self._create(key_id, destroy_after, closes)
            elif record.wrapped is None:
                raise UnavailableError("key_destroyed")
            elif record.due is None or record.due >= destroy_after or await self._put_off(record, destroy_after):
                return self._hold(replace(record, due=max(record.due or 0, destroy_after)))
        raise UnavailableError("key_contended")

    async def _create(self, key: str, due: int | None, closes: int) -> None:
        wrapped = self._kek.wrap(new_data_key(), _place(key))
        try:
            await self._records.insert(KeyRecord(key, wrapped, self._kek.newest, due, closes))
        except ConflictError:
            # Another process was first: its key is the key.
            return

    async def _put_off(self, record: KeyRecord, destroy_after: int) -> bool:
        try:
            await self._records.replace(replace(record, due=destroy_after))
        except (ConflictError, NotFoundError):
            return False
        return True

    async def _bury(self, record: KeyRecord) -> bool:
        """Put a tombstone in place of a key, or nothing where nobody can seal for its day; tell whether it is done."""
        self.compaction.owe()
        tombstone = replace(record, wrapped=None, kek=None, due=record.closes)
        try:
            if record.closes <= unix_seconds(self._clock):
                await self._records.delete(record.key, record.version or None)
            elif record.version:
                await self._records.replace(tombstone)
            else:
                await self._records.insert(tombstone)
        except (ConflictError, NotFoundError):
            return False
        return True

    def _hold_account(self, account_id: str, record: KeyRecord) -> Secret[bytes] | SealpostError:
        try:
            secret = self._unwrap(record)
        except SealpostError as error:
            return error
        self._accounts.put(account_id, secret)
        return secret

    def _hold(self, record: KeyRecord) -> Secret[bytes]:
        secret = self._unwrap(record)
        self._days.put(record.key, _DayKey(secret, record.due or 0))
        return secret

    def _unwrap(self, record: KeyRecord) -> Secret[bytes]:
        return unwrap(self._kek, record, _place(record.key))

    async def _compact(self) -> None:
        """Leave nothing of what was just destroyed behind on disk, before its destruction is reported."""
        self.compaction.owe()
        await self.compaction.pay()


def _renewed(record: KeyRecord, wrapped: bytes, kek: int) -> KeyRecord:
    return replace(record, wrapped=wrapped, kek=kek)


def _account_key(account_id: str) -> str:
    return f"account/{account_id}"


def _place(key: str) -> str:
    return place_of("data_key", key, "wrapped")


def _closing_time(day: PublicDay) -> int:
    """Return when mail for `day` can no longer arrive: one day after its end, for clocks differ and mails wait."""
    try:
        start = datetime.strptime(day.day, "%Y-%m-%d").replace(tzinfo=UTC)
        if not day.domain or start.date().isoformat() != day.day:
            raise InvalidError("public_day")
        return int((start + 2 * _DAY).timestamp())
    except (ValueError, OverflowError) as error:
        raise InvalidError("public_day") from error
