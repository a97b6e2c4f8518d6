"""Where events are posted to; made and deleted in a session only."""

from __future__ import annotations

from fastapi import APIRouter, Request

from protos.delivery.v1 import delivery_pb2 as pb
from services.gateway.http import relay_models
from services.gateway.http.accounts import InSession
from services.gateway.http.caller import peers_of
from services.gateway.http.messages import require_id
from services.gateway.http.openapi import errors
from services.gateway.http.relay_translate import webhook
from services.gateway.http.sending import Id

router = APIRouter(prefix="/v1/webhooks", tags=["sending"])
_REPLAY_SECONDS = 60.0


@router.get("")
async def list_webhooks(caller: InSession, request: Request) -> relay_models.Webhooks:
    """Return the webhooks, without their secrets."""
    peers = peers_of(request)
    wanted = pb.ListWebhooksRequest(account_id=caller.account_id)
    found = await peers.delivery.ListWebhooks(wanted, timeout=peers.timeout)
    return relay_models.Webhooks(webhooks=[webhook(one) for one in found.webhooks])


@router.post("", status_code=201, responses=errors(404, 409))
async def put_webhook(given: relay_models.WebhookIn, caller: InSession, request: Request) -> relay_models.WebhookOut:
    """Make a webhook, whose secret is in this answer and nowhere else; or change one."""
    peers = peers_of(request)
    wanted = pb.PutWebhookRequest(
        account_id=caller.account_id, webhook_id=given.id or "", url=given.url, types=given.types
    )
    made = await peers.delivery.PutWebhook(wanted, timeout=peers.timeout)
    return relay_models.WebhookOut(webhook=webhook(made.webhook), secret=made.secret or None)


@router.delete("/{id}", status_code=204)
async def delete_webhook(webhook_id: Id, caller: InSession, request: Request) -> None:
    """Delete a webhook, and what it was still to be told."""
    peers = peers_of(request)
    wanted = pb.WebhookRequest(account_id=caller.account_id, webhook_id=require_id(webhook_id))
    await peers.delivery.DeleteWebhook(wanted, timeout=peers.timeout)


@router.post("/{id}/replay")
async def replay_webhook(
    webhook_id: Id, given: relay_models.ReplayIn, caller: InSession, request: Request
) -> relay_models.Replayed:
    """Post the events since a time again, the oldest 10,000 at most; one that was off is switched on."""
    peers = peers_of(request)
    wanted = pb.ReplayWebhookRequest(
        account_id=caller.account_id,
        webhook_id=require_id(webhook_id),
        since=max(0, int(given.since.timestamp())),
        terms=caller.terms,
    )
    found = await peers.delivery.ReplayWebhook(wanted, timeout=_REPLAY_SECONDS)
    return relay_models.Replayed(events=found.events)
