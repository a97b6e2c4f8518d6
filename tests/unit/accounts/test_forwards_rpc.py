"""Forwarding over the wire: the gateway manages it, ingest alone learns where copies go."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest

from libs.docstore.store import Patch
from libs.rpc.channel import connect
from libs.rpc.server import RpcServer
from libs.rpc.tls import TlsFiles
from libs.runtime.errors import ConflictError, DeniedError, UnauthenticatedError
from protos.accounts.v1 import accounts_pb2 as pb
from protos.accounts.v1.accounts_pb2_grpc import AccountsStub
from services.accounts.repository.forwards import FORWARDS
from services.accounts.rpc import serve_accounts
from tests.support.rpc import certificates
from tests.unit.accounts.support import Platform, make_wish, refused

if TYPE_CHECKING:
    from protos.accounts.v1.accounts_pb2_grpc import AccountsAsyncStub

CALLERS = ("gateway", "ingest", "delivery")
TARGET = "copies@mail.example"
ADA = "ada@sealpost.test"


@pytest.fixture
async def wires(platform: Platform) -> AsyncIterator[dict[str, AccountsAsyncStub]]:
    async with AsyncExitStack() as stack:
        server = RpcServer("127.0.0.1:0", TlsFiles(certificates("accounts")), CALLERS)
        serve_accounts(server, platform.graph, platform.clock, CALLERS)
        await server.start()
        stack.push_async_callback(server.stop, 0)
        stubs: dict[str, AccountsAsyncStub] = {}
        for caller in CALLERS:
            tls = TlsFiles(certificates(caller))
            channel = await stack.enter_async_context(connect("accounts", f"127.0.0.1:{server.port}", tls))
            stubs[caller] = AccountsStub(channel)
        yield stubs


async def test_all_of_it(platform: Platform, wires: dict[str, AccountsAsyncStub]) -> None:
    wish = make_wish()
    await platform.sign_up(wish)
    gateway = wires["gateway"]
    request = pb.AddForwardRequest(
        account_id=wish.account_id, current_authentication_key=wish.authentication_key, address=TARGET
    )
    added = await gateway.AddForward(request, timeout=5)
    assert (added.account_address, added.forward.address, added.forward.state) == (ADA, TARGET, "pending")
    with refused(ConflictError, "forward_exists"):
        await gateway.AddForward(request, timeout=5)
    request.current_authentication_key = b"x" * 32
    with refused(UnauthenticatedError, "bad_proof"):
        await gateway.AddForward(request, timeout=5)

    token = pb.ForwardTokenRequest(token=added.token)
    await gateway.ConfirmForward(token, timeout=5)
    assert await told(wires) == {"gateway": [], "ingest": [TARGET], "delivery": []}
    mine = pb.ListForwardsRequest(account_id=wish.account_id)
    (one,) = (await gateway.ListForwards(mine, timeout=5)).forwards
    assert (one.address, one.state, one.confirm_until) == (TARGET, "active", 0)
    await gateway.StopForward(token, timeout=5)
    assert await told(wires) == {"gateway": [], "ingest": [], "delivery": []}
    taken = pb.DeleteForwardRequest(account_id=wish.account_id, forward_id=one.forward_id)
    await gateway.DeleteForward(taken, timeout=5)
    assert not (await gateway.ListForwards(mine, timeout=5)).forwards


async def told(wires: dict[str, AccountsAsyncStub]) -> dict[str, list[str]]:
    """Return what each caller learns with the route, that of another spelling and of somebody unknown beside it."""
    asked = pb.ResolveRequest(addresses=["nobody@sealpost.test", "Ada+x@sealpost.test"])
    answers = {caller: (await stub.Resolve(asked, timeout=5)).routes for caller, stub in wires.items()}
    assert all(not routes[0].forward_to for routes in answers.values())
    return {caller: list(routes[1].forward_to) for caller, routes in answers.items()}


@pytest.mark.parametrize("caller", ["ingest", "delivery"])
async def test_nobody_else_manages_it(caller: str, wires: dict[str, AccountsAsyncStub]) -> None:
    stub = wires[caller]
    with refused(DeniedError, "caller"):
        await stub.ListForwards(pb.ListForwardsRequest(), timeout=5)
    with refused(DeniedError, "caller"):
        await stub.AddForward(pb.AddForwardRequest(), timeout=5)
    with refused(DeniedError, "caller"):
        await stub.ConfirmForward(pb.ForwardTokenRequest(), timeout=5)
    with refused(DeniedError, "caller"):
        await stub.StopForward(pb.ForwardTokenRequest(), timeout=5)
    with refused(DeniedError, "caller"):
        await stub.DeleteForward(pb.DeleteForwardRequest(), timeout=5)


async def test_one_account_that_cannot_be_opened_keeps_nobody_else_waiting(
    platform: Platform, wires: dict[str, AccountsAsyncStub]
) -> None:
    for name in ("ada", "bob"):
        account = await platform.sign_up(make_wish(f"{name}@sealpost.test"))
        added = await platform.graph.forwards.add(account, TARGET)
        await platform.graph.forwards.confirm(added.token)
    await platform.store.write(Patch(FORWARDS, added.forward.key, {"address": b"damaged"}))
    asked = pb.ResolveRequest(addresses=[ADA, "bob@sealpost.test"])
    ada, bob = (await wires["ingest"].Resolve(asked, timeout=5)).routes
    assert (ada.status, list(ada.forward_to)) == (pb.Route.STATUS_OK, [TARGET])
    assert (bob.status, list(bob.forward_to)) == (pb.Route.STATUS_SUSPENDED, [])
