"""Change of the password, and the way back with a recovery code; the secrets themselves never come here."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from protos.accounts.v1 import accounts_pb2
from services.gateway.http import models, translate
from services.gateway.http.accounts import InSession
from services.gateway.http.caller import limits_of, peers_of, set_session
from services.gateway.http.openapi import errors

router = APIRouter(prefix="/v1", tags=["accounts"])


@router.put("/account/password", status_code=204, responses=errors(404, 409))
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


@router.put("/account/recovery", status_code=204, responses=errors(404, 409))
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


@router.post("/recovery", responses=errors(401))
async def start_recovery(given: models.SignInIn, request: Request) -> models.RecoveryOut:
    """Return the private key as the recovery code wraps it."""
    limits_of(request).target(given.address)
    peers = peers_of(request)
    proof = accounts_pb2.StartRecoveryRequest(address=given.address, authentication_key=given.authentication_key)
    found = await peers.accounts.StartRecovery(proof, timeout=peers.timeout)
    return models.RecoveryOut(wrapped_private_key=found.wrapped_private_key, fingerprint=found.fingerprint)


@router.post("/recovery/complete", responses=errors(401, 409))
async def complete_recovery(
    given: models.CompleteRecoveryIn, request: Request, response: Response
) -> models.AccountOut:
    """Set a new password with the recovery code, end every session and start a new one."""
    limits_of(request).target(given.address)
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
