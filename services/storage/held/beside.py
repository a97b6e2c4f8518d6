"""What there is beside mail: folders and counters, settings, contacts, and the tombstones of what is erased."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from libs.docstore.store import Query
from libs.owner.classes import json_item
from libs.owner.model import Count, Erased, Item, Subject, Swept, Wanted
from libs.owner.owner import Owner
from libs.policy import Terms
from services.storage.erased import ERASED, ErasedMailboxes
from services.storage.held.common import Keeping, MailboxClass, counted, delete_one
from services.storage.mailboxes import Mailboxes
from services.storage.objects import Objects, object_key
from services.storage.repository import (
    BODIES,
    CONTACTS,
    FOLDERS,
    MESSAGES,
    SETTINGS,
    USAGE,
    text,
)
from services.storage.spells import in_pieces

_PIECE = 1000


class MailboxFacts(MailboxClass):
    """Implements HeldClass: mailbox."""

    name = "mailbox"

    def __init__(self, keeping: Keeping, mailboxes: Mailboxes) -> None:
        """Take also what describes one."""
        super().__init__(keeping)
        self._mailboxes = mailboxes

    async def count(self) -> Count:
        """See HeldClass: mailboxes with counters."""
        return replace(await counted(self._store, USAGE), erasing=await self._erased.open())

    async def _items(self, mailbox_id: str, wanted: Wanted) -> AsyncIterator[Item]:
        known = [await self._store.get(collection, mailbox_id) for collection in (USAGE, FOLDERS)]
        if wanted.disclosure or not any(known):
            return
        found = await self._mailboxes.describe(mailbox_id)
        folders = [
            {"folder": one.folder_id, "sealed_name": one.sealed_name, "messages": one.messages, "unseen": one.unseen}
            for one in found.folders
        ]
        body = {"used_bytes": found.used_bytes, "used_messages": found.used_messages, "folders": folders}
        yield json_item("mailbox.json", body)

    async def _erase(self, mailbox_id: str, limit: int) -> Erased:
        deleted = [await delete_one(self._store, collection, mailbox_id) for collection in (USAGE, FOLDERS)]
        # Both are one to its owner.
        return Erased(int(any(deleted)))


class OneObject(MailboxClass):
    """One of a mailbox's objects, sealed by its owner's client."""

    object_name = ""
    collection = CONTACTS

    def __init__(self, keeping: Keeping, objects: Objects) -> None:
        """Take also what knows when one is over."""
        super().__init__(keeping)
        self._objects = objects

    async def _items(self, mailbox_id: str, wanted: Wanted) -> AsyncIterator[Item]:
        found = None if wanted.disclosure else await self._objects.look(mailbox_id, self.object_name)
        if found is not None:
            yield json_item(f"{self.name}.json", {"sealed": found.sealed, "version": found.version})

    async def _erase(self, mailbox_id: str, limit: int) -> Erased:
        return Erased(await delete_one(self._store, self.collection, object_key(mailbox_id, self.object_name)))


class Contacts(OneObject):
    """Implements HeldClass: contacts."""

    name = "contacts"
    object_name = "contacts"

    async def count(self) -> Count:
        """See HeldClass."""
        return await counted(self._store, CONTACTS)


class Preferences(OneObject):
    """Implements HeldClass: preferences."""

    name = "preferences"
    object_name = "settings"
    collection = SETTINGS

    def __init__(self, keeping: Keeping, objects: Objects, terms: Terms) -> None:
        """Take also the numbers in force."""
        super().__init__(keeping, objects)
        self._terms = terms

    async def count(self) -> Count:
        """See HeldClass."""
        first = 0
        for version in self._versions():
            for found in await self._store.find(Query(SETTINGS, "touched", (version,), limit=1)):
                due = self._objects.due(found)
                first = min(first or due, due)
        return replace(await counted(self._store, SETTINGS), first_due=first)

    async def sweep(self, until: int, limit: int) -> Swept:
        """See HeldClass."""
        deleted = 0
        for version in self._versions():
            upper = self._objects.over(until, version)

            async def delete(asked: int, version: int = version, upper: int = upper) -> int:
                return await self._store.delete_range(SETTINGS, "touched", (version,), upper, asked)

            done = await in_pieces(delete, limit - deleted, _PIECE)
            deleted += done.deleted
            if done.more:
                return Swept(deleted, more=True)
        return Swept(deleted)

    def _versions(self) -> range:
        """Return all terms that settings may be under; 0 are those in force."""
        return range(self._terms.active + 1)


class Tombstones(MailboxClass):
    """Implements HeldClass: erased_mailbox. It comes last, sees that nothing is left, and then forgets the id."""

    name = "erased_mailbox"

    async def count(self) -> Count:
        """See HeldClass."""
        return await counted(self._store, ERASED)

    async def _erase(self, mailbox_id: str, limit: int) -> Erased:
        # What gave room back while the mailbox was being emptied has made a counter anew.
        await delete_one(self._store, USAGE, mailbox_id)
        if await self._has_more(mailbox_id):
            return Erased(more=True)
        await self._erased.close(mailbox_id)
        return Erased()

    async def _has_more(self, mailbox_id: str) -> bool:
        for query in (
            Query(MESSAGES, "listed", (mailbox_id,), limit=1),
            Query(MESSAGES, "waiting", (mailbox_id,), limit=1),
            Query(BODIES, "mailbox", (mailbox_id,), limit=1),
        ):
            if await self._store.find(query):
                return True
        return False


class Buried:
    """Erasures that nobody goes on with, and the last look where others work on the same store."""

    def __init__(self, erased: ErasedMailboxes, owner: Owner) -> None:
        """Take what says which, and what deletes."""
        self._erased = erased
        self._owner = owner

    async def step(self) -> int:
        """Delete a bounded number of documents; return how many erasures were due."""
        due = await self._erased.due()
        for found in due:
            subject = Subject("", text(found.body, "mailbox"))
            if not (await self._owner.erase(subject, _PIECE)).more:
                await self._erased.end(found)
        return len(due)
