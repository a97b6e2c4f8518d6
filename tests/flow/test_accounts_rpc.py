"""The accounts service over the wire: mutual TLS, who may call what, messages as the gateway and ingest see them."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from libs.docstore.sqlite import SqliteStore
from libs.rpc.channel import connect
from libs.rpc.server import RpcServer
from libs.rpc.tls import TlsFiles
from libs.runtime.clock import unix_seconds
from libs.runtime.errors import (
    ConflictError,
    DeniedError,
    ExhaustedError,
    InvalidError,
    NotFoundError,
    SealpostError,
    UnauthenticatedError,
)
from libs.runtime.ids import new_id
from libs.runtime.secret import Secret
from protos.accounts.v1 import accounts_pb2 as pb
from protos.accounts.v1.accounts_pb2_grpc import AccountsStub
from protos.common.v1 import common_pb2
from services.accounts.graph import make_graph
from services.accounts.repository import COLLECTIONS
from services.accounts.rpc import SERVICE, serve_accounts
from services.accounts.settings import Settings
from tests.support.clock import ManualClock
from tests.support.rpc import certificates

if TYPE_CHECKING:
    from protos.accounts.v1.accounts_pb2_grpc import AccountsAsyncStub

ADA = "ada@sealpost.test"
CALLERS = ("ingest", "gateway", "delivery", "retention")
RETENTION = {"ListDueErasures", "BeginErasure", "ListUnnoticed", "MarkNoticed", "GetNoticeState", "FindAccount"}
ALLOWED = {
    "ingest": {"Resolve", "Authenticate"},
    "delivery": {"Resolve", "ListDomains", "GetAccount", "PutConsents", "Reach"},
    # Its probes look whether the policy holds.
    "retention": RETENTION | {"ListHolders", "Reach"},
}
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Wire:
    """A running server, and a stub for each of its callers."""

    gateway: AccountsAsyncStub
    ingest: AccountsAsyncStub
    delivery: AccountsAsyncStub
    retention: AccountsAsyncStub
    clock: ManualClock
    directory: Path


@pytest.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    clock = ManualClock()
    settings = Settings(kek=Secret("11" * 32), lookup_key=Secret(b"\x22" * 32), relay_domains=("relay.sealpost.test",))
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(SqliteStore.open(tmp_path / "accounts.db", COLLECTIONS))
        server = RpcServer("127.0.0.1:0", TlsFiles(certificates("accounts")), CALLERS)
        serve_accounts(server, make_graph(settings, store, clock), clock, CALLERS)
        await server.start()
        stack.push_async_callback(server.stop, 0)
        stubs = {}
        for caller in CALLERS:
            tls = TlsFiles(certificates(caller))
            channel = await stack.enter_async_context(connect("accounts", f"127.0.0.1:{server.port}", tls))
            stubs[caller] = AccountsStub(channel)
        yield Wire(stubs["gateway"], stubs["ingest"], stubs["delivery"], stubs["retention"], clock, tmp_path)


def kdf() -> pb.Kdf:
    return pb.Kdf(salt=secrets.token_bytes(16), memory_kib=65536, iterations=3, parallelism=1)


def wrapped() -> bytes:
    return b"\x01" + secrets.token_bytes(200)


def sign_up_request(**changes: Any) -> pb.SignUpRequest:
    fields: dict[str, Any] = {
        "account_id": new_id(),
        "address": ADA,
        "kdf": kdf(),
        "authentication_key": secrets.token_bytes(32),
        "wrapped_private_key": wrapped(),
        "fingerprint": secrets.token_hex(20),
    }
    return pb.SignUpRequest(**(fields | changes))


async def sign_up(wire: Wire, **changes: Any) -> tuple[pb.SignUpRequest, pb.SignInResponse]:
    request = sign_up_request(**changes)
    return request, await wire.gateway.SignUp(request, timeout=5)


async def test_a_member_lives_through_the_whole_interface(wire: Wire) -> None:
    gateway = wire.gateway
    recovery = pb.Recovery(authentication_key=secrets.token_bytes(32), wrapped_private_key=wrapped())
    asked, answer = await sign_up(wire, recovery=recovery)
    account = answer.account
    assert (account.account_id, account.address, account.fingerprint) == (asked.account_id, ADA, asked.fingerprint)
    assert account.profile == common_pb2.PROFILE_SEALED
    assert (account.quota_bytes, account.quota_messages, account.has_recovery) == (1024**3, 100_000, True)
    assert (account.kdf, account.wrapped_private_key) == (asked.kdf, asked.wrapped_private_key)
    assert answer.expires_at == int(wire.clock.now().timestamp()) + 86400

    assert (await gateway.GetKdf(pb.GetKdfRequest(address=ADA), timeout=5)).kdf == asked.kdf
    again = await gateway.SignIn(pb.SignInRequest(address=ADA, authentication_key=asked.authentication_key), timeout=5)
    assert again.session_token != answer.session_token
    assert again.account == account
    principal = await gateway.Authenticate(pb.AuthenticateRequest(session_token=again.session_token), timeout=5)
    assert (principal.account_id, principal.mailbox_id) == (account.account_id, account.mailbox_id)
    mine = pb.ListSessionsRequest(account_id=account.account_id)
    sessions = (await gateway.ListSessions(mine, timeout=5)).sessions
    assert principal.proof_id in {session.session_id for session in sessions}
    assert len(sessions) == 2

    changed = pb.ChangePasswordRequest(
        account_id=account.account_id,
        current_authentication_key=asked.authentication_key,
        kdf=kdf(),
        authentication_key=secrets.token_bytes(32),
        wrapped_private_key=wrapped(),
        session_token=again.session_token,
    )
    await gateway.ChangePassword(changed, timeout=5)
    assert len((await gateway.ListSessions(mine, timeout=5)).sessions) == 1
    await gateway.Authenticate(pb.AuthenticateRequest(session_token=again.session_token), timeout=5)

    started = await gateway.StartRecovery(
        pb.StartRecoveryRequest(address=ADA, authentication_key=recovery.authentication_key), timeout=5
    )
    assert (started.wrapped_private_key, started.fingerprint) == (recovery.wrapped_private_key, asked.fingerprint)
    completed = await gateway.CompleteRecovery(
        pb.CompleteRecoveryRequest(
            address=ADA,
            recovery_authentication_key=recovery.authentication_key,
            kdf=kdf(),
            authentication_key=secrets.token_bytes(32),
            wrapped_private_key=wrapped(),
        ),
        timeout=5,
    )
    with pytest.raises(UnauthenticatedError):
        await gateway.Authenticate(pb.AuthenticateRequest(session_token=again.session_token), timeout=5)
    await gateway.SignOut(pb.SignOutRequest(session_token=completed.session_token), timeout=5)
    await gateway.SignOut(pb.SignOutRequest(session_token=completed.session_token), timeout=5)
    ended = await gateway.SignOutEverywhere(pb.SignOutEverywhereRequest(account_id=account.account_id), timeout=5)
    assert ended.ended == 0
    got = await gateway.GetAccount(pb.GetAccountRequest(account_id=account.account_id), timeout=5)
    assert got.address == ADA


async def test_recovery_is_set_and_removed(wire: Wire) -> None:
    asked, answer = await sign_up(wire)
    recovery = pb.Recovery(authentication_key=secrets.token_bytes(32), wrapped_private_key=wrapped())
    for change, has in ((recovery, True), (None, False)):
        request = pb.SetRecoveryRequest(
            account_id=answer.account.account_id,
            current_authentication_key=asked.authentication_key,
            recovery=change,
        )
        await wire.gateway.SetRecovery(request, timeout=5)
        got = await wire.gateway.GetAccount(pb.GetAccountRequest(account_id=request.account_id), timeout=5)
        assert got.has_recovery is has


async def test_credentials_over_the_wire(wire: Wire) -> None:
    _, answer = await sign_up(wire)
    account_id = answer.account.account_id
    made = {}
    for kind, scope in ((pb.CREDENTIAL_KIND_API_KEY, "mail:read"), (pb.CREDENTIAL_KIND_APP_PASSWORD, "smtp:send")):
        request = pb.CreateCredentialRequest(account_id=account_id, kind=kind, label=" laptop ", scopes=[scope])
        made[kind] = await wire.gateway.CreateCredential(request, timeout=5)
    listed = (
        await wire.gateway.ListCredentials(pb.ListCredentialsRequest(account_id=account_id), timeout=5)
    ).credentials
    assert list(listed) == [one.credential for one in made.values()]
    assert {credential.label for credential in listed} == {"laptop"}
    key = await wire.gateway.Authenticate(
        pb.AuthenticateRequest(api_key=made[pb.CREDENTIAL_KIND_API_KEY].secret), timeout=5
    )
    assert (key.account_id, list(key.scopes)) == (account_id, ["mail:read"])
    app = pb.AppPassword(address=ADA, password=made[pb.CREDENTIAL_KIND_APP_PASSWORD].secret)
    for stub in (wire.gateway, wire.ingest):
        principal = await stub.Authenticate(pb.AuthenticateRequest(app_password=app), timeout=5)
        assert (principal.account_id, list(principal.scopes)) == (account_id, ["smtp:send"])
    revoke = pb.RevokeCredentialRequest(account_id=account_id, credential_id=listed[0].credential_id)
    await wire.gateway.RevokeCredential(revoke, timeout=5)
    with pytest.raises(NotFoundError):
        await wire.gateway.RevokeCredential(revoke, timeout=5)
    with pytest.raises(InvalidError) as refused:
        await wire.gateway.CreateCredential(pb.CreateCredentialRequest(account_id=account_id, label="x"), timeout=5)
    assert refused.value.reason == "kind"


async def test_ingest_resolves_and_the_answers_keep_their_places(wire: Wire) -> None:
    _, answer = await sign_up(wire)
    request = pb.ResolveRequest(addresses=["x@sealpost.test", ADA, "y@public.sealpost.test", "z@example.org", "@"])
    routes = (await wire.ingest.Resolve(request, timeout=5)).routes
    assert [route.status for route in routes] == [
        pb.Route.STATUS_UNKNOWN,
        pb.Route.STATUS_OK,
        pb.Route.STATUS_OK,
        pb.Route.STATUS_NOT_OURS,
        pb.Route.STATUS_INVALID,
    ]
    assert (routes[1].account_id, routes[1].mailbox_id) == (answer.account.account_id, answer.account.mailbox_id)
    assert (routes[1].quota_messages, routes[1].keep_newest, routes[1].retention_seconds) == (100_000, 0, 0)
    assert (routes[2].profile, routes[2].account_id) == (common_pb2.PROFILE_PUBLIC, "")
    assert (routes[2].keep_newest, routes[2].retention_seconds) == (6, 345_600)
    with pytest.raises(InvalidError):
        await wire.ingest.Resolve(pb.ResolveRequest(addresses=["a@b.c"] * 101), timeout=5)


async def test_the_domains_are_listed(wire: Wire) -> None:
    domains = (await wire.gateway.ListDomains(pb.ListDomainsRequest(), timeout=5)).domains
    assert [(domain.name, domain.profile, domain.open_for_sign_up) for domain in domains] == [
        ("sealpost.test", common_pb2.PROFILE_SEALED, True),
        ("relay.sealpost.test", common_pb2.PROFILE_RELAY, True),
        ("public.sealpost.test", common_pb2.PROFILE_PUBLIC, False),
    ]


@pytest.mark.parametrize("caller", sorted(ALLOWED))
async def test_each_caller_has_its_methods_and_no_others(wire: Wire, caller: str) -> None:
    allowed = ALLOWED[caller]
    methods = pb.DESCRIPTOR.services_by_name["Accounts"].methods
    assert len(methods) == 43
    for method in methods:
        call = getattr(getattr(wire, caller), method.name)
        if method.name in allowed:
            continue
        with pytest.raises(DeniedError) as refused:
            await call(getattr(pb, method.input_type.name)(), timeout=5)
        assert refused.value.reason == "caller"


async def test_ingest_checks_app_passwords_and_no_other_proof(wire: Wire) -> None:
    proofs = (pb.AuthenticateRequest(session_token="x"), pb.AuthenticateRequest(api_key="x"), pb.AuthenticateRequest())
    for proof in proofs:
        with pytest.raises(DeniedError) as refused:
            await wire.ingest.Authenticate(proof, timeout=5)
        assert refused.value.reason == "proof_kind"


async def test_delivery_learns_of_accounts_and_recipients_and_of_no_key(wire: Wire) -> None:
    asked, answer = await sign_up(wire, address="shop@relay.sealpost.test")
    assert answer.account.profile == common_pb2.PROFILE_RELAY
    got = await wire.delivery.GetAccount(pb.GetAccountRequest(account_id=asked.account_id), timeout=5)
    assert (got.address, got.profile) == ("shop@relay.sealpost.test", common_pb2.PROFILE_RELAY)
    assert got.created_day == int(wire.clock.now().timestamp()) // 86400
    assert got.mailbox_id == answer.account.mailbox_id
    assert not got.wrapped_private_key and not got.HasField("kdf") and not got.has_recovery
    assert (await wire.gateway.GetAccount(pb.GetAccountRequest(account_id=asked.account_id), timeout=5)).HasField("kdf")
    (route,) = (await wire.delivery.Resolve(pb.ResolveRequest(addresses=[got.address]), timeout=5)).routes
    assert (route.status, route.profile) == (pb.Route.STATUS_OK, common_pb2.PROFILE_RELAY)
    assert len((await wire.delivery.ListDomains(pb.ListDomainsRequest(), timeout=5)).domains) == 3
    with pytest.raises(NotFoundError):
        await wire.delivery.GetAccount(pb.GetAccountRequest(account_id=new_id()), timeout=5)


async def test_a_request_that_says_nothing_is_refused_by_every_method(wire: Wire) -> None:
    # Staff asks for concerns without an account.
    empty_is_fine = {"Resolve", "ListDomains", "SignOut", "ListConcerns"}
    for method in pb.DESCRIPTOR.services_by_name["Accounts"].methods:
        if method.name not in empty_is_fine:
            stub = (
                wire.retention
                if method.name in RETENTION
                else wire.delivery
                if method.name == "Reach"
                else wire.gateway
            )
            with pytest.raises((InvalidError, NotFoundError)):
                await getattr(stub, method.name)(getattr(pb, method.input_type.name)(), timeout=5)


async def test_errors_travel_with_their_reason_and_nothing_else(wire: Wire) -> None:
    await sign_up(wire)
    with pytest.raises(ConflictError) as taken:
        await sign_up(wire)
    assert taken.value.reason == "address_taken"
    reasons = []
    for _ in range(21):
        with pytest.raises(SealpostError) as refused:
            proof = secrets.token_bytes(32)
            await wire.gateway.SignIn(pb.SignInRequest(address=ADA, authentication_key=proof), timeout=5)
        reasons.append(refused.value.reason)
    # The refused sign-up was a guess like the others.
    assert reasons == ["bad_proof"] * 19 + ["too_many_attempts"] * 2
    assert isinstance(refused.value, ExhaustedError)
    assert refused.value.retry_after == 900


async def test_over_rpc_the_role_statistics_is_given_and_no_other(wire: Wire) -> None:
    signed, _ = await sign_up(wire)
    gateway = wire.gateway
    await gateway.GrantRole(pb.GrantRoleRequest(role="statistics", address=ADA), timeout=5)
    listed = await gateway.ListHolders(pb.ListHoldersRequest(role="statistics"), timeout=5)
    today = unix_seconds(wire.clock) // 86400
    assert [(one.account_id, one.address, one.since_day) for one in listed.holders] == [(signed.account_id, ADA, today)]
    assert listed.most == 5
    for role in ("operator", "disclosure", "", "king"):
        with pytest.raises(InvalidError) as refused:
            await gateway.GrantRole(pb.GrantRoleRequest(role=role, address=ADA), timeout=5)
        assert refused.value.reason == "role"
        with pytest.raises(InvalidError):
            await gateway.RevokeRole(pb.RevokeRoleRequest(role=role, account_id=signed.account_id), timeout=5)
    await gateway.RevokeRole(pb.RevokeRoleRequest(role="statistics", account_id=signed.account_id), timeout=5)
    assert not (await gateway.ListHolders(pb.ListHoldersRequest(role="statistics"), timeout=5)).holders
    with pytest.raises(InvalidError):
        await gateway.ListHolders(pb.ListHoldersRequest(role="king"), timeout=5)


async def test_the_command_line_works_beside_the_running_service(wire: Wire, tmp_path: Path) -> None:
    _, answer = await sign_up(wire)
    for name, digits in (("kek", "11"), ("lookup_key", "22")):
        (tmp_path / name).write_text(digits * 32)
    environ = {name: text for name, text in os.environ.items() if not name.startswith("SEALPOST_")} | {
        "SEALPOST_KEK_FILE": str(tmp_path / "kek"),
        "SEALPOST_LOOKUP_KEY_FILE": str(tmp_path / "lookup_key"),
        "SEALPOST_STORE": f"sqlite:{tmp_path}",
    }

    async def command(*arguments: str) -> str:
        done = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "services.accounts.cli", *arguments],
            cwd=ROOT,
            env=environ,
            input=ADA + "\n",
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return done.stdout + done.stderr

    proof = pb.AuthenticateRequest(session_token=answer.session_token)
    assert ADA not in await command("grant-role", "operator")
    assert list((await wire.gateway.Authenticate(proof, timeout=5)).roles) == ["operator"]
    await command("close-account")
    with pytest.raises(UnauthenticatedError):
        await wire.gateway.Authenticate(proof, timeout=5)
    assert (await wire.ingest.Resolve(pb.ResolveRequest(addresses=[ADA]), timeout=5)).routes[0].status == (
        pb.Route.STATUS_SUSPENDED
    )


def test_every_method_is_ours() -> None:
    assert SERVICE == pb.DESCRIPTOR.services_by_name["Accounts"].full_name
