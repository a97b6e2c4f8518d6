"""Sending by program: a mail in parts, a whole mail, or a frame; what became of it; what of it has to stop.

A mail is whole in memory here, for delivery takes it as one message; how many are at once is bounded by their sizes
(frames.admitted).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Header, Path, Query, Request

from libs.runtime.errors import InvalidError, from_code
from libs.runtime.ids import new_id
from protos.delivery.v1 import delivery_pb2 as pb
from services.gateway.http import frames, relay_models
from services.gateway.http.caller import Caller, peers_of, scoped_caller
from services.gateway.http.messages import require_id
from services.gateway.http.openapi import errors
from services.gateway.http.plan_limits import account_of, counted_sends
from services.gateway.http.relay_mail import Composed, compose, envelope_of, with_crlf
from services.gateway.http.relay_translate import event, sending, submission
from services.gateway.settings import Settings

router = APIRouter(prefix="/v1", tags=["sending"])
Sender = Annotated[Caller, Depends(scoped_caller("mail:send"))]
Limit = Annotated[int, Query(ge=1, le=200)]
Cursor = Annotated[str, Query(max_length=400)]
Id = Annotated[str, Path(alias="id")]
IdempotencyKey = Annotated[
    str,
    Header(
        alias="Idempotency-Key",
        max_length=200,
        description="Repeated within a day with the same key, a mail is taken once.",
    ),
]
T = TypeVar("T")

_JSON = "application/json"
_MAIL = "message/rfc822"
# The request, what is decoded of it, the mail, the message to delivery and gRPC's copy.
_COPIES = 5
_SMALLEST = 64 * 1024
_INLINE_BYTES = 256 * 1024
_SUBMIT_SECONDS = 60.0
# delivery says in a batch that it is too much, and not until when.
_RETRY_AFTER = {"recipients_per_minute": 60.0, "recipients_per_day": 3600.0}


def _described() -> dict[str, Any]:
    parts = relay_models.SendIn.model_json_schema()
    # Nested here and not referred to: the framework knows no schema that it does not read itself.
    parts["properties"]["attachments"]["items"] = parts.pop("$defs")["Attachment"]
    described = frames.described(relay_models.SendFrame, "a whole mail (RFC 5322)")
    described["requestBody"]["content"] |= {_JSON: {"schema": parts}, _MAIL: {"schema": {}}}
    return described


@router.post("/send", status_code=202, responses=errors(409), openapi_extra=_described())
async def send_mail(caller: Sender, request: Request, idempotency_key: IdempotencyKey = "") -> relay_models.Sent:
    """Send a mail.

    In parts (JSON), whole (`message/rfc822`, to whom To, Cc and Bcc say; Bcc is taken out), or whole with an envelope
    of its own (a frame). It is durable when this answers.
    """
    if not (idempotency_key.isascii() and idempotency_key.isprintable()):
        raise InvalidError("idempotency_key")
    async with _reading(request) as (composed, options):
        item = pb.SubmitItem(
            submission_id=new_id(),
            account_id=caller.account_id,
            profile=caller.profile,
            mail_from=composed.mail_from,
            recipients=composed.recipients,
            content=composed.content,
            send_at=int(options.send_at.timestamp()) if options.send_at is not None else 0,
            idempotency_key=idempotency_key,
            campaign=options.campaign or "",
            one_click_unsubscribe=options.one_click_unsubscribe,
            smtputf8=composed.smtputf8,
            terms=caller.terms,
        )
        sender = account_of(caller.account_id, caller.profile, caller.mailbox_id)
        async with counted_sends(request, sender, len(composed.recipients)) as sends:
            submitted = await _submit(request, item)
            # By its idempotency key it is a mail that was taken before.
            sends.repeated = submitted.submission_id != item.submission_id
    return relay_models.Sent(id=submitted.submission_id, message_id=submitted.message_id)


@router.get("/send/events")
async def list_delivery_events(
    caller: Sender, request: Request, limit: Limit = 50, cursor: Cursor = ""
) -> relay_models.DeliveryEvents:
    """Return what happened to recipients in the last 30 days, newest first."""
    peers = peers_of(request)
    wanted = pb.ListEventsRequest(account_id=caller.account_id, limit=limit, cursor=cursor)
    found = await peers.delivery.ListEvents(wanted, timeout=peers.timeout)
    return relay_models.DeliveryEvents(
        events=[event(one) for one in found.events], next_cursor=found.next_cursor or None
    )


@router.get("/send/{id}")
async def get_submission(submission_id: Id, caller: Sender, request: Request) -> relay_models.Submission:
    """Return a mail that was sent, and how it stands with each recipient."""
    peers = peers_of(request)
    wanted = pb.GetSubmissionRequest(account_id=caller.account_id, submission_id=require_id(submission_id))
    return submission(await peers.delivery.GetSubmission(wanted, timeout=peers.timeout))


@router.delete("/send/{id}")
async def cancel_submission(submission_id: Id, caller: Sender, request: Request) -> relay_models.Submission:
    """Cancel what of a mail is not sent yet."""
    peers = peers_of(request)
    wanted = pb.GetSubmissionRequest(account_id=caller.account_id, submission_id=require_id(submission_id))
    return submission(await peers.delivery.CancelSubmission(wanted, timeout=peers.timeout))


@router.get("/sending")
async def get_sending(caller: Sender, request: Request) -> relay_models.Sending:
    """Return how much may be sent today, and how it stands with what was sent."""
    peers = peers_of(request)
    wanted = pb.GetSendingRequest(account_id=caller.account_id)
    return sending(await peers.delivery.GetSending(wanted, timeout=peers.timeout))


@router.post("/campaigns/{campaign}/stop")
async def stop_campaign(campaign: str, caller: Sender, request: Request) -> relay_models.Stopped:
    """Stop everything of a campaign that is not sent yet, and refuse what is sent for it later."""
    peers = peers_of(request)
    wanted = pb.StopCampaignRequest(account_id=caller.account_id, campaign=campaign, terms=caller.terms)
    stopped = await peers.delivery.StopCampaign(wanted, timeout=_SUBMIT_SECONDS)
    return relay_models.Stopped(stopped=stopped.stopped)


@asynccontextmanager
async def _reading(request: Request) -> AsyncIterator[tuple[Composed, relay_models.Options]]:
    """Give the mail that `request` carries; its memory is held for the block."""
    kind, weight = frames.media_type_of(request), _COPIES * _size_of(request)
    if kind == frames.MEDIA_TYPE:
        async with frames.reading(request, weight) as frame:
            header = frame.header(relay_models.SendFrame)
            content = with_crlf(b"".join([piece async for piece in frame.body()]))
            wide = not all(address.isascii() for address in (header.from_, *header.recipients))
            yield Composed(header.from_, header.recipients, content, wide), header
    elif kind in (_JSON, _MAIL):
        async with frames.admitted(request, weight):
            data = b"".join([piece async for piece in frames.pieces(request)])
            yield await _aside(len(data), partial(_parts if kind == _JSON else _whole, data))
    else:
        raise InvalidError("media_type")


def _parts(data: bytes) -> tuple[Composed, relay_models.Options]:
    given = frames.validated(relay_models.SendIn, data)
    return compose(given), given


def _whole(data: bytes) -> tuple[Composed, relay_models.Options]:
    return envelope_of(data), relay_models.Options()


async def _aside(size: int, work: Callable[[], T]) -> T:
    """Return what `work` does, in a thread where it would keep others waiting."""
    return work() if size <= _INLINE_BYTES else await asyncio.to_thread(work)


def _size_of(request: Request) -> int:
    """Return the bytes that the request may bring: what it declares, the most where it does not."""
    settings: Settings = request.app.state.settings
    declared = request.headers.get("content-length", "")
    # The guard has looked at what is declared.
    return max(_SMALLEST, int(declared) if declared.isdecimal() else settings.max_upload_bytes)


async def _submit(request: Request, item: pb.SubmitItem) -> pb.Submitted:
    peers = peers_of(request)
    response = await peers.delivery.Submit(pb.SubmitRequest(items=[item]), timeout=_SUBMIT_SECONDS)
    result = response.results[0]
    if result.HasField("submitted"):
        return result.submitted
    error = from_code(result.failure.code, result.failure.reason)
    error.retry_after = _RETRY_AFTER.get(error.reason)
    raise error
