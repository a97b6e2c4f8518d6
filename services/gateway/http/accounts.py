"""Sign-up, sign-in, sessions, password, recovery, credentials.

A certificate enters the directory only after accounts has given the address away: put first, without a name, so that
mail can be sealed from the first moment; listed under its name afterwards. A sign-up that fails in between leaves a
certificate that no address leads to. Listing is repeated at each sign-in, so an interrupted one heals.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from libs.runtime.errors import ConflictError, DeniedError, ExhaustedError, InvalidError
from libs.runtime.ids import new_id
from protos.accounts.v1 import accounts_pb2
from protos.crypto.v1 import crypto_pb2
from services.gateway import wkd
from services.gateway.http import models, translate
from services.gateway.http.caller import Caller, clear_session, peers_of, session_caller, set_session
from services.gateway.peers import Peers

router = APIRouter(prefix="/v1", tags=["accounts"])
InSession = Annotated[Caller, Depends(session_caller)]


@router.post("/kdf")
async def get_kdf(given: models.AddressIn, request: Request) -> models.KdfOut:
    """Return how to derive the authentication key; an unknown address gets plausible parameters."""
    peers = peers_of(request)
    found = await peers.accounts.GetKdf(accounts_pb2.GetKdfRequest(address=given.address), timeout=peers.timeout)
    return models.KdfOut(kdf=translate.kdf(found.kdf))


@router.post("/accounts", status_code=201)
async def sign_up(given: models.SignUpIn, request: Request, response: Response) -> models.AccountOut:
    """Make an account and sign it in."""
    peers = peers_of(request)
    account_id = new_id()
    certificate = crypto_pb2.PutCertificateRequest(account_id=account_id, certificate=given.certificate)
    put = await peers.crypto.PutCertificate(certificate, timeout=peers.timeout)
    try:
        signed = await peers.accounts.SignUp(
            accounts_pb2.SignUpRequest(
                account_id=account_id,
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
        await _delete_certificate(peers, account_id)
        raise
    if signed.account.account_id != account_id:
        # The repetition of a sign-up that had gone through: the account has the first id.
        await _delete_certificate(peers, account_id)
    await _list_in_directory(peers, signed.account, given.certificate)
    set_session(response, signed.session_token)
    return translate.account(signed.account)


async def _delete_certificate(peers: Peers, account_id: str) -> None:
    gone = crypto_pb2.DeleteCertificateRequest(account_id=account_id)
    await peers.crypto.DeleteCertificate(gone, timeout=peers.timeout)


async def _list_in_directory(peers: Peers, account: accounts_pb2.Account, certificate: bytes) -> None:
    local_part, _, domain = account.address.rpartition("@")
    listing = crypto_pb2.PutCertificateRequest(
        account_id=account.account_id, certificate=certificate, domain=domain, wkd_hash=wkd.hash_of(local_part)
    )
    await peers.crypto.PutCertificate(listing, timeout=peers.timeout)


@router.post("/session")
async def sign_in(given: models.SignInIn, request: Request, response: Response) -> models.AccountOut:
    """Start a session."""
    peers = peers_of(request)
    proof = accounts_pb2.SignInRequest(address=given.address, authentication_key=given.authentication_key)
    signed = await peers.accounts.SignIn(proof, timeout=peers.timeout)
    wanted = crypto_pb2.GetCertificateRequest(account_id=signed.account.account_id)
    found = await peers.crypto.GetCertificate(wanted, timeout=peers.timeout)
    await _list_in_directory(peers, signed.account, found.certificate)
    set_session(response, signed.session_token)
    return translate.account(signed.account)


@router.get("/session")
async def get_session(caller: InSession, request: Request) -> models.AccountOut:
    """Return the account of this session."""
    peers = peers_of(request)
    wanted = accounts_pb2.GetAccountRequest(account_id=caller.account_id)
    return translate.account(await peers.accounts.GetAccount(wanted, timeout=peers.timeout))


@router.delete("/session", status_code=204)
async def sign_out(caller: InSession, request: Request, response: Response) -> None:
    """End this session."""
    peers = peers_of(request)
    ended = accounts_pb2.SignOutRequest(session_token=caller.session_token)
    await peers.accounts.SignOut(ended, timeout=peers.timeout)
    clear_session(response)


@router.get("/sessions")
async def list_sessions(caller: InSession, request: Request) -> models.SessionsOut:
    """Return the sessions of this account, times to the hour."""
    peers = peers_of(request)
    wanted = accounts_pb2.ListSessionsRequest(account_id=caller.account_id)
    found = await peers.accounts.ListSessions(wanted, timeout=peers.timeout)
    return models.SessionsOut(sessions=[translate.session(entry, caller.proof_id) for entry in found.sessions])


@router.delete("/sessions", status_code=204)
async def sign_out_everywhere(caller: InSession, request: Request, response: Response) -> None:
    """End every session of this account, this one included."""
    peers = peers_of(request)
    everywhere = accounts_pb2.SignOutEverywhereRequest(account_id=caller.account_id)
    await peers.accounts.SignOutEverywhere(everywhere, timeout=peers.timeout)
    clear_session(response)


@router.put("/account/password", status_code=204)
async def change_password(given: models.ChangePasswordIn, caller: InSession, request: Request) -> None:
    """Take a new authentication key and the private key wrapped anew; every other session ends."""
    peers = peers_of(request)
    await peers.accounts.ChangePassword(
        accounts_pb2.ChangePasswordRequest(
            account_id=caller.account_id,
            current_authentication_key=given.current_authentication_key,
            kdf=given.kdf.to_proto(),
            authentication_key=given.authentication_key,
            wrapped_private_key=given.wrapped_private_key,
            session_token=caller.session_token,
        ),
        timeout=peers.timeout,
    )


@router.put("/account/recovery", status_code=204)
async def set_recovery(given: models.SetRecoveryIn, caller: InSession, request: Request) -> None:
    """Set the recovery code's keys, or switch recovery off."""
    peers = peers_of(request)
    await peers.accounts.SetRecovery(
        accounts_pb2.SetRecoveryRequest(
            account_id=caller.account_id,
            current_authentication_key=given.current_authentication_key,
            recovery=given.recovery.to_proto() if given.recovery else None,
        ),
        timeout=peers.timeout,
    )


@router.post("/recovery")
async def start_recovery(given: models.SignInIn, request: Request) -> models.RecoveryOut:
    """Return the private key as the recovery code wraps it."""
    peers = peers_of(request)
    proof = accounts_pb2.StartRecoveryRequest(address=given.address, authentication_key=given.authentication_key)
    found = await peers.accounts.StartRecovery(proof, timeout=peers.timeout)
    return models.RecoveryOut(wrapped_private_key=found.wrapped_private_key, fingerprint=found.fingerprint)


@router.post("/recovery/complete")
async def complete_recovery(
    given: models.CompleteRecoveryIn, request: Request, response: Response
) -> models.AccountOut:
    """Set a new password with the recovery code, end every session and start a new one."""
    peers = peers_of(request)
    signed = await peers.accounts.CompleteRecovery(
        accounts_pb2.CompleteRecoveryRequest(
            address=given.address,
            recovery_authentication_key=given.recovery_authentication_key,
            kdf=given.kdf.to_proto(),
            authentication_key=given.authentication_key,
            wrapped_private_key=given.wrapped_private_key,
        ),
        timeout=peers.timeout,
    )
    set_session(response, signed.session_token)
    return translate.account(signed.account)


_KINDS = {
    "api_key": accounts_pb2.CREDENTIAL_KIND_API_KEY,
    "app_password": accounts_pb2.CREDENTIAL_KIND_APP_PASSWORD,
}
_SCOPES = {"api_key": {"mail:read", "mail:write"}, "app_password": {"smtp:send"}}


@router.get("/credentials")
async def list_credentials(caller: InSession, request: Request) -> models.CredentialsOut:
    """Return API keys and app passwords, without their secrets."""
    peers = peers_of(request)
    wanted = accounts_pb2.ListCredentialsRequest(account_id=caller.account_id)
    found = await peers.accounts.ListCredentials(wanted, timeout=peers.timeout)
    return models.CredentialsOut(credentials=[translate.credential(entry) for entry in found.credentials])


@router.post("/credentials", status_code=201)
async def create_credential(given: models.CredentialIn, caller: InSession, request: Request) -> models.CredentialOut:
    """Make an API key or app password; the secret is in this answer and nowhere else."""
    if not set(given.scopes) <= _SCOPES[given.kind]:
        raise InvalidError("scope_unknown")
    peers = peers_of(request)
    made = await peers.accounts.CreateCredential(
        accounts_pb2.CreateCredentialRequest(
            account_id=caller.account_id, kind=_KINDS[given.kind], label=given.label, scopes=given.scopes
        ),
        timeout=peers.timeout,
    )
    return models.CredentialOut(credential=translate.credential(made.credential), secret=made.secret)


@router.delete("/credentials/{credential_id}", status_code=204)
async def revoke_credential(credential_id: str, caller: InSession, request: Request) -> None:
    """Revoke one, at once."""
    peers = peers_of(request)
    revoked = accounts_pb2.RevokeCredentialRequest(account_id=caller.account_id, credential_id=credential_id)
    await peers.accounts.RevokeCredential(revoked, timeout=peers.timeout)
