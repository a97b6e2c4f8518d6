"""The directory of members' certificates: one per account and per address, kept sealed, found by keyed hash.

A certificate holds its owner's address, so it is sealed under the account's data key, and the directory entry is a
keyed hash of domain and directory name: a copy of the database neither lists addresses nor answers guesses.

A certificate is stored before the account exists and listed after, so that no address is ever held by a sign-up that
did not finish: first it is put without being listed, then again to be listed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import pysequoia

from libs.envelope import KeyedHash, open_sealed, place_of, seal
from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import ConflictError, InvalidError, NotFoundError, SealpostError, UnavailableError
from libs.runtime.ids import is_id
from libs.runtime.secret import Secret
from services.crypto.domain import certificates
from services.crypto.domain.cache import TimedLru
from services.crypto.domain.keys import DataKeys
from services.crypto.domain.model import Certificate, CertificateRecord, CertificateRecords

_DOMAIN = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?\Z")
_WKD_HASH = re.compile(r"[ybndrfg8ejkmcpqxot1uwisza345h769]{32}\Z")


@dataclass(frozen=True)
class Entry:
    """A certificate to keep for an account.

    `domain` and `wkd_hash` are the directory name that its user ids must be of; both empty: not known yet, and not
    listed. `listed`: whether it is to be found under that name.
    """

    account_id: str
    data: bytes
    domain: str = ""
    wkd_hash: str = ""
    listed: bool = True

    @property
    def named(self) -> bool:
        """Whether there is a directory name."""
        return bool(self.domain or self.wkd_hash)


@dataclass(frozen=True)
class Recipient:
    """A certificate ready to be sealed to."""

    certificate: pysequoia.Cert
    fingerprint: str


class Directory:
    """Certificates by account and by address."""

    def __init__(
        self, records: CertificateRecords, keys: DataKeys, lookup: KeyedHash, clock: Clock, cache: tuple[int, float]
    ) -> None:
        """`cache` is how many certificates are held parsed, and for how many seconds."""
        self._records = records
        self._keys = keys
        self._lookup = lookup
        self._clock = clock
        self._recipients: TimedLru[Recipient] = TimedLru(*cache, clock)

    async def put(self, entry: Entry) -> str:
        """Keep a certificate, and list it if so asked; return its fingerprint. Idempotent for account and fingerprint.

        A newer form of the same certificate (a later expiry, say) takes the place of the older; what is listed stays
        listed.
        Raises: InvalidError (see `certificates.accept`); ConflictError "certificate_exists" where the account has
        another certificate or another name, "address_taken" where another account has the name.
        """
        if not is_id(entry.account_id):
            raise InvalidError("account_id")
        if entry.named and not (_DOMAIN.match(entry.domain) and _WKD_HASH.match(entry.wkd_hash)):
            raise InvalidError("directory_name")
        directed = certificates.Directed(entry.domain, entry.wkd_hash) if entry.named else None
        certificate = certificates.accept(entry.data, directed, unix_seconds(self._clock))
        new = Certificate(entry.data, str(certificate.fingerprint))
        lookup = self._lookup_of(entry.domain, entry.wkd_hash) if entry.named and entry.listed else None
        existing = (await self._records.get_many([entry.account_id])).get(entry.account_id)
        try:
            if existing is not None:
                await self._renew(existing, lookup, new)
            else:
                await self._add(entry.account_id, lookup, new)
        except ConflictError as error:
            raise _conflict(error) from error
        self._recipients.drop(entry.account_id)
        return new.fingerprint

    async def get(self, account_id: str) -> Certificate:
        """Return an account's certificate. Raises NotFoundError("certificate_unknown")."""
        record = (await self._records.get_many([account_id])).get(account_id) if is_id(account_id) else None
        return await self._opened(record)

    async def find(self, domain: str, wkd_hash: str) -> Certificate:
        """Return the certificate of an address. Raises NotFoundError("certificate_unknown")."""
        return await self._opened(await self._records.find(self._lookup_of(domain, wkd_hash)))

    async def delete(self, account_id: str) -> None:
        """Take an account's certificate out and destroy the account's data key. Idempotent.

        Other processes may seal to it for as long as they hold it; what they seal, the owner can still read.
        """
        if not is_id(account_id):
            raise InvalidError("account_id")
        await self.forget(account_id)
        await self._keys.destroy_account(account_id)

    async def forget(self, account_id: str) -> bool:
        """Take an account's certificate out, its key being destroyed already; tell whether there was one."""
        self._recipients.drop(account_id)
        if account_id not in await self._records.get_many([account_id]):
            return False
        await self._records.delete(account_id)
        # Somebody may have read it while it was being removed.
        self._recipients.drop(account_id)
        return True

    async def recipients(self, account_ids: Sequence[str]) -> dict[str, Recipient | SealpostError]:
        """Return those of the accounts' certificates that exist, ready to be sealed to: two reads for any number.

        One that is there but cannot be read stands as its error: temporary, for the mail must not be refused for it.
        """
        ready: dict[str, Recipient | SealpostError] = {}
        for account in account_ids:
            if (held := self._recipients.get(account)) is not None:
                ready[account] = held
        missing = [account for account in dict.fromkeys(account_ids) if account not in ready and is_id(account)]
        if missing:
            records = await self._records.get_many(missing)
            keys = await self._keys.of_accounts(list(records))
            for account, record in records.items():
                if account in keys:
                    ready[account] = self._read(record, keys[account])
        return ready

    def _read(self, record: CertificateRecord, key: Secret[bytes] | SealpostError) -> Recipient | SealpostError:
        if isinstance(key, SealpostError):
            return key
        try:
            data = open_sealed(key, _place(record.account_id), record.sealed)
            certificate = certificates.parse(data)
        except InvalidError:
            return UnavailableError("certificate_damaged")
        recipient = Recipient(certificate, str(certificate.fingerprint))
        self._recipients.put(record.account_id, recipient)
        return recipient

    async def _renew(self, existing: CertificateRecord, lookup: bytes | None, new: Certificate) -> None:
        old = await self._opened(existing)
        if old.fingerprint != new.fingerprint or (existing.lookup and lookup and existing.lookup != lookup):
            raise ConflictError("certificate_exists")
        if old.data != new.data or (lookup and not existing.lookup):
            key = await self._key(existing.account_id)
            sealed = seal(key, _place(existing.account_id), new.data)
            await self._records.replace(replace(existing, sealed=sealed, lookup=lookup or existing.lookup))

    async def _add(self, account_id: str, lookup: bytes | None, new: Certificate) -> None:
        if lookup is not None and await self._records.find(lookup) is not None:
            # Before a key is made that nobody would use.
            raise ConflictError("duplicate")
        key = await self._keys.of_account(account_id)
        await self._records.insert(CertificateRecord(account_id, seal(key, _place(account_id), new.data), lookup))

    async def _key(self, account_id: str) -> Secret[bytes]:
        key = (await self._keys.of_accounts([account_id])).get(account_id)
        if key is None:
            raise NotFoundError("certificate_unknown")
        if isinstance(key, SealpostError):
            raise key
        return key

    async def _opened(self, record: CertificateRecord | None) -> Certificate:
        if record is None:
            raise NotFoundError("certificate_unknown")
        data = open_sealed(await self._key(record.account_id), _place(record.account_id), record.sealed)
        return Certificate(data, str(certificates.parse(data).fingerprint))

    def _lookup_of(self, domain: str, wkd_hash: str) -> bytes:
        return self._lookup.digest("directory", f"{domain}\0{wkd_hash}".encode())


def _place(account_id: str) -> str:
    return place_of("certificate", account_id, "certificate")


def _conflict(error: ConflictError) -> SealpostError:
    if error.reason == "duplicate":
        return ConflictError("address_taken")
    # The same request twice at once: the caller's next attempt finds what the other one wrote.
    return error if error.reason == "certificate_exists" else UnavailableError("certificate_contended")
