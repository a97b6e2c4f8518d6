"""Public inboxes: no registration, visible to everybody, and every answer says so."""

from __future__ import annotations

import json

from fastapi import APIRouter, Request
from fastapi.responses import Response

from libs.runtime.errors import NotFoundError, from_code
from protos.accounts.v1 import accounts_pb2
from protos.common.v1 import common_pb2
from protos.crypto.v1 import crypto_pb2
from protos.storage.v1 import storage_pb2
from services.gateway import readers
from services.gateway.http import models, translate
from services.gateway.http.caller import peers_of
from services.gateway.http.messages import Cursor, Limit, body_blocks, find_message
from services.gateway.peers import Peers

router = APIRouter(prefix="/v1/public/{address}", tags=["public"])
NOTICE = (
    "This inbox is public: everybody who knows or guesses the address can read and delete what arrives here. "
    "Do not use it for anything private."
)


async def public_route(peers: Peers, address: str) -> accounts_pb2.Route:
    """Return where the public inbox `address` is; NotFoundError("not_public") for any other address."""
    answer = await peers.accounts.Resolve(accounts_pb2.ResolveRequest(addresses=[address]), timeout=peers.timeout)
    route = answer.routes[0]
    if route.status != accounts_pb2.Route.STATUS_OK or route.profile != common_pb2.PROFILE_PUBLIC:
        raise NotFoundError("not_public")
    return route


@router.get("/messages")
async def list_public(
    address: str, request: Request, cursor: Cursor = "", limit: Limit = 50
) -> models.PublicMessagesOut:
    """Return a page of a public inbox, newest first."""
    peers = peers_of(request)
    route = await public_route(peers, address)
    wanted = storage_pb2.ListRequest(mailbox_id=route.mailbox_id, limit=limit, cursor=cursor)
    page = await peers.storage.List(wanted, timeout=peers.timeout)
    opened = await _open_envelopes(peers, list(page.messages))
    return models.PublicMessagesOut(
        notice=NOTICE,
        address=address,
        messages=[translate.public_message(entry, envelope) for entry, envelope in opened],
        next_cursor=page.next_cursor or None,
    )


async def _open_envelopes(
    peers: Peers, messages: list[storage_pb2.Message]
) -> list[tuple[storage_pb2.Message, dict[str, object]]]:
    if not messages:
        return []
    items = [
        crypto_pb2.OpenItem(
            key_id=entry.key_id,
            message_id=entry.message_id,
            field=crypto_pb2.SEALED_FIELD_ENVELOPE,
            ciphertext=entry.envelope,
        )
        for entry in messages
    ]
    answer = await peers.crypto.Open(crypto_pb2.OpenRequest(items=items), timeout=peers.timeout)
    # A mail whose key is destroyed has expired, whatever is still stored of it.
    return [
        (entry, json.loads(result.plaintext))
        for entry, result in zip(messages, answer.results, strict=True)
        if result.WhichOneof("result") == "plaintext"
    ]


@router.get("/messages/{message_id}")
async def get_public(address: str, message_id: str, request: Request) -> models.PublicMessage:
    """Return one message of a public inbox without its body."""
    peers = peers_of(request)
    route = await public_route(peers, address)
    message = await find_message(peers, route.mailbox_id, message_id)
    opened = await _open_envelopes(peers, [message])
    if not opened:
        raise NotFoundError("message")
    return translate.public_message(*opened[0])


@router.get("/messages/{message_id}/raw", response_class=Response)
async def get_raw(address: str, message_id: str, request: Request) -> Response:
    """Return the mail as it arrived; never as something that a browser would show."""
    peers = peers_of(request)
    route = await public_route(peers, address)
    message = await find_message(peers, route.mailbox_id, message_id)
    async with request.app.state.big_bodies:
        sealed = bytearray()
        async for block in body_blocks(peers, route.mailbox_id, message.message_id):
            sealed += block
        item = crypto_pb2.OpenItem(
            key_id=message.key_id,
            message_id=message.message_id,
            field=crypto_pb2.SEALED_FIELD_BODY,
            ciphertext=bytes(sealed),
        )
        del sealed
        answer = await peers.crypto.Open(crypto_pb2.OpenRequest(items=[item]), timeout=peers.timeout)
    result = answer.results[0]
    if result.WhichOneof("result") != "plaintext":
        raise from_code(result.failure.code, result.failure.reason)
    return Response(
        result.plaintext,
        media_type="application/octet-stream",
        headers={"Content-Disposition": f'attachment; filename="{message.message_id}.eml"'},
    )


@router.get("/messages/{message_id}/readers")
async def get_public_readers(address: str, message_id: str, request: Request) -> models.ReadersOut:
    """Say who can read this message: everybody."""
    peers = peers_of(request)
    route = await public_route(peers, address)
    message = await find_message(peers, route.mailbox_id, message_id)
    return translate.readers(readers.of_public(message))


@router.delete("/messages/{message_id}", status_code=204)
async def delete_public(address: str, message_id: str, request: Request) -> None:
    """Delete one message; anybody may, as anybody may read."""
    peers = peers_of(request)
    route = await public_route(peers, address)
    message = await find_message(peers, route.mailbox_id, message_id)
    gone = storage_pb2.DeleteMessagesRequest(mailbox_id=route.mailbox_id, message_ids=[message.message_id])
    await peers.storage.DeleteMessages(gone, timeout=peers.timeout)
