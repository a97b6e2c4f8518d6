"""The real service delivery over mutual TLS, as retention sees it, with all that it calls out of reach."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Body, Insert
from libs.envelope import KeyedHash
from libs.policy import load_policy
from libs.rpc.channel import connect
from libs.rpc.tls import TlsFiles
from libs.runtime.clock import SystemClock, unix_seconds
from libs.runtime.context import Parts, ServiceContext, Stop
from libs.runtime.errors import DeniedError, InvalidError, UnavailableError
from libs.runtime.health import Health
from libs.runtime.ids import new_id
from libs.runtime.secret import Secret
from libs.telemetry import logs
from protos.delivery.v1.delivery_pb2 import SendPlatformMailRequest
from protos.delivery.v1.delivery_pb2_grpc import DeliveryStub
from protos.owner.v1 import owner_pb2 as pb
from protos.owner.v1.owner_pb2_grpc import DataOwnerStub
from services.delivery.customers.marks import Marks
from services.delivery.customers.suppressions import SUPPRESSIONS
from services.delivery.main import COLLECTIONS, build
from services.delivery.policies import POLICIES
from services.delivery.queue.collections import MAILS, QUEUED
from services.delivery.settings import Settings
from tests.support.rpc import certificates

if TYPE_CHECKING:
    from protos.owner.v1.owner_pb2_grpc import DataOwnerAsyncStub

ACCOUNT = "a" * 32
LOOKUP = Secret(b"\x44" * 32)


@asynccontextmanager
async def delivery(directory: Path) -> AsyncIterator[int]:
    """Run it with its data in `directory`; give its port."""
    async with AsyncExitStack() as stack:
        settings = Settings(
            kek=Secret("33" * 32),
            lookup_key=LOOKUP,
            store=Secret(f"sqlite:{directory}"),
            tls_dir=certificates("delivery"),
            peers={name: "127.0.0.1:1" for name in ("accounts", "crypto", "storage")},
            callers=("gateway", "ingest", "retention"),
            drain_seconds=1.0,
        )
        clock = SystemClock()
        context = ServiceContext(
            "delivery", settings, Parts(clock, stack, Health(clock, logs.get_logger("delivery")), Stop())
        )
        await build(context)
        await context.server.start()
        stack.push_async_callback(context.server.stop, 0)
        yield context.server.port


@asynccontextmanager
async def owner(port: int, caller: str = "retention") -> AsyncIterator[DataOwnerAsyncStub]:
    """Give its DataOwner to a service."""
    async with connect("delivery", f"127.0.0.1:{port}", TlsFiles(certificates(caller))) as channel:
        yield DataOwnerStub(channel)


async def fill(directory: Path) -> None:
    """Leave a mail, a suppression and an old policy there, before it starts."""
    hashes, now = KeyedHash(LOOKUP), unix_seconds(SystemClock())
    mark, mails = Marks(hashes).account(ACCOUNT), hashes.digest("delivery/account", ACCOUNT.encode())
    async with SqliteStore.open(directory / "delivery.db", COLLECTIONS) as store:
        mail: Body = {
            **{"state": QUEUED, "account": mails, "key_id": new_id()},
            **{"pieces": 0, "due": now + 999, "until": now + 999},
        }
        await store.write(Insert(MAILS, new_id(), mail))
        await store.write(Insert(SUPPRESSIONS, f"{mark}/{new_id()}", {"account": mark, "reason": "manual", "day": 1}))
        await store.write(Insert(POLICIES, "00aa", {"bucket": "00", "fetched": 1, "expires": 2, "policy": b"x"}))


async def test_retention_counts_sweeps_and_exports(tmp_path: Path) -> None:
    await fill(tmp_path)
    now = unix_seconds(SystemClock())
    async with delivery(tmp_path) as port, owner(port) as stub:
        held = {one.data_class: one for one in (await stub.Inventory(pb.InventoryRequest(), timeout=10)).held}
        assert set(held) == set(load_policy().classes_of("delivery")) - {"seen_events"}
        assert held["outgoing_mail"].count == held["suppression"].count == 1
        assert held["mta_sts_policy"].first_due == 2 * 86_400
        sweep = pb.SweepRequest(data_class="mta_sts_policy", until=now, limit=100)
        assert (await stub.Sweep(sweep, timeout=10)).deleted == 1
        with pytest.raises(InvalidError, match="data_class"):
            await stub.Sweep(pb.SweepRequest(data_class="mailbox", until=now, limit=100), timeout=10)
        asked = pb.ExportRequest(subject=pb.Subject(account_id=ACCOUNT), data_classes=["suppression"])
        (part,) = [one async for one in stub.Export(asked, timeout=10)]
        assert (part.name, part.kind, part.last) == ("suppression.json", "json", True)
        async with owner(port, "ingest") as stranger:
            with pytest.raises(DeniedError):
                await stranger.Erase(pb.EraseRequest(subject=pb.Subject(account_id=ACCOUNT), limit=10), timeout=10)


async def test_without_crypto_nothing_counts_as_erased(tmp_path: Path) -> None:
    await fill(tmp_path)
    async with delivery(tmp_path) as port, owner(port) as stub:
        asked = pb.EraseRequest(subject=pb.Subject(account_id=ACCOUNT), limit=100)
        with pytest.raises(UnavailableError):
            await stub.Erase(asked, timeout=30)
        held = {one.data_class: one.count for one in (await stub.Inventory(pb.InventoryRequest(), timeout=10)).held}
        assert held["outgoing_mail"] == held["suppression"] == held["erased_account"] == 1


async def test_the_numbers_in_force_outlive_a_restart(tmp_path: Path) -> None:
    for told in (True, False):
        async with delivery(tmp_path) as port, owner(port) as stub:
            if told:
                terms = pb.Terms(version=3, rules={"platform_mail_seconds": 700_000}, active=True)
                await stub.PutTerms(pb.PutTermsRequest(terms=[terms]), timeout=10)
            held = {one.data_class: one.count for one in (await stub.Inventory(pb.InventoryRequest(), timeout=10)).held}
            assert held["terms"] == 1


async def test_without_accounts_no_letter_goes_out(tmp_path: Path) -> None:
    async with delivery(tmp_path) as port:
        async with connect("delivery", f"127.0.0.1:{port}", TlsFiles(certificates("retention"))) as channel:
            request = SendPlatformMailRequest(
                notice_id=new_id(), account_id=ACCOUNT, purpose="rights", letter="erasure_cancelled"
            )
            with pytest.raises(UnavailableError):
                await DeliveryStub(channel).SendPlatformMail(request, timeout=30)
        async with owner(port) as stub:
            held = {one.data_class: one.count for one in (await stub.Inventory(pb.InventoryRequest(), timeout=10)).held}
            assert held["platform_mail"] == 0
