"""What crypto keeps: certificates and DKIM keys (sealed), data keys (wrapped), on libs.docstore.

Fields that are not sealed or wrapped: the look-up hash of a certificate; for a data key its state, the version of its
key-encryption key and, for public days and for mails on their way out, when it ends. Keys of the latter have a
collection of their own: there are as many as mails, and they need neither states nor tombstones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from libs.docstore.store import Body, Collection, Delete, Document, Index, Insert, Operation, Query, Replace, Store
from libs.owner.terms import TERMS
from libs.runtime.errors import ConflictError, NotFoundError
from services.crypto.domain.model import CertificateRecord, DkimRecord, KeyRecord

CERTIFICATES = Collection("certificate", (Index("lookup", ("lookup",), unique=True),), fields=("sealed", "lookup"))
DATA_KEYS = Collection(
    "data_key",
    (Index("due", ("state", "due")), Index("kek", ("kek",))),
    fields=("wrapped", "kek", "due", "closes", "state"),
)
MAIL_KEYS = Collection("mail_key", (Index("due", ("due",)), Index("kek", ("kek",))), fields=("wrapped", "kek", "due"))
DKIM_KEYS = Collection("dkim_key", (Index("kek", ("kek",)),), fields=("sealed", "wrapped", "kek"))
COLLECTIONS = (CERTIFICATES, DATA_KEYS, MAIL_KEYS, DKIM_KEYS, TERMS)
# Of a data key: destroyed at its time, or the mark of one that was.
LIVE, GONE = "live", "gone"

_PAGE = 1000


class CertificateRepository:
    """CertificateRecords on a store."""

    def __init__(self, store: Store) -> None:
        """Use `store`, opened with COLLECTIONS."""
        self._store = store

    async def get_many(self, account_ids: Sequence[str]) -> Mapping[str, CertificateRecord]:
        """Return the records that exist."""
        documents = await _get_many(self._store, CERTIFICATES, account_ids)
        return {key: _certificate(document) for key, document in documents.items()}

    async def find(self, lookup: bytes) -> CertificateRecord | None:
        """Return the record with this look-up hash."""
        found = await self._store.find(Query(CERTIFICATES, "lookup", (lookup,), limit=1))
        return _certificate(found[0]) if found else None

    async def insert(self, record: CertificateRecord) -> None:
        """Keep a new one. Raises ConflictError("exists") or ("duplicate")."""
        await self._store.write(Insert(CERTIFICATES, record.account_id, _certificate_body(record)))

    async def replace(self, record: CertificateRecord) -> None:
        """Put `record` in place of its version. Raises ConflictError, NotFoundError."""
        body = _certificate_body(record)
        await self._store.write(Replace(CERTIFICATES, record.account_id, body, record.version))

    async def delete(self, account_id: str) -> None:
        """Remove it; absent is fine."""
        await _delete(self._store, Delete(CERTIFICATES, account_id))


class KeyRepository:
    """KeyRecords on a store."""

    def __init__(self, store: Store) -> None:
        """Use `store`, opened with COLLECTIONS."""
        self._store = store

    async def get_many(self, keys: Sequence[str]) -> Mapping[str, KeyRecord]:
        """Return the records that exist."""
        return {key: _key(document) for key, document in (await _get_many(self._store, DATA_KEYS, keys)).items()}

    async def insert(self, record: KeyRecord) -> None:
        """Keep a new one. Raises ConflictError("exists")."""
        await self._store.write(Insert(DATA_KEYS, record.key, _key_body(record)))

    async def replace(self, record: KeyRecord) -> None:
        """Put `record` in place of its version. Raises ConflictError, NotFoundError."""
        await self._store.write(Replace(DATA_KEYS, record.key, _key_body(record), record.version))

    async def replace_many(self, records: Sequence[KeyRecord]) -> int:
        """Put each in place of its version, unless it has changed or is gone; return how many were."""
        return await _write_many(
            self._store, [Replace(DATA_KEYS, record.key, _key_body(record), record.version) for record in records]
        )

    async def delete(self, key: str, version: int | None = None) -> None:
        """Remove it; absent is fine. Raises ConflictError if it is not of `version`."""
        await _delete(self._store, Delete(DATA_KEYS, key, version))

    async def due(self, now: int, limit: int) -> Sequence[KeyRecord]:
        """Return at most `limit` live keys whose time has come, the most overdue first."""
        return [_key(d) for d in await self._store.find(Query(DATA_KEYS, "due", (LIVE,), upper=now, limit=limit))]

    async def forget_tombstones(self, now: int, limit: int) -> int:
        """Remove at most `limit` tombstones whose time has come; return how many."""
        return await self._store.delete_range(DATA_KEYS, "due", (GONE,), now, limit)

    async def wrapped_before(self, kek: int, limit: int) -> Sequence[KeyRecord]:
        """Return at most `limit` keys wrapped under an older key-encryption key than version `kek`."""
        return [_key(d) for d in await self._store.find(Query(DATA_KEYS, "kek", (), upper=kek - 1, limit=limit))]

    async def compact(self) -> None:
        """Leave nothing of removed keys behind in the engine's files."""
        await self._store.compact()


class MailKeyRepository:
    """KeyRecords of mails on their way out, on a store."""

    def __init__(self, store: Store) -> None:
        """Use `store`, opened with COLLECTIONS."""
        self._store = store

    async def get_many(self, keys: Sequence[str]) -> Mapping[str, KeyRecord]:
        """Return the records that exist."""
        return {key: _mail_key(document) for key, document in (await _get_many(self._store, MAIL_KEYS, keys)).items()}

    async def insert_many(self, records: Sequence[KeyRecord]) -> None:
        """Keep new ones, durably; some may be kept where it raises."""
        inserts = [Insert(MAIL_KEYS, record.key, _mail_key_body(record)) for record in records]
        for result in await self._store.write_many(inserts):
            if isinstance(result, Exception):
                raise result

    async def replace_many(self, records: Sequence[KeyRecord]) -> int:
        """Put each in place of its version, unless it has changed or is gone; return how many were."""
        return await _write_many(
            self._store, [Replace(MAIL_KEYS, record.key, _mail_key_body(record), record.version) for record in records]
        )

    async def delete_many(self, keys: Sequence[str]) -> None:
        """Remove them, durably; absent ones are fine."""
        await _write_many(self._store, [Delete(MAIL_KEYS, key) for key in keys])

    async def delete_due(self, now: int, limit: int) -> int:
        """Remove at most `limit` records whose time has come, the most overdue first; return how many."""
        return await self._store.delete_range(MAIL_KEYS, "due", (), now, limit)

    async def wrapped_before(self, kek: int, limit: int) -> Sequence[KeyRecord]:
        """Return at most `limit` keys wrapped under an older key-encryption key than version `kek`."""
        return [_mail_key(d) for d in await self._store.find(Query(MAIL_KEYS, "kek", (), upper=kek - 1, limit=limit))]


class DkimRepository:
    """DkimRecords on a store."""

    def __init__(self, store: Store) -> None:
        """Use `store`, opened with COLLECTIONS."""
        self._store = store

    async def get_many(self, keys: Sequence[str]) -> Mapping[str, DkimRecord]:
        """Return the records that exist."""
        return {key: _dkim(document) for key, document in (await _get_many(self._store, DKIM_KEYS, keys)).items()}

    async def insert(self, record: DkimRecord) -> None:
        """Keep a new one. Raises ConflictError("exists")."""
        await self._store.write(Insert(DKIM_KEYS, record.key, _dkim_body(record)))

    async def replace_many(self, records: Sequence[DkimRecord]) -> int:
        """Put each in place of its version, unless it has changed or is gone; return how many were."""
        return await _write_many(
            self._store, [Replace(DKIM_KEYS, record.key, _dkim_body(record), record.version) for record in records]
        )

    async def delete(self, key: str) -> None:
        """Remove it; absent is fine."""
        await _delete(self._store, Delete(DKIM_KEYS, key))

    async def wrapped_before(self, kek: int, limit: int) -> Sequence[DkimRecord]:
        """Return at most `limit` records wrapped under an older key-encryption key than version `kek`."""
        return [_dkim(d) for d in await self._store.find(Query(DKIM_KEYS, "kek", (), upper=kek - 1, limit=limit))]


async def _write_many(store: Store, operations: Sequence[Operation]) -> int:
    """Apply them and return how many were; one whose document has changed or is gone is passed over."""
    done = 0
    for result in await store.write_many(operations) if operations else ():
        if isinstance(result, Exception):
            if not isinstance(result, (ConflictError, NotFoundError)):
                raise result
        else:
            done += 1
    return done


async def _get_many(store: Store, collection: Collection, keys: Sequence[str]) -> dict[str, Document]:
    documents: dict[str, Document] = {}
    for start in range(0, len(keys), _PAGE):
        documents.update(await store.get_many(collection, keys[start : start + _PAGE]))
    return documents


async def _delete(store: Store, operation: Delete) -> None:
    try:
        await store.write(operation)
    except NotFoundError:
        return


def _certificate(document: Document) -> CertificateRecord:
    body = document.body
    return CertificateRecord(
        document.key,
        cast(bytes, body["sealed"]),
        cast("bytes | None", body.get("lookup")),
        document.version,
    )


def _certificate_body(record: CertificateRecord) -> Body:
    return {"sealed": record.sealed, "lookup": record.lookup}


def _key(document: Document) -> KeyRecord:
    body = document.body
    return KeyRecord(
        document.key,
        cast("bytes | None", body.get("wrapped")),
        cast("int | None", body.get("kek")),
        cast("int | None", body.get("due")),
        cast(int, body["closes"]),
        document.version,
    )


def _key_body(record: KeyRecord) -> Body:
    return {
        "wrapped": record.wrapped,
        "kek": record.kek,
        "due": record.due,
        "closes": record.closes,
        "state": GONE if record.wrapped is None else LIVE,
    }


def _mail_key(document: Document) -> KeyRecord:
    body = document.body
    wrapped, kek, due = cast(bytes, body["wrapped"]), cast(int, body["kek"]), cast(int, body["due"])
    return KeyRecord(document.key, wrapped, kek, due, version=document.version)


def _mail_key_body(record: KeyRecord) -> Body:
    return {"wrapped": record.wrapped, "kek": record.kek, "due": record.due}


def _dkim(document: Document) -> DkimRecord:
    body = document.body
    sealed, wrapped, kek = cast(bytes, body["sealed"]), cast(bytes, body["wrapped"]), cast(int, body["kek"])
    return DkimRecord(document.key, sealed, wrapped, kek, document.version)


def _dkim_body(record: DkimRecord) -> Body:
    return {"sealed": record.sealed, "wrapped": record.wrapped, "kek": record.kek}
