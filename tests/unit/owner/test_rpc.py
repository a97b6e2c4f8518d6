"""Data owners over the wire: who may call what, what cannot be asked, items in parts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.docstore.store import Store
from libs.owner.classes import StoredClass
from libs.owner.model import Erased, Item, Subject, Wanted
from libs.owner.owner import Owner
from libs.owner.rpc import serve_owner
from libs.owner.terms import TERMS, StoredTerms
from libs.policy import Terms, load_policy
from libs.rpc.channel import PeerChannel, connect
from libs.rpc.server import RpcServer
from libs.rpc.tls import TlsFiles
from libs.runtime.errors import DeniedError, InvalidError
from protos.owner.v1 import owner_pb2 as pb
from protos.owner.v1.owner_pb2_grpc import DataOwnerStub
from tests.support.clock import ManualClock
from tests.support.rpc import certificates

if TYPE_CHECKING:
    from protos.owner.v1.owner_pb2_grpc import DataOwnerAsyncStub

ADA = "ad" * 16
KEPT_UNTIL = 21_000
_BLOCK = 256 * 1024


class Papers(StoredClass):
    """Three papers of everybody: without content, with one block, with several."""

    async def export(self, subject: Subject, wanted: Wanted) -> AsyncIterator[Item]:
        for number, blocks in enumerate(([], [b"one"], [b"a" * _BLOCK, b"b" * _BLOCK, b"c"])):
            if not wanted.since <= number:
                continue
            yield Item(f"{subject.mailbox_id[:2]}{number}.json", "json", _given(blocks))

    async def erase(self, subject: Subject, limit: int) -> Erased:
        return Erased(deleted=1, kept=2, kept_until_day=KEPT_UNTIL)


async def _given(blocks: list[bytes]) -> AsyncIterator[bytes]:
    for block in blocks:
        yield block


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    async with SqliteStore.open(tmp_path / "store.db", [TERMS]) as opened:
        yield opened


@asynccontextmanager
async def served(store: Store, terms: StoredTerms | None, caller: str) -> AsyncIterator[DataOwnerAsyncStub]:
    """Serve papers as a service that retention, gateway and delivery may call; `caller` is one of them."""
    callers = ("retention", "gateway", "delivery")
    tls = {name: TlsFiles(certificates(name)) for name in ("server", caller)}
    server = RpcServer("127.0.0.1:0", tls["server"], callers)
    serve_owner(server, Owner([Papers("paper", store, [TERMS])], store, ManualClock()), terms, callers)
    await server.start()
    try:
        channel: PeerChannel
        async with connect("server", f"127.0.0.1:{server.port}", tls[caller]) as channel:
            yield DataOwnerStub(channel)
    finally:
        await server.stop(0)


async def test_items_come_in_parts(store: Store) -> None:
    async with served(store, None, "gateway") as stub:
        request = pb.ExportRequest(subject=pb.Subject(account_id=ADA, mailbox_id="1a" * 16))
        parts = [part async for part in stub.Export(request, timeout=5)]
        assert [(part.name, len(part.data), part.last) for part in parts] == [
            ("1a0.json", 0, True),
            ("1a1.json", 3, True),
            ("1a2.json", _BLOCK, False),
            ("", _BLOCK, False),
            ("", 1, True),
        ]
        assert {(part.data_class, part.kind) for part in parts if part.name} == {("paper", "json")}
        request.since = 2
        assert len([part async for part in stub.Export(request, timeout=5)]) == 3


async def test_only_those_call_who_may(store: Store) -> None:
    subject = pb.Subject(account_id=ADA)
    for caller in ("gateway", "delivery"):
        async with served(store, None, caller) as stub:
            with pytest.raises(DeniedError):
                await stub.Inventory(pb.InventoryRequest(), timeout=5)
            with pytest.raises(DeniedError):
                await stub.Erase(pb.EraseRequest(subject=subject, limit=1), timeout=5)
            with pytest.raises(DeniedError):
                await stub.Sweep(pb.SweepRequest(data_class="paper", limit=1), timeout=5)
            with pytest.raises(DeniedError):
                await stub.PutTerms(pb.PutTermsRequest(), timeout=5)
            if caller == "delivery":
                with pytest.raises(DeniedError):
                    assert [part async for part in stub.Export(pb.ExportRequest(subject=subject), timeout=5)]


async def test_what_cannot_be_asked_is_refused(store: Store) -> None:
    async with served(store, None, "retention") as stub:
        for account, mailbox in (("", ""), ("ada", ""), (ADA.upper(), ""), (ADA, "../x")):
            subject = pb.Subject(account_id=account, mailbox_id=mailbox)
            with pytest.raises(InvalidError, match="account_id"):
                await stub.Erase(pb.EraseRequest(subject=subject, limit=1), timeout=5)
            with pytest.raises(InvalidError, match="account_id"):
                assert [part async for part in stub.Export(pb.ExportRequest(subject=subject), timeout=5)]
        request = pb.ExportRequest(subject=pb.Subject(account_id=ADA), data_classes=["letter"])
        with pytest.raises(InvalidError, match="data_class"):
            assert [part async for part in stub.Export(request, timeout=5)]
        with pytest.raises(InvalidError, match="limit"):
            await stub.Sweep(pb.SweepRequest(data_class="paper"), timeout=5)
        with pytest.raises(InvalidError, match="needles"):
            await stub.Traces(pb.TracesRequest(needles=[b"x"]), timeout=5)


async def test_answers_are_those_of_the_owner(store: Store) -> None:
    terms = StoredTerms(store, Terms(load_policy()))
    async with served(store, terms, "retention") as stub:
        told = pb.Terms(version=1, rules={"public_mail_seconds": 7200}, active=True)
        await stub.PutTerms(pb.PutTermsRequest(terms=[told]), timeout=5)
        assert terms.terms.rule("public_mail_seconds") == 7200
        (held,) = (await stub.Inventory(pb.InventoryRequest(), timeout=5)).held
        assert (held.data_class, held.count, held.at_least, held.first_due) == ("paper", 1, False, 0)
        swept = await stub.Sweep(pb.SweepRequest(data_class="paper", until=1, limit=1), timeout=5)
        assert (swept.deleted, swept.more) == (0, False)
        done = await stub.Erase(pb.EraseRequest(subject=pb.Subject(account_id=ADA), limit=5), timeout=5)
        (erased,) = done.erased
        assert (erased.data_class, erased.count, erased.keys) == ("paper", 1, 0)
        assert (erased.kept, erased.kept_until_day, done.more) == (2, KEPT_UNTIL, False)
        traces = await stub.Traces(pb.TracesRequest(needles=[b"public_mail_seconds", b"nowhere-at-all"]), timeout=5)
        assert traces.found[0] >= 1 and traces.found[1] == 0 and traces.searched_bytes > 0
