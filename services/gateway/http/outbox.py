"""Mail that its sender has sealed: into a member's inbox, and the sender's own copies and drafts.

What comes here is ciphertext already, and goes to storage as it is: a small body inside of the Append, a large one
staged ahead, piece by piece as the client brings it. The server cannot look inside, and vouches for nothing of it; it
only sees to it that both parts begin as something encrypted to a key does, and marks them with a scheme of their own:
what the envelope of such a mail says of the sender, or of checks of the sender, is the word of whoever wrote it, where
that of other mail is ours. The client makes the id of the message, so that a repetition changes nothing and counts
against no limit again. Where a client breaks off, storage is told, and keeps nothing of it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import Field

from libs.runtime.clock import Clock, unix_seconds
from libs.runtime.errors import (
    ExhaustedError,
    InvalidError,
    NotFoundError,
    SealpostError,
    UnavailableError,
    from_code,
)
from protos.accounts.v1 import accounts_pb2
from protos.crypto.v1 import crypto_pb2
from protos.delivery.v1 import delivery_pb2
from protos.storage.v1 import storage_pb2
from services.gateway import readers
from services.gateway.http import frames, models
from services.gateway.http.accounts import InSession
from services.gateway.http.bodies import BODY_SECONDS
from services.gateway.http.caller import peers_of
from services.gateway.http.openapi import errors
from services.gateway.http.plan_limits import account_of, counted_sends, room_of
from services.gateway.peers import Peers

router = APIRouter(prefix="/v1/outbox", tags=["mail out"])
_INLINE_BYTES = 1024 * 1024
_BLOCK = 256 * 1024
# The part that is inside, its copy in the message, what gRPC has under way.
_HELD_BYTES = 4 * 1024 * 1024
_CLOCK_SECONDS = 600
_PKESK = 1

Envelope = Annotated[models.Bytes, models.sized(1, 32 * 1024)]


class SealedIn(models.In):
    """A copy for one member."""

    to: models.Address
    id: models.Id
    envelope: Envelope


class OwnIn(models.In):
    """A copy for the sender; `replaces` is deleted once this one is stored."""

    id: models.Id
    folder: Literal["sent", "drafts"]
    envelope: Envelope
    replaces: models.Id | None = Field(default=None)


@router.post(
    "/sealed",
    status_code=204,
    responses=errors(404, 409),
    openapi_extra=frames.described(SealedIn, "the mail, sealed to the certificate of `to`"),
)
async def send_sealed(caller: InSession, request: Request) -> None:
    """Store a mail that the caller has sealed in the inbox of a member."""
    peers, clock = peers_of(request), request.app.state.clock
    async with frames.reading(request, _HELD_BYTES) as frame:
        given = frame.header(SealedIn)
        _check(given.id, given.envelope, clock)
        route = await _member(peers, given.to)
        key_id = await _fingerprint(peers, route.account_id)
        reserved = delivery_pb2.ReserveRequest(
            account_id=caller.account_id,
            profile=caller.profile,
            recipients=1,
            # For this mailbox alone: to another one the same id is another mail.
            reservation_id=f"{route.mailbox_id}/{given.id}",
        )
        await peers.delivery.Reserve(reserved, timeout=peers.timeout)
        owner = account_of(route.account_id, route.profile, route.mailbox_id)
        minute = unix_seconds(clock) // 60
        message = storage_pb2.NewMessage(
            mailbox_id=route.mailbox_id,
            message_id=given.id,
            received_minute=minute,
            folder="inbox",
            expires_at=minute * 60 + route.retention_seconds if route.retention_seconds else 0,
            scheme=readers.BY_SENDER,
            key_id=key_id,
            envelope=given.envelope,
            quota_bytes=await room_of(request, owner, route.quota_bytes),
            quota_messages=route.quota_messages,
            keep_newest=route.keep_newest,
        )
        sender = account_of(caller.account_id, caller.profile, caller.mailbox_id)
        try:
            async with counted_sends(request, sender, 1):
                await _store(peers, message, frame.body())
        except ExhaustedError as error:
            # Whose mailbox it is, and how it is full, is not the sender's business.
            raise ExhaustedError("recipient_full") if error.reason.startswith("quota_") else error from error


@router.post(
    "/own",
    status_code=204,
    responses=errors(404, 409),
    openapi_extra=frames.described(OwnIn, "the mail, sealed to the caller's own certificate"),
)
async def keep_own(caller: InSession, request: Request) -> None:
    """Store the caller's own copy of a mail, or a draft, in place of an earlier one."""
    peers, clock = peers_of(request), request.app.state.clock
    async with frames.reading(request, _HELD_BYTES) as frame:
        given = frame.header(OwnIn)
        _check(given.id, given.envelope, clock)
        if given.replaces == given.id:
            raise InvalidError("id")
        account = await peers.accounts.GetAccount(
            accounts_pb2.GetAccountRequest(account_id=caller.account_id), timeout=peers.timeout
        )
        by = account_of(caller.account_id, caller.profile, caller.mailbox_id)
        message = storage_pb2.NewMessage(
            mailbox_id=caller.mailbox_id,
            message_id=given.id,
            received_minute=unix_seconds(clock) // 60,
            folder=given.folder,
            scheme=readers.BY_SENDER,
            key_id=account.fingerprint,
            envelope=given.envelope,
            quota_bytes=await room_of(request, by, account.quota_bytes),
            quota_messages=account.quota_messages,
            flags=["seen"],
        )
        await _store(peers, message, frame.body())
    if given.replaces is not None:
        gone = storage_pb2.DeleteMessagesRequest(mailbox_id=caller.mailbox_id, message_ids=[given.replaces])
        await peers.storage.DeleteMessages(gone, timeout=peers.timeout)


def _check(message_id: str, envelope: bytes, clock: Clock) -> None:
    if abs(int(message_id[:10], 16) - unix_seconds(clock)) > _CLOCK_SECONDS:
        raise InvalidError("id_time")
    _check_sealed(envelope)


def _check_sealed(data: bytes | bytearray) -> None:
    """Raise InvalidError("not_sealed") unless `data` begins with a session key for somebody (RFC 9580, 4.2 and 5.1)."""
    first = data[0] if data else 0
    tag = first & 0x3F if first & 0x40 else first >> 2 & 0x0F
    if not first & 0x80 or tag != _PKESK:
        raise InvalidError("not_sealed")


async def _member(peers: Peers, address: str) -> accounts_pb2.Route:
    resolved = await peers.accounts.Resolve(accounts_pb2.ResolveRequest(addresses=[address]), timeout=peers.timeout)
    route = resolved.routes[0]
    if route.status == accounts_pb2.Route.STATUS_SUSPENDED:
        raise UnavailableError("recipient_suspended")
    if route.status != accounts_pb2.Route.STATUS_OK or not route.account_id:
        raise NotFoundError("recipient_unknown")
    return route


async def _fingerprint(peers: Peers, account_id: str) -> str:
    try:
        wanted = crypto_pb2.GetCertificateRequest(account_id=account_id)
        return (await peers.crypto.GetCertificate(wanted, timeout=peers.timeout)).fingerprint
    except NotFoundError:
        raise NotFoundError("recipient_unknown") from None


async def _store(peers: Peers, message: storage_pb2.NewMessage, body: AsyncIterator[bytes]) -> None:
    """Store `message` with this body; its size is that of the sealed body, for nothing else can be known here."""
    begun, whole = await _begin(body)
    _check_sealed(begun)
    if whole:
        message.body, message.size = bytes(begun), len(begun)
    else:
        failure: list[Exception] = []
        blocks = _blocks(message, begun, body, failure)
        try:
            staged = await peers.storage.Stage(blocks, timeout=BODY_SECONDS)
        except SealpostError:
            if not failure:
                raise
        if failure:
            raise failure[0]
        message.body_staged, message.size = True, staged.size
    deliveries = [storage_pb2.Delivery(delivery_id=message.message_id, messages=[message])]
    (result,) = (
        await peers.storage.Append(storage_pb2.AppendRequest(deliveries=deliveries), timeout=peers.timeout)
    ).results
    if result.WhichOneof("result") != "appended":
        raise from_code(result.failure.code, result.failure.reason)


async def _begin(body: AsyncIterator[bytes]) -> tuple[bytearray, bool]:
    """Return the beginning of `body`, and whether that is all of it."""
    begun = bytearray()
    async for piece in body:
        begun += piece
        if len(begun) > _INLINE_BYTES:
            return begun, False
    return begun, True


async def _blocks(
    message: storage_pb2.NewMessage, begun: bytearray, rest: AsyncIterator[bytes], failure: list[Exception]
) -> AsyncIterator[storage_pb2.StageBlock]:
    """Yield the body in blocks. Where the client fails storage is told: what was staged goes."""
    first = True
    try:
        while begun:
            block = bytes(begun[:_BLOCK])
            del begun[:_BLOCK]
            yield storage_pb2.StageBlock(
                mailbox_id=message.mailbox_id if first else "",
                message_id=message.message_id if first else "",
                data=block,
            )
            first = False
            while len(begun) < _BLOCK and (piece := await anext(rest, b"")):
                begun += piece
    except Exception as error:  # gRPC would tell a log of its own, and the caller nothing
        failure.append(error)
        yield storage_pb2.StageBlock(abandoned=True)
