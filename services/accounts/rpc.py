"""The gRPC edge: decode, call the domain, encode.

Who may call what: gateway what people and programs ask for (addresses that mail is forwarded to are told to ingest with
the route, and to nobody else); ingest only Resolve, and Authenticate with an app password, since a mail server
never holds anybody's session or API key; delivery looks up recipients, domains and accounts, of these without the
wrapped private key and what unwraps it, which are the owner's browser's alone. Where an account may be reached is told
to delivery alone, the choke point of platform mail; notices, erasures that are due and whose an address is for a
disclosure case are retention's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import grpc

from libs.rpc.interceptors import caller_of
from libs.rpc.server import RpcServer
from libs.runtime.clock import Clock
from libs.runtime.errors import DeniedError, InvalidError, NotFoundError
from protos.accounts.v1 import accounts_pb2 as pb
from protos.accounts.v1.accounts_pb2_grpc import AccountsServicer, add_AccountsServicer_to_server
from services.accounts import codec
from services.accounts.concerns_rpc import ConcernsRpc
from services.accounts.domain.directory import Route, Status
from services.accounts.domain.model import Account
from services.accounts.erasures_rpc import ErasuresRpc
from services.accounts.forwards_rpc import ForwardsRpc
from services.accounts.graph import Graph
from services.accounts.rights_rpc import RightsRpc

SERVICE = "sealpost.accounts.v1.Accounts"
_GATEWAY = "gateway"
_INGEST = "ingest"
# Who may call besides the gateway (RpcServer.restrict).
ALSO = {
    "Resolve": ("ingest", "delivery"),
    "Authenticate": ("ingest",),
    "ListDomains": ("delivery",),
    "GetAccount": ("delivery",),
    # A click in a newsletter takes the consent back.
    "PutConsents": ("delivery",),
    # Probes look whether the policy holds.
    "ListHolders": ("retention",),
}

# Who may call instead of the gateway.
INSTEAD = {
    "Reach": "delivery",
    "ListUnnoticed": "retention",
    "MarkNoticed": "retention",
    "GetNoticeState": "retention",
    "FindAccount": "retention",
    "ListDueErasures": "retention",
    "BeginErasure": "retention",
}

Context = grpc.aio.ServicerContext[Any, Any]


def _nothing() -> None:
    """Be told of nothing."""


def serve_accounts(
    server: RpcServer, graph: Graph, clock: Clock, callers: Collection[str], announce: Callable[[], None] = _nothing
) -> None:
    """Add the servicer to `server`, whose list of callers is `callers`, and restrict its methods.

    `announce` is told that something with events was committed.
    """
    server.add(add_AccountsServicer_to_server, AccountsRpc(graph, clock, announce), SERVICE)
    for method in pb.DESCRIPTOR.services_by_name["Accounts"].methods:
        allowed = {INSTEAD.get(method.name, _GATEWAY), *ALSO.get(method.name, ())}
        server.restrict(f"/{SERVICE}/{method.name}", allowed & set(callers))


class AccountsRpc(ForwardsRpc, ErasuresRpc, RightsRpc, ConcernsRpc, AccountsServicer):
    """Implements sealpost.accounts.v1.Accounts."""

    def __init__(self, graph: Graph, clock: Clock, announce: Callable[[], None]) -> None:
        """Serve `graph`; `announce` as in `serve_accounts`."""
        self._graph = graph
        self._clock = clock
        self._announce = announce

    async def Resolve(self, request: pb.ResolveRequest, context: Context) -> pb.ResolveResponse:
        """Tell where mail for addresses goes."""
        routes = await self._graph.directory.resolve(request.addresses)
        flagged = [route.account_id for route in routes if route.forwards]
        if not flagged or caller_of(context) != _INGEST:
            return pb.ResolveResponse(routes=[codec.route_message(route) for route in routes])
        active = await self._graph.forwards.active(flagged)
        return pb.ResolveResponse(
            routes=[codec.route_message(_waiting(route, active), active.get(route.account_id, ())) for route in routes]
        )

    async def ListDomains(self, request: pb.ListDomainsRequest, context: Context) -> pb.ListDomainsResponse:
        """List the domains of this installation."""
        return pb.ListDomainsResponse(domains=[codec.domain_message(domain) for domain in self._graph.domains.all()])

    async def GetKdf(self, request: pb.GetKdfRequest, context: Context) -> pb.GetKdfResponse:
        """Return the derivation parameters of an address, whether it exists or not."""
        return pb.GetKdfResponse(kdf=codec.kdf_message(await self._graph.access.kdf(request.address)))

    async def SignUp(self, request: pb.SignUpRequest, context: Context) -> pb.SignInResponse:
        """Make an account and sign in."""
        return await self._signed_in(await self._graph.registration.sign_up(codec.sign_up(request), self._clock))

    async def SignIn(self, request: pb.SignInRequest, context: Context) -> pb.SignInResponse:
        """Start a session by password."""
        return await self._signed_in(await self._graph.access.sign_in(request.address, request.authentication_key))

    async def Authenticate(self, request: pb.AuthenticateRequest, context: Context) -> pb.Principal:
        """Tell who is behind a proof."""
        proof = request.WhichOneof("proof")
        if proof != "app_password" and caller_of(context) != _GATEWAY:
            raise DeniedError("proof_kind")
        if proof == "session_token":
            principal = await self._graph.signed_in.authenticate(request.session_token)
        elif proof == "api_key":
            principal = await self._graph.programs.by_api_key(request.api_key)
        elif proof == "app_password":
            given = request.app_password
            principal = await self._graph.programs.by_app_password(given.address, given.password)
        else:
            raise InvalidError("proof")
        return codec.principal_message(principal)

    async def SignOut(self, request: pb.SignOutRequest, context: Context) -> pb.SignOutResponse:
        """End one session."""
        await self._graph.signed_in.sign_out(request.session_token)
        return pb.SignOutResponse()

    async def SignOutEverywhere(
        self, request: pb.SignOutEverywhereRequest, context: Context
    ) -> pb.SignOutEverywhereResponse:
        """End all sessions of an account."""
        ended = await self._graph.signed_in.sign_out_everywhere(codec.account_id(request.account_id))
        return pb.SignOutEverywhereResponse(ended=ended)

    async def ListSessions(self, request: pb.ListSessionsRequest, context: Context) -> pb.ListSessionsResponse:
        """List the living sessions of an account."""
        sessions = await self._graph.signed_in.list(codec.account_id(request.account_id))
        return pb.ListSessionsResponse(sessions=[codec.session_message(session) for session in sessions])

    async def GetAccount(self, request: pb.GetAccountRequest, context: Context) -> pb.Account:
        """Return an account."""
        account = await self._graph.kept.accounts.get(codec.account_id(request.account_id))
        if account is None:
            raise NotFoundError("account_not_found")
        message = await self._message(account)
        if caller_of(context) != _GATEWAY:
            codec.take_keys_out(message)
        return message

    async def ChangePassword(self, request: pb.ChangePasswordRequest, context: Context) -> pb.ChangePasswordResponse:
        """Replace the password; all sessions but one end."""
        account = await self._graph.access.change_password(
            codec.account_id(request.account_id), request.current_authentication_key, codec.new_password(request)
        )
        await self._graph.signed_in.end_others(account, request.session_token)
        return pb.ChangePasswordResponse()

    async def SetRecovery(self, request: pb.SetRecoveryRequest, context: Context) -> pb.SetRecoveryResponse:
        """Replace or remove the recovery code."""
        recovery = codec.recovery(request.recovery) if request.HasField("recovery") else None
        await self._graph.access.set_recovery(
            codec.account_id(request.account_id), request.current_authentication_key, recovery
        )
        return pb.SetRecoveryResponse()

    async def StartRecovery(self, request: pb.StartRecoveryRequest, context: Context) -> pb.StartRecoveryResponse:
        """Return what the recovery code unwraps."""
        wrapped, fingerprint = await self._graph.access.start_recovery(request.address, request.authentication_key)
        return pb.StartRecoveryResponse(wrapped_private_key=wrapped, fingerprint=fingerprint)

    async def CompleteRecovery(self, request: pb.CompleteRecoveryRequest, context: Context) -> pb.SignInResponse:
        """Set a new password by the recovery code and sign in; all earlier sessions end."""
        account = await self._graph.access.complete_recovery(
            request.address, request.recovery_authentication_key, codec.new_password(request)
        )
        await self._graph.signed_in.end_others(account, "")
        return await self._signed_in(account)

    async def CreateCredential(
        self, request: pb.CreateCredentialRequest, context: Context
    ) -> pb.CreateCredentialResponse:
        """Make an API key or an app password."""
        kind = codec.kind(request.kind)
        created = await self._graph.programs.create(
            codec.account_id(request.account_id), kind, request.label, request.scopes
        )
        return pb.CreateCredentialResponse(
            credential=codec.credential_message(created.credential, created.label), secret=created.secret
        )

    async def ListCredentials(self, request: pb.ListCredentialsRequest, context: Context) -> pb.ListCredentialsResponse:
        """List the credentials of an account."""
        kept = await self._graph.programs.list(codec.account_id(request.account_id))
        return pb.ListCredentialsResponse(credentials=[codec.credential_message(one, label) for one, label in kept])

    async def RevokeCredential(
        self, request: pb.RevokeCredentialRequest, context: Context
    ) -> pb.RevokeCredentialResponse:
        """Delete a credential."""
        await self._graph.programs.revoke(codec.account_id(request.account_id), request.credential_id)
        return pb.RevokeCredentialResponse()

    async def ListHolders(self, request: pb.ListHoldersRequest, context: Context) -> pb.ListHoldersResponse:
        """List who holds a role."""
        role, staff = codec.role(request.role), self._graph.staff
        holders = [codec.holder_message(grant, address) for grant, address in await staff.holders_of(role)]
        return pb.ListHoldersResponse(holders=holders, most=staff.most(role))

    async def GrantRole(self, request: pb.GrantRoleRequest, context: Context) -> pb.GrantRoleResponse:
        """Give an account the role statistics."""
        await self._graph.staff.grant(request.address, codec.granted_role(request.role))
        self._announce()
        return pb.GrantRoleResponse()

    async def RevokeRole(self, request: pb.RevokeRoleRequest, context: Context) -> pb.RevokeRoleResponse:
        """Take the role statistics from an account."""
        role = codec.granted_role(request.role)
        await self._graph.staff.revoke_from(codec.account_id(request.account_id), role)
        self._announce()
        return pb.RevokeRoleResponse()

    async def _signed_in(self, account: Account) -> pb.SignInResponse:
        token, session = await self._graph.signed_in.start(account)
        return pb.SignInResponse(
            session_token=token, expires_at=session.expires_at, account=await self._message(account)
        )

    async def _message(self, account: Account) -> pb.Account:
        message = codec.account_message(account, self._graph.vault.identity(account), self._graph.member_limits)
        message.notice = await self._graph.rights.notices.waiting(account)
        return message


def _waiting(route: Route, active: Mapping[str, Sequence[str]]) -> Route:
    """Return a route whose mail waits at its senders while it is not known where copies go."""
    unknown = route.forwards and route.account_id not in active
    return replace(route, status=Status.SUSPENDED) if unknown else route
