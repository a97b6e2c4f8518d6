"""Who is calling: the session cookie, or an API key in the Authorization header."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import Request, Response

from libs.runtime.errors import DeniedError, UnauthenticatedError
from protos.accounts.v1 import accounts_pb2
from services.gateway.peers import Peers

COOKIE = "__Host-session"
_LONGEST_PROOF = 200


@dataclass(frozen=True)
class Caller:
    """An authenticated caller. `session_token` is empty for an API key."""

    account_id: str
    mailbox_id: str
    scopes: frozenset[str]
    proof_id: str
    session_token: str


def peers_of(request: Request) -> Peers:
    """Return the services behind the application that serves `request`."""
    peers: Peers = request.app.state.peers
    return peers


async def session_caller(request: Request) -> Caller:
    """Return the caller behind the session cookie; UnauthenticatedError("session_missing") if there is none."""
    token = request.cookies.get(COOKIE, "")
    if not token or len(token) > _LONGEST_PROOF:
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
        return caller

    return dependency


async def _authenticate(request: Request, proof: accounts_pb2.AuthenticateRequest, token: str) -> Caller:
    peers = peers_of(request)
    try:
        found = await peers.accounts.Authenticate(proof, timeout=peers.timeout)
    except UnauthenticatedError as error:
        raise UnauthenticatedError("session_missing") from error
    return Caller(found.account_id, found.mailbox_id, frozenset(found.scopes), found.proof_id, token)


def set_session(response: Response, token: str) -> None:
    """Give the browser its one cookie; without an expiry it ends with the browser."""
    response.set_cookie(COOKIE, token, secure=True, httponly=True, samesite="strict", path="/")


def clear_session(response: Response) -> None:
    """Take the cookie back."""
    response.delete_cookie(COOKIE, secure=True, httponly=True, samesite="strict", path="/")
