"""DKIM keys: one RSA-2048 and one Ed25519 key for each domain, which sign digests and never leave.

Whoever sends makes the digest of the canonical header (RFC 6376 3.7) and gets back two signatures: RSASSA-PKCS1-v1_5
over it (RFC 8017 8.2), which everybody verifies, and Ed25519 over its bytes (RFC 8463 3), which is small and fast. Both
keys of a domain are one document: its own data key, wrapped under the key-encryption key, and the private keys sealed
under that. So of two processes that make keys for a domain at once, one insert wins, and the other reads what won.

Signing with RSA takes 0.3 ms and lets go of the interpreter's lock meanwhile. A batch is therefore signed in a thread:
the event loop turns on, and several batches use several cores.

Keys have selectors of their own (`sp3f9a20c1r`, `sp3f9a20c1e`), new ones whenever keys are made: the record of keys
that were deleted stays in the DNS for as long as its owner or a cache leaves it there, and under the same name it would
deny what the new ones sign. A process may sign with a key that another one has deleted for as long as the cache holds
it; a selector that is not in the cache is looked for behind it.
"""

from __future__ import annotations

import asyncio
import base64
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)

from libs.envelope import KeyedHash, KeyEncryptionKeys, new_data_key, open_sealed, place_of, seal
from libs.runtime.clock import Clock
from libs.runtime.errors import ConflictError, InvalidError, NotFoundError, SealpostError, UnavailableError
from services.crypto.domain.cache import TimedLru
from services.crypto.domain.compaction import Compaction
from services.crypto.domain.model import DkimKey, DkimRecord, DkimRecords, SignItem
from services.crypto.domain.wrapping import rewrap, unwrap

RSA_SHA256 = "rsa-sha256"
ED25519_SHA256 = "ed25519-sha256"
DIGEST_BYTES = 32

_RSA_BITS = 2048
_KINDS = {RSA_SHA256: "r", ED25519_SHA256: "e"}
_SELECTOR_BYTES = 4
_DOMAIN = re.compile(r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z")
_ATTEMPTS = 5
_THREADS = 4

_Private = RSAPrivateKey | Ed25519PrivateKey


@dataclass(frozen=True)
class _Held:
    public: DkimKey
    private: _Private


_Keys = Mapping[str, _Held]


@dataclass(frozen=True)
class Roots:
    """The mounted secrets under which keys are kept and found."""

    kek: KeyEncryptionKeys
    lookup: KeyedHash


class DkimKeys:
    """The DKIM keys of all domains."""

    def __init__(
        self, records: DkimRecords, roots: Roots, clock: Clock, compaction: Compaction, cache: tuple[int, float]
    ) -> None:
        """`cache` is of how many domains the keys are held ready, and for how many seconds."""
        self._records = records
        self._kek = roots.kek
        self._lookup = roots.lookup
        self._compaction = compaction
        self._cache: TimedLru[_Keys] = TimedLru(*cache, clock)
        self._threads = asyncio.Semaphore(_THREADS)

    async def ensure(self, domain: str) -> list[DkimKey]:
        """Return the public keys of a domain, made now if there are none. Idempotent, also at the same time.

        Raises: InvalidError("dkim_domain") unless it is a name in lower-case A-labels; UnavailableError.
        """
        if not _DOMAIN.match(domain):
            raise InvalidError("dkim_domain")
        for _ in range(_ATTEMPTS):
            # Past the cache: another process may have deleted them.
            found = (await self._load([domain])).get(domain)
            if isinstance(found, SealpostError):
                raise found
            if found is not None:
                return [held.public for held in found.values()]
            await self._create(domain)
        raise UnavailableError("key_contended")

    async def sign(self, items: Sequence[SignItem]) -> list[bytes | SealpostError]:
        """Return for each item, in order, its signature or why there is none: InvalidError("digest"),
        NotFoundError("dkim_key_unknown"), UnavailableError("key_damaged" | "kek_missing").
        """
        wanted: dict[str, set[str]] = {}
        for item in items:
            if _DOMAIN.match(item.domain):
                wanted.setdefault(item.domain, set()).add(item.selector)
        found: dict[str, _Keys | SealpostError] = {
            domain: held
            for domain, selectors in wanted.items()
            if (held := self._cache.get(domain)) is not None and selectors <= held.keys()
        }
        found.update(await self._load([domain for domain in wanted if domain not in found]))
        chosen = [_choose(item, found.get(item.domain)) for item in items]
        async with self._threads:
            return await asyncio.to_thread(_sign_all, chosen, [item.digest for item in items])

    async def delete(self, domain: str) -> None:
        """Destroy the keys of a domain; absent is fine. They leave the engine's files with the sweeper's next look."""
        self._cache.drop(domain)
        self._compaction.owe()
        await self._records.delete(self._key_of(domain))
        # Somebody may have read them while they were being removed.
        self._cache.drop(domain)
        self._compaction.owe()

    async def rewrap(self, limit: int) -> tuple[int, int]:
        """Wrap at most `limit` keys under the newest key-encryption key; return how many were, and how many failed."""
        return await rewrap(self._records, self._kek, _wrapping_place, _renewed, limit)

    async def _load(self, domains: Sequence[str]) -> dict[str, _Keys | SealpostError]:
        if not domains:
            return {}
        keys = {domain: self._key_of(domain) for domain in domains}
        records = await self._records.get_many(list(keys.values()))
        return {domain: self._hold(domain, records[key]) for domain, key in keys.items() if key in records}

    def _hold(self, domain: str, record: DkimRecord) -> _Keys | SealpostError:
        try:
            secret = unwrap(self._kek, record, _wrapping_place(record.key))
            keys = _decoded(open_sealed(secret, _place(record.key), record.sealed))
        except InvalidError:
            return UnavailableError("key_damaged")
        except SealpostError as error:
            return error
        self._cache.put(domain, keys)
        return keys

    async def _create(self, domain: str) -> None:
        key, secret = self._key_of(domain), new_data_key()
        async with self._threads:
            made = await asyncio.to_thread(_make)
        wrapped = self._kek.wrap(secret, _wrapping_place(key))
        try:
            await self._records.insert(DkimRecord(key, seal(secret, _place(key), made), wrapped, self._kek.newest))
        except ConflictError:
            # Another process was first: its keys are the keys.
            return

    def _key_of(self, domain: str) -> str:
        return self._lookup.digest("dkim-domain", domain.encode()).hex()


def _choose(item: SignItem, keys: _Keys | SealpostError | None) -> _Private | SealpostError:
    if len(item.digest) != DIGEST_BYTES:
        return InvalidError("digest")
    if isinstance(keys, SealpostError):
        return keys
    if keys is None or item.selector not in keys:
        return NotFoundError("dkim_key_unknown")
    return keys[item.selector].private


def _sign_all(keys: Sequence[_Private | SealpostError], digests: Sequence[bytes]) -> list[bytes | SealpostError]:
    return [
        key if isinstance(key, SealpostError) else _signature(key, digest)
        for key, digest in zip(keys, digests, strict=True)
    ]


def _signature(key: _Private, digest: bytes) -> bytes:
    if isinstance(key, RSAPrivateKey):
        return key.sign(digest, PKCS1v15(), Prehashed(SHA256()))
    return key.sign(digest)


def _make() -> bytes:
    """Return new private keys as they are sealed: JSON, each with selector, algorithm and PKCS #8 (RFC 5958)."""
    made: dict[str, _Private] = {
        RSA_SHA256: generate_private_key(65537, _RSA_BITS),
        ED25519_SHA256: Ed25519PrivateKey.generate(),
    }
    name = f"sp{secrets.token_hex(_SELECTOR_BYTES)}"
    listed = [
        {
            "selector": f"{name}{_KINDS[algorithm]}",
            "algorithm": algorithm,
            "private": base64.b64encode(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())).decode(),
        }
        for algorithm, key in made.items()
    ]
    return json.dumps(listed).encode()


def _decoded(sealed: bytes) -> _Keys:
    return {entry["selector"]: _held(entry) for entry in json.loads(sealed)}


def _held(entry: Mapping[str, str]) -> _Held:
    # Checking an RSA key takes 30 ms. This one was made here and comes out of an authenticated seal.
    der = base64.b64decode(entry["private"])
    private = cast(_Private, load_der_private_key(der, None, unsafe_skip_rsa_key_validation=True))
    return _Held(DkimKey(entry["selector"], entry["algorithm"], _record(private)), private)


def _record(private: _Private) -> str:
    """Return the key record (RFC 6376 3.6.1; RFC 8463 4 for Ed25519, whose key stands bare)."""
    public = private.public_key()
    if isinstance(private, RSAPrivateKey):
        kind, data = "rsa", public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    else:
        kind, data = "ed25519", public.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return f"v=DKIM1; k={kind}; p={base64.b64encode(data).decode()}"


def _renewed(record: DkimRecord, wrapped: bytes, kek: int) -> DkimRecord:
    return replace(record, wrapped=wrapped, kek=kek)


def _place(key: str) -> str:
    return place_of("dkim_key", key, "private")


def _wrapping_place(key: str) -> str:
    return place_of("dkim_key", key, "wrapped")
