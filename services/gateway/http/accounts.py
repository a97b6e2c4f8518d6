"""Sign-up, sign-in, sessions, password, recovery.

A certificate enters the directory only after accounts has given the address away: put first, unlisted but checked
against the name that it will have, so that mail can be sealed from the first moment; listed afterwards. A sign-up
that fails in between leaves a certificate that no address leads to. The listing is repeated at each sign-in, so one
that failed heals; for the same reason nobody is kept from his mail because the directory does not answer, or his
certificate has expired.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from libs.runtime.errors import ConflictError, DeniedError, ExhaustedError, InvalidError, NotFoundError, SealpostError
from libs.runtime.ids import new_id
from libs.telemetry import metrics
from libs.telemetry.logs import get_logger
from protos.accounts.v1 import accounts_pb2
from protos.crypto.v1 import crypto_pb2
from services.gateway import wkd
from services.gateway.http import models, translate
from services.gateway.http.caller import (
    Caller,
    clear_session,
    limits_of,
    peers_of,
    session_caller,
    session_token,
    set_session,
)
from services.gateway.http.openapi import errors
from services.gateway.http.plan_limits import as_planned
from services.gateway.http.recording import noted_in
from services.gateway.peers import Peers

router = APIRouter(prefix="/v1", tags=["accounts"])
InSession = Annotated[Caller, Depends(session_caller)]
# A sign-in waits no longer than this for the directory.
_LISTING_SECONDS = 3.0

_log = get_logger("accounts")
_UNLISTED = metrics.counter("sealpost_gateway_listings_failed_total", "Certificates that could not be listed for now.")


@router.post("/kdf")
async def get_kdf(given: models.AddressIn, request: Request) -> models.KdfOut:
    """Return how to derive the authentication key; an unknown address gets plausible parameters."""
    limits_of(request).target(given.address)
    peers = peers_of(request)
    found = await peers.accounts.GetKdf(accounts_pb2.GetKdfRequest(address=given.address), timeout=peers.timeout)
    return models.KdfOut(kdf=translate.kdf(found.kdf))


@router.post("/accounts", status_code=201, responses=errors(409))
async def sign_up(given: models.SignUpIn, request: Request, response: Response) -> models.AccountOut:
    """Make an account and sign it in."""
    peers = peers_of(request)
    listing = await _directory_name(request, given.address)
    listing.account_id, listing.certificate, listing.unlisted = new_id(), given.certificate, True
    put = await peers.crypto.PutCertificate(listing, timeout=peers.timeout)
    try:
        signed = await peers.accounts.SignUp(
            accounts_pb2.SignUpRequest(
                account_id=listing.account_id,
                address=given.address,
                kdf=given.kdf.to_proto(),
                authentication_key=given.authentication_key,
                wrapped_private_key=given.wrapped_private_key,
                fingerprint=put.fingerprint,
                recovery=given.recovery.to_proto() if given.recovery else None,
            ),
            timeout=peers.timeout,
        )
    except (ConflictError, DeniedError, ExhaustedError, InvalidError):
        # Refused for certain. After a deadline the account may exist, and needs its certificate.
        await _delete_certificate(peers, listing.account_id)
        raise
    if signed.account.account_id != listing.account_id:
        # The repetition of a sign-up that had gone through: the account has the first id.
        await _delete_certificate(peers, listing.account_id)
        listing.account_id = signed.account.account_id
    listing.unlisted = False
    await _list(peers, listing)
    noted_in(request.scope).profile = signed.account.profile
    set_session(response, signed.session_token)
    return translate.account(signed.account)


async def _directory_name(request: Request, address: str) -> crypto_pb2.PutCertificateRequest:
    """Return a request with the directory name of `address`; InvalidError("address_invalid") if it is none."""
    peers = peers_of(request)
    resolved = await peers.accounts.Resolve(accounts_pb2.ResolveRequest(addresses=[address]), timeout=peers.timeout)
    noted_in(request.scope).profile = resolved.routes[0].profile
    local_part, at, domain = resolved.routes[0].address.rpartition("@")
    if not at or wkd.canonical_domain(domain) is None:
        raise InvalidError("address_invalid")
    return crypto_pb2.PutCertificateRequest(domain=domain, wkd_hash=wkd.hash_of(local_part))


async def _delete_certificate(peers: Peers, account_id: str) -> None:
    gone = crypto_pb2.DeleteCertificateRequest(account_id=account_id)
    try:
        await peers.crypto.DeleteCertificate(gone, timeout=peers.timeout)
    except SealpostError as error:
        # No address leads to it; what the sign-up has come to matters more.
        _log.warning("certificate_left", reason=error.reason)


async def _list(peers: Peers, listing: crypto_pb2.PutCertificateRequest) -> None:
    """List a certificate; where that cannot be done, the next sign-in tries again."""
    try:
        await peers.crypto.PutCertificate(listing, timeout=_LISTING_SECONDS)
    except SealpostError as error:
        _UNLISTED.inc()
        _log.warning("listing_failed", reason=error.reason)


@router.post("/session", responses=errors(401))
async def sign_in(given: models.SignInIn, request: Request, response: Response) -> models.AccountOut:
    """Start a session."""
    limits_of(request).target(given.address)
    peers = peers_of(request)
    proof = accounts_pb2.SignInRequest(address=given.address, authentication_key=given.authentication_key)
    signed = await peers.accounts.SignIn(proof, timeout=peers.timeout)
    await _list_again(peers, signed.account)
    set_session(response, signed.session_token)
    return await as_planned(request, signed.account)


async def _list_again(peers: Peers, account: accounts_pb2.Account) -> None:
    local_part, _, domain = account.address.rpartition("@")
    name = wkd.hash_of(local_part)
    try:
        found = await peers.crypto.FindCertificate(
            crypto_pb2.FindCertificateRequest(domain=domain, wkd_hash=name), timeout=_LISTING_SECONDS
        )
        if found.fingerprint == account.fingerprint:
            return
    except NotFoundError:
        pass
    except SealpostError as error:
        _log.warning("listing_failed", reason=error.reason)
        return
    try:
        wanted = crypto_pb2.GetCertificateRequest(account_id=account.account_id)
        kept = await peers.crypto.GetCertificate(wanted, timeout=_LISTING_SECONDS)
    except SealpostError as error:
        _log.warning("listing_failed", reason=error.reason)
        return
    listing = crypto_pb2.PutCertificateRequest(
        account_id=account.account_id, certificate=kept.certificate, domain=domain, wkd_hash=name
    )
    await _list(peers, listing)


@router.get("/session", responses=errors(404))
async def get_session(caller: InSession, request: Request) -> models.AccountOut:
    """Return the account of this session."""
    peers = peers_of(request)
    wanted = accounts_pb2.GetAccountRequest(account_id=caller.account_id)
    return await as_planned(request, await peers.accounts.GetAccount(wanted, timeout=peers.timeout))


@router.delete("/session", status_code=204)
async def sign_out(request: Request, response: Response) -> None:
    """End this session, if there is one, and take the cookie back in any case."""
    peers = peers_of(request)
    token = session_token(request)
    if token:
        await peers.accounts.SignOut(accounts_pb2.SignOutRequest(session_token=token), timeout=peers.timeout)
    clear_session(response)


@router.get("/sessions", responses=errors(404))
async def list_sessions(caller: InSession, request: Request) -> models.SessionsOut:
    """Return the sessions of this account, times to the hour."""
    peers = peers_of(request)
    wanted = accounts_pb2.ListSessionsRequest(account_id=caller.account_id)
    found = await peers.accounts.ListSessions(wanted, timeout=peers.timeout)
    return models.SessionsOut(sessions=[translate.session(entry, caller.proof_id) for entry in found.sessions])


@router.delete("/sessions", status_code=204, responses=errors(404, 409))
async def sign_out_everywhere(caller: InSession, request: Request, response: Response) -> None:
    """End every session of this account, this one included."""
    peers = peers_of(request)
    everywhere = accounts_pb2.SignOutEverywhereRequest(account_id=caller.account_id)
    await peers.accounts.SignOutEverywhere(everywhere, timeout=peers.timeout)
    clear_session(response)
