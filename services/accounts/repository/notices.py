"""Who was told of which version, on the indexes of the accounts; what is announced to whom; and how many were told.

An announcement is kept under its profile, the counters of a version under version and profile.
"""

from __future__ import annotations

from collections.abc import Sequence

from libs.docstore.fields import choice, number, text
from libs.docstore.store import Collection, Delete, Document, Increment, Insert, Patch, Query, Replace, Store, Value
from libs.runtime.errors import ConflictError, NotFoundError
from services.accounts.domain.model import Profile
from services.accounts.domain.rights_ports import Announcement, Tally, Told
from services.accounts.repository.accounts import ACCOUNTS
from services.accounts.repository.standings import decode_standing, encode_standing

ANNOUNCEMENTS = Collection("announcements", small=True, fields=("version", "effective", "old_until"))
NOTICE_COUNTS = Collection("notice_counts", small=True, fields=("noticed", "refused"))
_TRIES = 5


class NoticeRepository:
    """Implements domain.rights_ports.NoticesPort."""

    def __init__(self, store: Store) -> None:
        """Work on the accounts in `store`."""
        self._store = store

    async def behind(self, profile: Profile, version: int, limit: int) -> list[str]:
        """See NoticesPort."""
        query = Query(ACCOUNTS, "noticed", (profile.value,), upper=version - 1, limit=limit)
        return [document.key for document in await self._store.find(query)]

    async def told_after(self, profile: Profile, before: int) -> bool:
        """See NoticesPort."""
        query = Query(ACCOUNTS, "told_at", (profile.value,), lower=before + 1, limit=1)
        return bool(await self._store.find(query))

    async def get_many(self, account_ids: Sequence[str]) -> dict[str, Told]:
        """See NoticesPort."""
        found = await self._store.get_many(ACCOUNTS, account_ids)
        # An account whose erasure has begun is told nothing any more.
        return {key: _told(one) for key, one in found.items() if one.body.get("erasing") is None}

    async def put_many(self, told: Sequence[Told]) -> list[str]:
        """See NoticesPort."""
        patches = [Patch(ACCOUNTS, one.account_id, encode_standing(one.standing), one.version) for one in told]
        failed = []
        for one, result in zip(told, await self._store.write_many(patches), strict=True):
            if isinstance(result, ConflictError | NotFoundError):
                failed.append(one.account_id)
            elif isinstance(result, Exception):
                raise result
        return failed

    async def announced(self, profile: Profile) -> Announcement | None:
        """See NoticesPort."""
        document = await self._store.get(ANNOUNCEMENTS, profile.value)
        return _announcement(profile, document) if document else None

    async def announce(self, announcement: Announcement) -> None:
        """See NoticesPort."""
        key = announcement.profile.value
        body: dict[str, Value] = {
            "version": announcement.version,
            "effective": announcement.effective,
            "old_until": announcement.old_until,
        }
        for _ in range(_TRIES):
            document = await self._store.get(ANNOUNCEMENTS, key)
            if document is not None:
                kept = _announcement(announcement.profile, document)
                if kept.version > announcement.version or kept == announcement:
                    return
            try:
                if document is None:
                    await self._store.write(Insert(ANNOUNCEMENTS, key, body))
                else:
                    await self._store.write(Replace(ANNOUNCEMENTS, key, body, document.version))
            except (ConflictError, NotFoundError):
                continue
            return
        raise ConflictError("policy_version")

    async def withdraw(self, profile: Profile, version: int) -> None:
        """See NoticesPort."""
        document = await self._store.get(ANNOUNCEMENTS, profile.value)
        if document is None or number(document.body, "version") != version:
            return
        try:
            await self._store.write(Delete(ANNOUNCEMENTS, profile.value, document.version))
        except NotFoundError:
            return

    async def add(self, profile: Profile, version: int, change: Tally) -> None:
        """See NoticesPort."""
        deltas = {"noticed": change.noticed, "refused": change.refused}
        await self._store.write(Increment(NOTICE_COUNTS, f"{version}/{profile.value}", deltas))

    async def tally(self, profile: Profile, version: int) -> Tally:
        """See NoticesPort."""
        document = await self._store.get(NOTICE_COUNTS, f"{version}/{profile.value}")
        if document is None:
            return Tally()
        return Tally(number(document.body, "noticed", 0), number(document.body, "refused", 0))


def _told(document: Document) -> Told:
    body = document.body
    profile = choice(Profile, text(body, "profile"))
    return Told(document.key, profile, decode_standing(body), document.version)


def _announcement(profile: Profile, document: Document) -> Announcement:
    body = document.body
    return Announcement(profile, number(body, "version"), number(body, "effective"), number(body, "old_until"))
