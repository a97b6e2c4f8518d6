"""The archive of everything that is held about an account, for its owner."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from libs.runtime.clock import Clock
from protos.owner.v1 import owner_pb2
from services.gateway.export import Export
from services.gateway.http.accounts import InSession
from services.gateway.http.caller import peers_of
from services.gateway.http.openapi import binary

router = APIRouter(prefix="/v1", tags=["rights"])
_ZIP = binary("application/zip", "JSON of each service, mail as it is stored, the wrapped key.")


@router.get("/account/export", responses=_ZIP, response_class=StreamingResponse)
async def export_account(caller: InSession, request: Request) -> StreamingResponse:
    """Return everything that is held about this account, as one archive; mail in it stays sealed."""
    clock: Clock = request.app.state.clock
    now = clock.now()
    subject = owner_pb2.Subject(account_id=caller.account_id, mailbox_id=caller.mailbox_id)
    export = Export(peers_of(request).owners, subject, now)
    headers = {"Content-Disposition": f'attachment; filename="sealpost-{now:%Y-%m-%d}.zip"'}
    return StreamingResponse(export.stream(), media_type="application/zip", headers=headers)
