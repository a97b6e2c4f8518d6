"""The domain of crypto on a real store, with a clock that tests move and keys made without GnuPG."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pysequoia

from libs.client.openpgp import GeneratedKey, KeyMaterial, build_key
from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Store
from libs.envelope import KeyedHash, KeyEncryptionKeys
from libs.runtime.ids import new_id
from libs.runtime.secret import Secret
from services.crypto.domain.certificates import wkd_hash_of
from services.crypto.domain.directory import Directory, Entry
from services.crypto.domain.dkim import DkimKeys, Roots
from services.crypto.domain.keys import DataKeys
from services.crypto.domain.mail_keys import MailKeys
from services.crypto.domain.model import PublicDay
from services.crypto.domain.sealing import Sealer
from services.crypto.repository import (
    COLLECTIONS,
    CertificateRepository,
    DkimRepository,
    KeyRepository,
    MailKeyRepository,
)
from services.crypto.sweeper import KeyFamilies
from tests.support.clock import ManualClock

# Long past: the OpenPGP library looks at the machine's clock, not at ours.
CREATED = 1_704_067_200
DOMAIN = "sealpost.test"
TODAY = PublicDay("public.sealpost.test", "2026-11-22", 1_795_953_600)
# Later than anything: the own clock alone bounds a sweep.
FAR = 1 << 60
KEK = KeyEncryptionKeys({1: Secret(b"k" * 32)})


def make_key(address: str = "ada@sealpost.test", lifetime: int = 0, created: int = CREATED) -> GeneratedKey:
    """Return a new member's key."""
    return build_key(f"<{address}>", created, KeyMaterial.generate(), lifetime)


def opened(key: GeneratedKey, message: bytes) -> bytes:
    """Return the plaintext of a message sealed to `key`."""
    decryptor = pysequoia.Tsk.from_bytes(key.secret.reveal()).decryptor()
    plaintext = pysequoia.decrypt(message, decryptor=decryptor).bytes
    assert plaintext is not None
    return plaintext


def entry_of(key: GeneratedKey, local_part: str = "ada", account_id: str | None = None, listed: bool = True) -> Entry:
    """Return the entry that lists `key` for `local_part`@sealpost.test."""
    return Entry(account_id or new_id(), key.certificate, DOMAIN, wkd_hash_of(local_part), listed)


@dataclass
class World:
    """The domain's objects over one store, as one process holds them."""

    store: Store
    clock: ManualClock = field(default_factory=ManualClock)
    kek: KeyEncryptionKeys = KEK
    max_in_flight: int = 64 * 1024 * 1024

    def __post_init__(self) -> None:
        """Put them together."""
        self.lookup = lookup = KeyedHash(Secret(b"l" * 32))
        self.keys = DataKeys(KeyRepository(self.store), self.kek, lookup, self.clock, (100, 60.0))
        compaction = self.keys.compaction
        self.mail_keys = MailKeys(MailKeyRepository(self.store), self.kek, self.clock, compaction)
        roots = Roots(self.kek, lookup)
        self.dkim = DkimKeys(DkimRepository(self.store), roots, self.clock, compaction, (100, 60.0))
        self.families = KeyFamilies(self.keys, self.mail_keys, self.dkim)
        certificates = CertificateRepository(self.store)
        self.directory = Directory(certificates, self.keys, lookup, self.clock, (100, 300.0))
        self.sealer = Sealer(self.directory, self.keys, self.clock, self.max_in_flight)

    def another_process(self, kek: KeyEncryptionKeys = KEK) -> World:
        """Return a second process on the same store."""
        return World(self.store, self.clock, kek)


@asynccontextmanager
async def world(directory: Path, clock: ManualClock | None = None) -> AsyncIterator[World]:
    """Yield a world on a store of its own."""
    store = await SqliteStore.open(directory / f"{secrets.token_hex(4)}.db", COLLECTIONS)
    try:
        yield World(store, clock or ManualClock())
    finally:
        await store.close()
