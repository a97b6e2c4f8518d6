"""What crypto answers for: certificates, keys of accounts, of public days, of mails on their way out, of domains.

Two classes lie in one collection: a data key with a time is that of a public day, one without is an account's. An
erasure destroys the account's key first, and with it its certificate cannot be read any more; keys of its mails on
their way out, and of its domains, are destroyed by delivery, which knows whose they are.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from libs.docstore.store import Query, Store
from libs.owner.classes import AT_MOST, StoredClass, json_item
from libs.owner.model import Count, Erased, HeldClass, Item, Subject, Swept, Wanted
from libs.owner.terms import TERMS
from libs.runtime.errors import NotFoundError
from services.crypto.domain.directory import Directory
from services.crypto.domain.keys import DataKeys
from services.crypto.domain.mail_keys import MailKeys
from services.crypto.repository import CERTIFICATES, DATA_KEYS, DKIM_KEYS, LIVE, MAIL_KEYS

_PAGE = 1000


def held_classes(store: Store, directory: Directory, keys: DataKeys, mail_keys: MailKeys) -> Sequence[HeldClass]:
    """Return the classes, in the order in which an erasure goes through them."""
    return (
        AccountKeys(store, keys),
        Certificates(store, directory),
        PublicDayKeys(store, keys),
        OutgoingKeys(store, mail_keys),
        DomainKeys(store),
        StoredClass("terms", store, [TERMS]),
    )


class _Nobodys:
    """What classes have in common in which nothing is anybody's."""

    name = ""

    async def sweep(self, until: int, limit: int) -> Swept:
        """Delete nothing: nothing here has a time."""
        return Swept(0)

    async def export(self, subject: Subject, wanted: Wanted) -> AsyncIterator[Item]:
        """Give nothing."""
        nothing: tuple[Item, ...] = ()
        for item in nothing:
            yield item

    async def erase_keys(self, subject: Subject) -> int:
        """Destroy nothing."""
        return 0

    async def erase(self, subject: Subject, limit: int) -> Erased:
        """Delete nothing."""
        return Erased()


class AccountKeys(_Nobodys):
    """Data keys of accounts."""

    name = "account_key"

    def __init__(self, store: Store, keys: DataKeys) -> None:
        """Answer for `keys`, kept in `store`."""
        self._store = store
        self._keys = keys

    async def count(self) -> Count:
        """See HeldClass: all data keys but those that have a time."""
        every = await self._store.count(DATA_KEYS, AT_MOST)
        timed = await self._store.count(DATA_KEYS, AT_MOST, index="due")
        return Count(max(0, every - timed), every >= AT_MOST)

    async def erase_keys(self, subject: Subject) -> int:
        """See HeldClass."""
        if not await self._keys.has_account(subject.account_id):
            return 0
        await self._keys.destroy_account(subject.account_id)
        return 1


class Certificates(_Nobodys):
    """Certificates of accounts."""

    name = "certificate"

    def __init__(self, store: Store, directory: Directory) -> None:
        """Answer for `directory`, kept in `store`."""
        self._store = store
        self._directory = directory

    async def count(self) -> Count:
        """See HeldClass."""
        number = await self._store.count(CERTIFICATES, AT_MOST)
        return Count(number, number >= AT_MOST)

    async def export(self, subject: Subject, wanted: Wanted) -> AsyncIterator[Item]:
        """See HeldClass: the certificate is public, and says nothing that an order needs."""
        if wanted.disclosure:
            return
        try:
            found = await self._directory.get(subject.account_id)
        except NotFoundError:
            return
        yield json_item("certificate.json", {"fingerprint": found.fingerprint, "certificate": found.data})

    async def erase(self, subject: Subject, limit: int) -> Erased:
        """See HeldClass."""
        return Erased(int(await self._directory.forget(subject.account_id)))


class PublicDayKeys(_Nobodys):
    """Keys of public days, destroyed when the last mail of the day has expired."""

    name = "public_day_key"

    def __init__(self, store: Store, keys: DataKeys) -> None:
        """Answer for `keys`, kept in `store`."""
        self._store = store
        self._keys = keys

    async def count(self) -> Count:
        """See HeldClass."""
        number = await self._store.count(DATA_KEYS, AT_MOST, index="due")
        first = await self._store.find(Query(DATA_KEYS, "due", (LIVE,), limit=1))
        due = first[0].body["due"] if first else 0
        return Count(number, number >= AT_MOST, due if isinstance(due, int) else 0)

    async def sweep(self, until: int, limit: int) -> Swept:
        """See HeldClass."""
        destroyed = await self._keys.sweep(until, min(limit, _PAGE))
        return Swept(destroyed, destroyed == min(limit, _PAGE))


class OutgoingKeys(_Nobodys):
    """Keys of mails on their way out that nobody has destroyed before."""

    name = "mail_key"

    def __init__(self, store: Store, keys: MailKeys) -> None:
        """Answer for `keys`, kept in `store`."""
        self._store = store
        self._keys = keys

    async def count(self) -> Count:
        """See HeldClass."""
        number = await self._store.count(MAIL_KEYS, AT_MOST)
        first = await self._store.find(Query(MAIL_KEYS, "due", limit=1))
        due = first[0].body["due"] if first else 0
        return Count(number, number >= AT_MOST, due if isinstance(due, int) else 0)

    async def sweep(self, until: int, limit: int) -> Swept:
        """See HeldClass."""
        destroyed = await self._keys.sweep(until, limit)
        return Swept(destroyed, destroyed == limit)


class DomainKeys(_Nobodys):
    """DKIM keys of domains; they go when the domain is given up."""

    name = "domain_key"

    def __init__(self, store: Store) -> None:
        """Count what is kept in `store`."""
        self._store = store

    async def count(self) -> Count:
        """See HeldClass."""
        number = await self._store.count(DKIM_KEYS, AT_MOST)
        return Count(number, number >= AT_MOST)
