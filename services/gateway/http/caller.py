"""Who is calling: the session cookie, or an API key in the Authorization header."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import Request, Response

from libs.runtime.errors import DeniedError, NotFoundError, SealpostError, UnauthenticatedError
from protos.accounts.v1 import accounts_pb2
from protos.common.v1 import common_pb2
from services.gateway.http.limits import Limits
from services.gateway.http.plan_limits import account_of, count_operation
from services.gateway.http.recording import noted_in
from services.gateway.peers import Peers

COOKIE = "__Host-session"
_LONGEST_PROOF = 200
_NOBODY = frozenset({"session_invalid", "credential_invalid"})


@dataclass(frozen=True)
class Caller:
    """An authenticated caller. `session_token` is empty for an API key; roles are those of the account."""

    account_id: str
    mailbox_id: str
    scopes: frozenset[str]
    proof_id: str
    session_token: str
    profile: common_pb2.Profile.ValueType = common_pb2.PROFILE_UNSPECIFIED
    roles: frozenset[str] = frozenset()
    # Version of the policy whose terms hold for the account.
    terms: int = 0


def peers_of(request: Request) -> Peers:
    """Return the services behind the application that serves `request`."""
    peers: Peers = request.app.state.peers
    return peers


def limits_of(request: Request) -> Limits:
    """Return the limits of the application that serves `request`."""
    limits: Limits = request.app.state.limits
    return limits


def session_token(request: Request) -> str:
    """Return the token in the session cookie, "" if there is none or it cannot be one."""
    token = request.cookies.get(COOKIE, "")
    return token if len(token) <= _LONGEST_PROOF else ""


async def session_caller(request: Request) -> Caller:
    """Return the caller behind the session cookie; UnauthenticatedError("session_missing") if there is none."""
    token = session_token(request)
    if not token:
        raise UnauthenticatedError("session_missing")
    return await _authenticate(request, accounts_pb2.AuthenticateRequest(session_token=token), token)


def scoped_caller(scope: str) -> Callable[[Request], Awaitable[Caller]]:
    """Return a dependency that takes a session, or an API key with `scope`; DeniedError("scope_missing") otherwise."""

    async def dependency(request: Request) -> Caller:
        kind, _, key = request.headers.get("authorization", "").partition(" ")
        if not kind:
            return await session_caller(request)
        if kind.lower() != "bearer" or not key or len(key) > _LONGEST_PROOF:
            raise UnauthenticatedError("session_missing")
        caller = await _authenticate(request, accounts_pb2.AuthenticateRequest(api_key=key), "")
        if scope not in caller.scopes:
            raise DeniedError("scope_missing")
        await count_operation(request, account_of(caller.account_id, caller.profile, caller.mailbox_id))
        return caller

    _SCOPES[dependency] = scope
    return dependency


_SCOPES: dict[Callable[..., object], str] = {session_caller: ""}


def required_scope(call: Callable[..., object] | None) -> str | None:
    """Return the scope that an API key needs for `call`, "" where only a session passes, None where anybody does."""
    return _SCOPES.get(call) if call is not None else None


async def _authenticate(request: Request, proof: accounts_pb2.AuthenticateRequest, token: str) -> Caller:
    peers, noted = peers_of(request), noted_in(request.scope)
    noted.by_key = not token
    try:
        found = await peers.accounts.Authenticate(proof, timeout=peers.timeout)
    except UnauthenticatedError as error:
        if error.reason not in _NOBODY:
            raise
        raise UnauthenticatedError("session_missing") from error
    noted.unit, noted.profile = found.account_id, found.profile
    return Caller(
        found.account_id,
        found.mailbox_id,
        frozenset(found.scopes),
        found.proof_id,
        token,
        found.profile,
        frozenset(found.roles),
        found.terms,
    )


async def still_valid(peers: Peers, caller: Caller) -> bool:
    """Tell whether the proof of `caller` still exists, without using it: looking must not keep a session alive.

    In doubt, while accounts does not answer, it does.
    """
    try:
        if caller.session_token:
            wanted = accounts_pb2.ListSessionsRequest(account_id=caller.account_id)
            sessions = await peers.accounts.ListSessions(wanted, timeout=peers.timeout)
            return any(one.session_id == caller.proof_id for one in sessions.sessions)
        asked = accounts_pb2.ListCredentialsRequest(account_id=caller.account_id)
        kept = await peers.accounts.ListCredentials(asked, timeout=peers.timeout)
        return any(one.credential_id == caller.proof_id for one in kept.credentials)
    except NotFoundError:
        return False
    except SealpostError:
        return True


def set_session(response: Response, token: str) -> None:
    """Give the browser its one cookie; without an expiry it ends with the browser."""
    response.set_cookie(COOKIE, token, secure=True, httponly=True, samesite="strict", path="/")


def clear_session(response: Response) -> None:
    """Take the cookie back."""
    response.delete_cookie(COOKIE, secure=True, httponly=True, samesite="strict", path="/")
