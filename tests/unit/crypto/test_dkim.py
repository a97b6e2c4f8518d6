"""DKIM keys: signatures that others verify, one set of keys per domain, private keys that never leave."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from pathlib import Path

import dkim
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Query
from libs.envelope import KeyEncryptionKeys
from libs.runtime.errors import InvalidError, NotFoundError, SealpostError, UnavailableError
from libs.runtime.secret import Secret
from services.crypto.domain.dkim import ED25519_SHA256, RSA_SHA256, DkimKeys, Roots
from services.crypto.domain.model import DkimKey, SignItem
from services.crypto.repository import COLLECTIONS, DKIM_KEYS, DkimRepository
from services.crypto.sweeper import Sweeper
from tests.support.clock import ManualClock
from tests.unit.crypto.support import KEK, World

DOMAIN = "relay.sealpost.test"
DIGEST = hashlib.sha256(b"header").digest()
MAIL = b"From: sender@relay.sealpost.test\r\nTo: ada@example.org\r\nSubject: A bill\r\n\r\nHow  much?\r\n\r\n\r\n"


def public_bytes(record: str) -> bytes:
    """Return the key in a key record."""
    tags = dict(tag.strip().split("=", 1) for tag in record.split(";"))
    return base64.b64decode(tags["p"], validate=True)


def verify(key: DkimKey, signature: bytes, digest: bytes) -> None:
    """Raise InvalidSignature unless it is one by the key that the record shows."""
    if key.algorithm == RSA_SHA256:
        public = load_der_public_key(public_bytes(key.record))
        assert isinstance(public, RSAPublicKey) and public.key_size == 2048
        public.verify(signature, digest, PKCS1v15(), Prehashed(SHA256()))
    else:
        Ed25519PublicKey.from_public_bytes(public_bytes(key.record)).verify(signature, digest)


async def signatures(here: World, *items: SignItem) -> list[bytes]:
    results = await here.dkim.sign(items)
    assert not [result for result in results if isinstance(result, SealpostError)]
    return [result for result in results if isinstance(result, bytes)]


async def reasons(here: World, *items: SignItem) -> list[str]:
    results = await here.dkim.sign(items)
    return [result.reason if isinstance(result, SealpostError) else "signed" for result in results]


async def test_a_domain_has_one_key_of_each_kind(here: World) -> None:
    rsa, ed25519 = await here.dkim.ensure(DOMAIN)
    assert (rsa.algorithm, ed25519.algorithm) == (RSA_SHA256, ED25519_SHA256)
    assert re.fullmatch(r"sp[0-9a-f]{8}r", rsa.selector) and ed25519.selector == f"{rsa.selector[:-1]}e"
    assert rsa.record.startswith("v=DKIM1; k=rsa; p=") and ed25519.record.startswith("v=DKIM1; k=ed25519; p=")
    assert len(public_bytes(ed25519.record)) == 32
    assert await here.dkim.ensure(DOMAIN) == await here.another_process().dkim.ensure(DOMAIN) == [rsa, ed25519]
    assert {key.record for key in await here.dkim.ensure("other.test")}.isdisjoint({rsa.record, ed25519.record})


async def test_signatures_verify_and_bind_the_digest(here: World) -> None:
    for key in await here.dkim.ensure(DOMAIN):
        (signature,) = await signatures(here, SignItem(DOMAIN, key.selector, DIGEST))
        verify(key, signature, DIGEST)
        with pytest.raises(InvalidSignature):
            verify(key, signature, hashlib.sha256(b"another").digest())


async def _signed(here: World, key: DkimKey) -> bytes:
    """Return MAIL with a DKIM-Signature of this service (canonical form: simple, so the bytes as they are)."""
    body = b"How  much?\r\n"
    field = (
        f"v=1; a={key.algorithm}; c=simple/simple; d={DOMAIN}; s={key.selector}; h=from:to:subject; "
        f"bh={base64.b64encode(hashlib.sha256(body).digest()).decode()}; b="
    )
    head = MAIL.split(b"\r\n\r\n")[0] + b"\r\nDKIM-Signature: " + field.encode()
    (signature,) = await signatures(here, SignItem(DOMAIN, key.selector, hashlib.sha256(head).digest()))
    return b"DKIM-Signature: " + field.encode() + base64.b64encode(signature) + b"\r\n" + MAIL


async def test_dkimpy_verifies_a_mail_by_the_record(here: World) -> None:
    for key in await here.dkim.ensure(DOMAIN):
        records = {f"{key.selector}._domainkey.{DOMAIN}.".encode(): key.record.encode()}

        def look_up(name: bytes, timeout: int = 5, records: dict[bytes, bytes] = records) -> bytes | None:
            return records.get(name)

        mail = await _signed(here, key)
        assert dkim.verify(mail, dnsfunc=look_up)
        assert not dkim.verify(mail.replace(b"A bill", b"A gift"), dnsfunc=look_up)
        assert not dkim.verify(mail.replace(b"much", b"many"), dnsfunc=look_up)


async def test_each_item_fails_alone(here: World) -> None:
    rsa, ed25519 = [key.selector for key in await here.dkim.ensure(DOMAIN)]
    good = SignItem(DOMAIN, ed25519, DIGEST)
    items = [
        good,
        SignItem(DOMAIN, rsa, DIGEST[:31]),
        SignItem(DOMAIN, rsa, b""),
        SignItem(DOMAIN, "sp2r", DIGEST),
        SignItem("nobody.test", rsa, DIGEST),
        SignItem("../x", rsa, DIGEST),
        SignItem("", "", DIGEST + b"x"),
        good,
    ]
    for _ in range(2):
        unknown = ["dkim_key_unknown"] * 3
        assert await reasons(here, *items) == ["signed", "digest", "digest", *unknown, "digest", "signed"]
    results = await here.dkim.sign(items)
    assert isinstance(results[1], InvalidError) and isinstance(results[4], NotFoundError)
    assert await here.dkim.sign([]) == []


async def test_a_thousand_are_signed_while_the_loop_turns(here: World) -> None:
    rsa, _ = await here.dkim.ensure(DOMAIN)
    digests = [hashlib.sha256(str(number).encode()).digest() for number in range(1000)]
    signing = asyncio.create_task(signatures(here, *(SignItem(DOMAIN, rsa.selector, digest) for digest in digests)))
    turns = 0
    while not signing.done():
        await asyncio.sleep(0.001)
        turns += 1
    assert turns > 10
    for digest, signature in zip(digests, signing.result(), strict=True):
        verify(rsa, signature, digest)


async def test_many_makers_at_once_agree(here: World) -> None:
    worlds = [here.another_process() for _ in range(4)]
    answers = await asyncio.gather(*(one.dkim.ensure(DOMAIN) for one in worlds for _ in range(2)))
    assert all(answer == answers[0] for answer in answers)
    for one in worlds:
        (signature,) = await signatures(one, SignItem(DOMAIN, answers[0][1].selector, DIGEST))
        verify(answers[0][1], signature, DIGEST)


@pytest.mark.parametrize(
    "domain",
    [
        "",
        "localhost",
        "Relay.test",
        "a..b",
        ".test",
        "a.test.",
        "a b.test",
        "ü.test",
        "-a.test",
        "a.test\n",
        "x" * 64 + ".test",
        ".".join(["abcdefg"] * 32),
        "a_b.test",
    ],
)
async def test_what_is_no_domain_gets_no_keys(here: World, domain: str) -> None:
    with pytest.raises(InvalidError, match="dkim_domain"):
        await here.dkim.ensure(domain)


async def test_deleted_keys_sign_no_more_and_are_followed_by_others(here: World) -> None:
    there = here.another_process()
    before = await here.dkim.ensure(DOMAIN)
    old = SignItem(DOMAIN, before[0].selector, DIGEST)
    await signatures(there, old)
    await here.dkim.delete(DOMAIN)
    await here.dkim.delete(DOMAIN)
    await here.dkim.delete("nobody.test")
    assert await reasons(here, old) == ["dkim_key_unknown"]
    here.clock.advance(61)
    assert await reasons(there, old) == ["dkim_key_unknown"]
    after = await there.dkim.ensure(DOMAIN)
    assert {key.record for key in before}.isdisjoint({key.record for key in after})
    # What is published of the old ones denies nothing that the new ones sign.
    assert {key.selector for key in before}.isdisjoint({key.selector for key in after})
    assert await reasons(there, old) == ["dkim_key_unknown"]


async def test_new_keys_sign_at_once_wherever_old_ones_are_held(here: World) -> None:
    there = here.another_process()
    before = await here.dkim.ensure(DOMAIN)
    await signatures(there, SignItem(DOMAIN, before[0].selector, DIGEST))
    await here.dkim.delete(DOMAIN)
    (rsa, _) = await here.dkim.ensure(DOMAIN)
    (signature,) = await signatures(there, SignItem(DOMAIN, rsa.selector, DIGEST))
    verify(rsa, signature, DIGEST)


async def test_ensuring_does_not_believe_the_cache(here: World) -> None:
    there = here.another_process()
    before = await there.dkim.ensure(DOMAIN)
    await here.dkim.delete(DOMAIN)
    assert await there.dkim.ensure(DOMAIN) != before


async def test_keys_are_wrapped_anew_after_the_kek_has_changed(here: World) -> None:
    keys = await here.dkim.ensure(DOMAIN)
    new = Secret(b"n" * 32)
    both = here.another_process(KeyEncryptionKeys({1: Secret(b"k" * 32), 2: new}))
    assert [await both.dkim.rewrap(10) for _ in range(2)] == [(1, 0), (0, 0)]
    only_new = here.another_process(KeyEncryptionKeys({2: new}))
    assert await only_new.dkim.ensure(DOMAIN) == keys
    (signature,) = await signatures(only_new, SignItem(DOMAIN, keys[0].selector, DIGEST))
    verify(keys[0], signature, DIGEST)


@pytest.mark.parametrize(("version", "reason"), [(2, "kek_missing"), (1, "key_damaged")])
async def test_a_missing_or_wrong_kek_is_temporary_and_makes_no_keys(here: World, version: int, reason: str) -> None:
    keys = await here.dkim.ensure(DOMAIN)
    wrong = here.another_process(KeyEncryptionKeys({version: Secret(b"x" * 32)}))
    assert await reasons(wrong, SignItem(DOMAIN, keys[0].selector, DIGEST)) == [reason]
    with pytest.raises(UnavailableError, match=reason):
        await wrong.dkim.ensure(DOMAIN)
    assert await here.dkim.ensure(DOMAIN) == keys


async def test_a_damaged_seal_is_temporary(here: World) -> None:
    selectors = {domain: (await here.dkim.ensure(domain))[1].selector for domain in (DOMAIN, "other.test")}
    records = DkimRepository(here.store)
    first, second = await records.wrapped_before(2, 10)
    swapped = type(first)(first.key, second.sealed, first.wrapped, first.kek, first.version)
    assert await records.replace_many([swapped]) == 1
    told = set(await reasons(here.another_process(), *(SignItem(d, one, DIGEST) for d, one in selectors.items())))
    assert told == {"key_damaged", "signed"}


async def test_keys_outlive_the_process_and_files_hold_none(tmp_path: Path) -> None:
    clock = ManualClock()
    async with SqliteStore.open(tmp_path / "crypto.db", COLLECTIONS) as store:
        keys = await World(store, clock).dkim.ensure(DOMAIN)
    async with SqliteStore.open(tmp_path / "crypto.db", COLLECTIONS) as store:
        here = World(store, clock, KEK)
        assert await here.dkim.ensure(DOMAIN) == keys
        await signatures(here, SignItem(DOMAIN, keys[0].selector, DIGEST))
        (document,) = await store.find(Query(DKIM_KEYS, "kek", (), upper=1))
        sealed = document.body["sealed"]
        assert isinstance(sealed, bytes)
        files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        # Public halves of both keys stand inside of their private ones.
        for mark in (b"PRIVATE", b"selector", DOMAIN.encode(), *(public_bytes(key.record)[-32:] for key in keys)):
            assert mark not in files and base64.b64encode(mark).rstrip(b"=")[:-1] not in files
        assert sealed[:64] in files
        await here.dkim.delete(DOMAIN)
        await Sweeper(here.families, 60, 100).sweep()
        assert sealed[:64] not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


async def test_the_cache_holds_as_many_domains_as_it_should(here: World) -> None:
    small = DkimKeys(DkimRepository(here.store), Roots(KEK, here.lookup), here.clock, here.keys.compaction, (1, 60.0))
    for domain in (DOMAIN, "other.test", DOMAIN):
        keys = await small.ensure(domain)
        (result,) = await small.sign([SignItem(domain, keys[1].selector, DIGEST)])
        assert isinstance(result, bytes)
