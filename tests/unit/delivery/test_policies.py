"""MTA-STS policies in the store: they outlive a restart, expire, are bounded, and tell nobody whose they are."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Body, Document, Patch, Query, Store
from libs.envelope import KeyedHash, KeyEncryptionKeys, Vault
from libs.runtime.errors import InvalidError, UnavailableError
from libs.runtime.secret import Secret
from services.delivery.domain.model import Result
from services.delivery.main import COLLECTIONS
from services.delivery.policies import POLICIES, KeptPolicies
from services.delivery.transport.sts import Policy
from tests.support.clock import START, ManualClock
from tests.unit.delivery.customers.support import BrokenStore
from tests.unit.delivery.keeping import swept
from tests.unit.delivery.transport.test_sts import Published, publishing

NOW = int(START.timestamp())
DAY = 86_400
# Neither hexadecimal digits nor base 64 can spell it.
DOMAIN = "policy-holder.test"
POLICY = Policy("enforce", ("mx1.policy-holder.test", "*.policy-holder.test"), "one", NOW, NOW + 7 * DAY)


@asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[SqliteStore]:
    async with SqliteStore.open(directory / "policies.db", COLLECTIONS) as store:
        yield store


def kept(store: Store, clock: ManualClock | None = None, *, kek: int = 1, capacity: int = 65_536) -> KeptPolicies:
    return KeptPolicies(store, KeyedHash(Secret(b"l" * 32)), vault(kek), clock or ManualClock(), capacity=capacity)


def vault(kek: int = 1) -> Vault:
    return Vault(KeyEncryptionKeys({kek: Secret(b"k" * 32)}))


async def documents(store: Store) -> list[Document]:
    """Return all documents, bucket after bucket."""
    pages = [Query(POLICIES, "fetched", (f"{bucket:02x}",)) for bucket in range(256)]
    return [document for page in pages for document in await store.find(page)]


async def test_after_a_restart_a_mail_waits_rather_than_going_to_a_server_that_fails_the_policy(tmp_path: Path) -> None:
    clock = ManualClock()
    async with (
        opened(tmp_path) as store,
        publishing(tmp_path / "1", Published(), clock=clock, store=kept(store)) as site,
    ):
        assert (await site.send_one()).result is Result.DELIVERED
    # Somebody has come in between, without a certificate for the server's name, and took the record away.
    clock.advance(days=3)
    gone = Published(status=404)
    async with (
        opened(tmp_path) as store,
        publishing(tmp_path / "2", gone, names=("other.test",), clock=clock, store=kept(store, clock)) as site,
    ):
        del site.dns.zone["_mta-sts.remote.test.", "TXT"]
        outcome = await site.send_one()
        assert (outcome.result, outcome.status) == (Result.TEMPORARY, "4.7.5")
        assert not [line for line in site.mta.commands if line.startswith("MAIL")]


async def test_what_was_saved_last_is_loaded(tmp_path: Path) -> None:
    later = Policy("none", (), "two", NOW + 5, NOW + DAY)
    async with opened(tmp_path) as store:
        await kept(store).save(DOMAIN, POLICY)
        await kept(store).save("other.test", later)
        assert await kept(store).load(DOMAIN) == POLICY
        await kept(store).save(DOMAIN, later)
        assert await kept(store).load(DOMAIN) == later
        assert await kept(store).load("nobody.test") is None
        assert len(await documents(store)) == 2


async def test_expired_policies_count_for_nothing_and_are_swept(tmp_path: Path) -> None:
    clock = ManualClock()
    async with opened(tmp_path) as store:
        policies = kept(store, clock)
        await policies.save(DOMAIN, POLICY)
        await policies.save("long.test", Policy("testing", ("a.test",), "one", NOW, NOW + 90 * DAY))
        assert await swept(store, clock, POLICIES, unit=DAY) == 0
        clock.advance(days=7)
        assert await policies.load(DOMAIN) is None
        clock.advance(days=1)
        assert await swept(store, clock, POLICIES, unit=DAY) == 1
        assert await swept(store, clock, POLICIES, unit=DAY) == 0
        assert await policies.load("long.test") is not None


@pytest.mark.parametrize(
    "damage",
    [{"policy": b""}, {"policy": b"\x00" * 600}, {"policy": "text"}, {"policy": None}],
)
async def test_damaged_documents_are_as_good_as_none(tmp_path: Path, damage: Body) -> None:
    async with opened(tmp_path) as store:
        policies = kept(store)
        await policies.save(DOMAIN, POLICY)
        (document,) = await documents(store)
        await store.write(Patch(POLICIES, document.key, damage))
        assert await policies.load(DOMAIN) is None
        await policies.save(DOMAIN, POLICY)
        assert await policies.load(DOMAIN) == POLICY


@pytest.mark.parametrize("content", [b"{", b"[]", b"{}", b'{"mode":1}', b"\xff"])
async def test_so_are_documents_with_something_else_in_them(tmp_path: Path, content: bytes) -> None:
    async with opened(tmp_path) as store:
        policies = kept(store)
        await policies.save(DOMAIN, POLICY)
        (document,) = await documents(store)
        sealed = vault().seal(f"policy/{document.key}/policy", content)
        await store.write(Patch(POLICIES, document.key, {"policy": sealed}))
        assert await policies.load(DOMAIN) is None


async def test_a_policy_moved_to_another_domain_does_not_open(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        policies = kept(store)
        await policies.save("lax.test", Policy("none", (), "one", NOW, NOW + DAY))
        (lax,) = await documents(store)
        await policies.save(DOMAIN, POLICY)
        (strict,) = [document for document in await documents(store) if document.key != lax.key]
        await store.write(Patch(POLICIES, strict.key, {"policy": lax.body["policy"]}))
        assert await policies.load(DOMAIN) is None


async def test_no_domain_stands_in_the_files(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await kept(store).save(DOMAIN, POLICY)
        await kept(store).save("short.test", Policy("enforce", ("a.test",), "a-long-id", NOW + 60, NOW + 7 * DAY - 600))
        ours, other = await documents(store)
        # Nor do size and times tell policies apart.
        assert len(bytes(ours.body["policy"])) == len(bytes(other.body["policy"]))  # type: ignore[arg-type]
        assert {name: ours.body[name] for name in ("fetched", "expires")} == {
            name: other.body[name] for name in ("fetched", "expires")
        }
        held = b"".join(path.read_bytes() for path in tmp_path.iterdir()).lower()
    assert ours.key.encode() in held
    for mark in (
        b"policy-holder",
        b"enforce",
        DOMAIN.encode().hex().encode(),
        base64.b64encode(DOMAIN.encode()).lower(),
    ):
        assert mark not in held


async def test_the_number_of_policies_is_bounded_and_the_longest_unused_go_first(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        policies = kept(store, capacity=512)
        await asyncio.gather(
            *(policies.save(f"d{n}.test", Policy("none", (), "x", NOW - DAY, NOW + 90 * DAY)) for n in range(1500))
        )
        held = await documents(store)
        assert 300 < len(held) <= 512
        await policies.save(DOMAIN, POLICY)
        assert len(await documents(store)) <= 512
        assert await policies.load(DOMAIN) == POLICY


async def test_a_policy_of_absurd_size_is_not_kept(tmp_path: Path) -> None:
    hosts = tuple(f"{'x' * 60}.{'y' * 60}.host-{n}.test" for n in range(200))
    async with opened(tmp_path) as store:
        with pytest.raises(InvalidError):
            await kept(store).save(DOMAIN, Policy("enforce", hosts, "one", NOW, NOW + DAY))
        assert not await documents(store)


async def test_faults_of_the_store_are_told_and_pass(tmp_path: Path) -> None:
    async with opened(tmp_path) as inner:
        store = BrokenStore(inner)
        policies = kept(store)
        store.broken = True
        for call in (policies.load(DOMAIN), policies.save(DOMAIN, POLICY)):
            with pytest.raises(UnavailableError):
                await call
        store.broken = False
        await policies.save(DOMAIN, POLICY)
        assert await policies.load(DOMAIN) == POLICY


async def test_a_missing_key_is_a_fault_and_not_damage(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await kept(store).save(DOMAIN, POLICY)
        with pytest.raises(UnavailableError):
            await kept(store, kek=2).load(DOMAIN)


async def test_another_replica_may_have_been_quicker(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await asyncio.gather(*(kept(store).save(DOMAIN, POLICY) for _ in range(5)))
        assert len(await documents(store)) == 1
        assert await kept(store).load(DOMAIN) == POLICY
