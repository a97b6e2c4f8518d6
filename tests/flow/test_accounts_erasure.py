"""Erasure over the wire: who may do what, from asking to the last document, and numbers that outlive a restart."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.owner.rpc import serve_owner
from libs.owner.terms import StoredTerms
from libs.policy import Terms, load_policy
from libs.rpc.channel import connect
from libs.rpc.server import RpcServer
from libs.rpc.tls import TlsFiles
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import ConflictError, DeniedError, ExhaustedError, NotFoundError, UnauthenticatedError
from libs.runtime.ids import new_id
from libs.runtime.secret import Secret
from protos.accounts.v1 import accounts_pb2 as pb
from protos.accounts.v1.accounts_pb2_grpc import AccountsStub
from protos.owner.v1 import owner_pb2
from protos.owner.v1.owner_pb2_grpc import DataOwnerStub
from services.accounts.graph import make_graph
from services.accounts.held.graph import make_owner
from services.accounts.repository import COLLECTIONS
from services.accounts.rpc import serve_accounts
from services.accounts.settings import Settings
from tests.support.clock import ManualClock
from tests.support.rpc import certificates

if TYPE_CHECKING:
    from protos.accounts.v1.accounts_pb2_grpc import AccountsAsyncStub
    from protos.owner.v1.owner_pb2_grpc import DataOwnerAsyncStub

ADA = "ada@sealpost.test"
CALLERS = ("gateway", "retention")
GRACE = 14 * 86400


@dataclass
class Wire:
    """A running server, and the stubs of its callers."""

    gateway: AccountsAsyncStub
    retention: AccountsAsyncStub
    owner: DataOwnerAsyncStub
    shown: DataOwnerAsyncStub
    clock: ManualClock

    @property
    def now(self) -> int:
        """The time in Unix seconds."""
        return unix_seconds(self.clock)


async def start(stack: AsyncExitStack, path: Path, clock: ManualClock) -> Wire:
    """Start the service on the store at `path`."""
    settings = Settings(kek=Secret("11" * 32), lookup_key=Secret(b"\x22" * 32))
    store = await stack.enter_async_context(SqliteStore.open(path, COLLECTIONS))
    terms = StoredTerms(store, Terms(load_policy()))
    await terms.load()
    server = RpcServer("127.0.0.1:0", TlsFiles(certificates("accounts")), CALLERS)
    graph = make_graph(settings, store, clock, terms.terms)
    serve_accounts(server, graph, clock, CALLERS)
    serve_owner(server, make_owner(graph, store, clock), terms, CALLERS)
    await server.start()
    stack.push_async_callback(server.stop, 0)
    channels = [
        await stack.enter_async_context(connect("accounts", f"127.0.0.1:{server.port}", TlsFiles(certificates(caller))))
        for caller in CALLERS
    ]
    gateway, retention = channels
    return Wire(AccountsStub(gateway), AccountsStub(retention), DataOwnerStub(retention), DataOwnerStub(gateway), clock)


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    async with AsyncExitStack() as stack:
        yield await start(stack, tmp_path / "accounts.db", ManualClock())


async def sign_up(wire: Wire) -> tuple[pb.Account, bytes, str]:
    """Return a new account, its authentication key, and a session."""
    key = secrets.token_bytes(32)
    request = pb.SignUpRequest(
        account_id=new_id(),
        address=ADA,
        kdf=pb.Kdf(salt=secrets.token_bytes(16), memory_kib=65536, iterations=3, parallelism=1),
        authentication_key=key,
        wrapped_private_key=b"\x01" + secrets.token_bytes(200),
        fingerprint=secrets.token_hex(20),
    )
    answer = await wire.gateway.SignUp(request, timeout=5)
    return answer.account, key, answer.session_token


def asking(account: pb.Account, key: bytes) -> pb.RequestErasureRequest:
    return pb.RequestErasureRequest(account_id=account.account_id, current_authentication_key=key)


async def due(wire: Wire) -> list[pb.DueErasure]:
    request = pb.ListDueErasuresRequest(until=wire.now, limit=10)
    return list((await wire.retention.ListDueErasures(request, timeout=5)).due)


async def export(stub: DataOwnerAsyncStub, account: pb.Account) -> dict[str, bytes]:
    """Return what an export holds, by class and name."""
    found: dict[str, bytes] = {}
    name = ""
    subject = owner_pb2.Subject(account_id=account.account_id, mailbox_id=account.mailbox_id)
    async for part in stub.Export(owner_pb2.ExportRequest(subject=subject), timeout=5):
        name = f"{part.data_class}/{part.name}" if part.name else name
        found[name] = found.get(name, b"") + part.data
    return found


async def test_from_asking_to_the_last_document(wire: Wire) -> None:
    account, key, token = await sign_up(wire)
    asked = await wire.gateway.RequestErasure(asking(account, key), timeout=5)
    assert (asked.asked_at, asked.due) == (wire.now, wire.now + GRACE)
    got = await wire.gateway.GetAccount(pb.GetAccountRequest(account_id=account.account_id), timeout=5)
    assert got.erase_due == asked.due
    rights = await wire.gateway.GetRights(pb.GetRightsRequest(account_id=account.account_id), timeout=5)
    assert (rights.erasure.due, rights.erasure.receipt_token) == (asked.due, "")
    assert json.loads((await export(wire.shown, account))["account/account.json"])["address"] == ADA
    begin = pb.BeginErasureRequest(account_id=account.account_id)
    with pytest.raises(ConflictError):
        await wire.retention.BeginErasure(begin, timeout=5)

    wire.clock.advance(GRACE)
    (one,) = await due(wire)
    assert (one.account_id, one.mailbox_id, one.due) == (account.account_id, account.mailbox_id, asked.due)
    assert one.receipt == hashlib.sha256(asked.receipt_token.encode()).digest()
    await wire.retention.BeginErasure(begin, timeout=5)
    with pytest.raises(UnauthenticatedError):
        await wire.gateway.Authenticate(pb.AuthenticateRequest(session_token=token), timeout=5)
    with pytest.raises(NotFoundError):
        await wire.gateway.GetAccount(pb.GetAccountRequest(account_id=account.account_id), timeout=5)
    with pytest.raises(ConflictError) as late:
        await wire.gateway.CancelErasure(pb.CancelErasureRequest(account_id=account.account_id), timeout=5)
    assert late.value.reason == "erasure_begun"

    erase = owner_pb2.EraseRequest(
        subject=owner_pb2.Subject(account_id=account.account_id, mailbox_id=account.mailbox_id), limit=100
    )
    answer = await wire.owner.Erase(erase, timeout=5)
    assert not answer.more
    assert {one.data_class: (one.count, one.keys) for one in answer.erased}["account"] == (1, 2)
    assert await due(wire) == []
    with pytest.raises(NotFoundError):
        await wire.retention.BeginErasure(begin, timeout=5)
    needles = [account.account_id.encode(), account.mailbox_id.encode(), account.wrapped_private_key[:64]]
    traces = await wire.owner.Traces(owner_pb2.TracesRequest(needles=needles), timeout=5)
    assert list(traces.found) == [0, 0, 0] and traces.searched_bytes
    assert await export(wire.shown, account) == {}


async def test_asking_needs_the_password_and_guesses_are_limited(wire: Wire) -> None:
    account, key, _ = await sign_up(wire)
    for _ in range(20):
        with pytest.raises(UnauthenticatedError):
            await wire.gateway.RequestErasure(asking(account, secrets.token_bytes(32)), timeout=5)
    with pytest.raises(ExhaustedError):
        await wire.gateway.RequestErasure(asking(account, key), timeout=5)
    got = await wire.gateway.GetAccount(pb.GetAccountRequest(account_id=account.account_id), timeout=5)
    assert got.erase_due == 0


async def test_what_is_undone_is_not_due(wire: Wire) -> None:
    account, key, token = await sign_up(wire)
    await wire.gateway.RequestErasure(asking(account, key), timeout=5)
    again = await wire.gateway.RequestErasure(asking(account, key), timeout=5)
    assert again.receipt_token == "" and again.due
    await wire.gateway.CancelErasure(pb.CancelErasureRequest(account_id=account.account_id), timeout=5)
    await wire.gateway.Authenticate(pb.AuthenticateRequest(session_token=token), timeout=5)
    wire.clock.advance(GRACE)
    assert await due(wire) == []


async def test_the_gateway_is_shown_what_is_held_and_erases_nothing(wire: Wire) -> None:
    subject = owner_pb2.Subject(account_id=new_id())
    for call in (
        wire.shown.Erase(owner_pb2.EraseRequest(subject=subject, limit=1), timeout=5),
        wire.shown.Inventory(owner_pb2.InventoryRequest(), timeout=5),
        wire.shown.PutTerms(owner_pb2.PutTermsRequest(), timeout=5),
        wire.gateway.BeginErasure(pb.BeginErasureRequest(account_id=new_id()), timeout=5),
        wire.gateway.ListDueErasures(pb.ListDueErasuresRequest(limit=1), timeout=5),
        wire.retention.RequestErasure(pb.RequestErasureRequest(account_id=new_id()), timeout=5),
        wire.retention.CancelErasure(pb.CancelErasureRequest(account_id=new_id()), timeout=5),
    ):
        with pytest.raises(DeniedError):
            await call


async def test_numbers_in_force_outlive_a_restart(tmp_path: Path) -> None:
    clock = ManualClock()
    asked = pb.ResolveRequest(addresses=["x@public.sealpost.test"])
    for told in (True, False):
        async with AsyncExitStack() as stack:
            wire = await start(stack, tmp_path / "accounts.db", clock)
            if told:
                terms = owner_pb2.Terms(version=7, rules={"public_mail_newest": 3}, active=True)
                await wire.owner.PutTerms(owner_pb2.PutTermsRequest(terms=[terms]), timeout=5)
            (route,) = (await wire.gateway.Resolve(asked, timeout=5)).routes
            assert (route.terms, route.keep_newest, route.retention_seconds) == (7, 3, 4 * 86400)
