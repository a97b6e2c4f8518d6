"""API keys and app passwords of an account; made and revoked in a session only."""

from __future__ import annotations

from fastapi import APIRouter, Request

from protos.accounts.v1 import accounts_pb2
from services.gateway.http import models, translate
from services.gateway.http.accounts import InSession
from services.gateway.http.caller import peers_of
from services.gateway.http.openapi import errors

router = APIRouter(prefix="/v1/credentials", tags=["credentials"])
_KINDS = {
    "api_key": accounts_pb2.CREDENTIAL_KIND_API_KEY,
    "app_password": accounts_pb2.CREDENTIAL_KIND_APP_PASSWORD,
}


@router.get("", responses=errors(404))
async def list_credentials(caller: InSession, request: Request) -> models.CredentialsOut:
    """Return API keys and app passwords, without their secrets."""
    peers = peers_of(request)
    wanted = accounts_pb2.ListCredentialsRequest(account_id=caller.account_id)
    found = await peers.accounts.ListCredentials(wanted, timeout=peers.timeout)
    return models.CredentialsOut(credentials=[translate.credential(entry) for entry in found.credentials])


@router.post("", status_code=201, responses=errors(404, 409))
async def create_credential(given: models.CredentialIn, caller: InSession, request: Request) -> models.CredentialOut:
    """Make an API key or app password; the secret is in this answer and nowhere else."""
    peers = peers_of(request)
    made = await peers.accounts.CreateCredential(
        accounts_pb2.CreateCredentialRequest(
            account_id=caller.account_id, kind=_KINDS[given.kind], label=given.label, scopes=given.scopes
        ),
        timeout=peers.timeout,
    )
    return models.CredentialOut(credential=translate.credential(made.credential), secret=made.secret)


@router.delete("/{credential_id}", status_code=204)
async def revoke_credential(credential_id: str, caller: InSession, request: Request) -> None:
    """Revoke one, at once."""
    peers = peers_of(request)
    revoked = accounts_pb2.RevokeCredentialRequest(account_id=caller.account_id, credential_id=credential_id)
    await peers.accounts.RevokeCredential(revoked, timeout=peers.timeout)
