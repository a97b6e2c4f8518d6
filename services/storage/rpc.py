"""The gRPC face of storage: decode, let the domain do it, encode."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

import grpc

from libs.runtime.errors import InvalidError, SealpostError
from libs.telemetry import metrics
from protos.common.v1.common_pb2 import Failure
from protos.storage.v1 import storage_pb2 as pb
from protos.storage.v1.storage_pb2_grpc import StorageServicer
from services.storage import domain
from services.storage.append import Appender
from services.storage.bodies import Bodies
from services.storage.domain import INBOX, STAGE_SECONDS, Change, Delivery, NewMessage
from services.storage.erased import ErasedMailboxes
from services.storage.folders import Folders
from services.storage.limits import limited
from services.storage.mailboxes import Mailboxes
from services.storage.objects import Objects
from services.storage.repository import message_key

SERVICE = "sealpost.storage.v1.Storage"
# Who may call what (RpcServer.restrict): ingest and delivery only add; the gateway adds what members seal themselves,
# and does everything else.
CALLERS = {
    "Append": ("ingest", "delivery", "gateway"),
    "Stage": ("ingest", "delivery", "gateway"),
    "List": ("gateway",),
    "GetMessage": ("gateway",),
    "GetBody": ("gateway",),
    "UpdateMessages": ("gateway",),
    "DeleteMessages": ("gateway",),
    "GetMailbox": ("gateway", "billing"),
    "CountHeld": ("billing",),
    "PutFolder": ("gateway",),
    "DeleteFolder": ("gateway",),
    "GetObject": ("gateway",),
    "PutObject": ("gateway",),
    "DeleteObject": ("gateway",),
}
MAX_DELIVERIES = 1000
MAX_COUNTED = 100

_APPENDED = metrics.counter(
    "sealpost_storage_deliveries_total",
    "Deliveries asked for, by outcome.",
    {"outcome": ("stored", "invalid", "exhausted", "conflict", "unavailable", "internal")},
)
_SECONDS = metrics.histogram("sealpost_storage_append_seconds", "Time to store one batch of deliveries.")

_Context = grpc.aio.ServicerContext[object, object]


@dataclass(frozen=True)
class Parts:
    """What the RPCs are served from."""

    appender: Appender
    bodies: Bodies
    mailboxes: Mailboxes
    folders: Folders
    objects: Objects
    erased: ErasedMailboxes


class StorageRpc(StorageServicer):
    """Serves sealpost.storage.v1.Storage."""

    def __init__(self, parts: Parts, staging_streams: int) -> None:
        """Serve `parts`; more than `staging_streams` bodies at once wait, unread, for their turn."""
        self._appender = parts.appender
        self._bodies = parts.bodies
        self._mailboxes = parts.mailboxes
        self._folders = parts.folders
        self._objects = parts.objects
        self._erased = parts.erased
        self._staging = asyncio.Semaphore(staging_streams)

    async def Append(self, request: pb.AppendRequest, context: _Context) -> pb.AppendResponse:
        """Store a batch of deliveries, at most 1,000; each has its own result, in order."""
        if len(request.deliveries) > MAX_DELIVERIES:
            raise InvalidError("deliveries")
        with _SECONDS.time():
            errors = await self._appender.append([_delivery(delivery) for delivery in request.deliveries])
        for error in errors:
            _APPENDED.inc(outcome="stored" if error is None else error.code)
        return pb.AppendResponse(results=[_append_result(error) for error in errors])

    async def Stage(self, request_iterator: AsyncIterator[pb.StageBlock], context: _Context) -> pb.StageResponse:
        """Write a body ahead of its message."""
        async with limited(STAGE_SECONDS), self._staging:
            blocks = aiter(request_iterator)
            first = await anext(blocks, pb.StageBlock())
            domain.check_message_id(first.mailbox_id, first.message_id)
            await self._erased.check(first.mailbox_id)
            key = message_key(first.mailbox_id, first.message_id)
            return pb.StageResponse(size=await self._bodies.stage(key, _data(first, blocks)))

    async def List(self, request: pb.ListRequest, context: _Context) -> pb.ListResponse:
        """Return a page of a mailbox or a folder, newest first."""
        page = await self._mailboxes.list_messages(request.mailbox_id, request.folder, request.limit, request.cursor)
        return pb.ListResponse(messages=map(_message, page.messages), next_cursor=page.next_cursor)

    async def GetMessage(self, request: pb.GetMessageRequest, context: _Context) -> pb.Message:
        """Return one message."""
        return _message(await self._mailboxes.get(request.mailbox_id, request.message_id))

    async def GetBody(self, request: pb.GetMessageRequest, context: _Context) -> AsyncIterator[pb.BodyBlock]:
        """Return one message, then its body."""
        message, blocks = await self._mailboxes.read(request.mailbox_id, request.message_id)
        yield pb.BodyBlock(message=_message(message))
        async for block in blocks:
            yield pb.BodyBlock(data=block)

    async def UpdateMessages(self, request: pb.UpdateMessagesRequest, context: _Context) -> pb.UpdateMessagesResponse:
        """Set flags and move."""
        change = Change(domain.flag_bits(request.add_flags), domain.flag_bits(request.remove_flags), request.move_to)
        missing = await self._mailboxes.update(request.mailbox_id, request.message_ids, change)
        return pb.UpdateMessagesResponse(not_found=missing)

    async def DeleteMessages(self, request: pb.DeleteMessagesRequest, context: _Context) -> pb.DeleteMessagesResponse:
        """Delete for good."""
        missing = await self._mailboxes.delete(request.mailbox_id, request.message_ids)
        return pb.DeleteMessagesResponse(not_found=missing)

    async def GetMailbox(self, request: pb.GetMailboxRequest, context: _Context) -> pb.Mailbox:
        """Return counters and folders."""
        mailbox = await self._mailboxes.describe(request.mailbox_id)
        return pb.Mailbox(
            used_bytes=mailbox.used_bytes,
            used_messages=mailbox.used_messages,
            folders=map(_folder, mailbox.folders),
        )

    async def CountHeld(self, request: pb.CountHeldRequest, context: _Context) -> pb.CountHeldResponse:
        """Return how many mails of a day mailboxes hold."""
        if len(request.mailbox_ids) > MAX_COUNTED:
            raise InvalidError("too_many_mailboxes")
        held = {one: await self._mailboxes.held(one, request.day) for one in request.mailbox_ids}
        return pb.CountHeldResponse(held=held)

    async def PutFolder(self, request: pb.PutFolderRequest, context: _Context) -> pb.Folder:
        """Make or rename a folder."""
        folder_id = await self._folders.put(request.mailbox_id, request.folder_id, request.sealed_name)
        mailbox = await self._mailboxes.describe(request.mailbox_id)
        found = next((folder for folder in mailbox.folders if folder.folder_id == folder_id), None)
        return _folder(found or domain.Folder(folder_id, request.sealed_name, 0, 0))

    async def DeleteFolder(self, request: pb.DeleteFolderRequest, context: _Context) -> pb.DeleteFolderResponse:
        """Delete a folder; its messages move to the inbox."""
        return pb.DeleteFolderResponse(moved=await self._folders.delete(request.mailbox_id, request.folder_id))

    async def GetObject(self, request: pb.GetObjectRequest, context: _Context) -> pb.Object:
        """Return an object of a mailbox's owner."""
        return _object(await self._objects.get(request.mailbox_id, request.name, request.terms))

    async def PutObject(self, request: pb.PutObjectRequest, context: _Context) -> pb.Object:
        """Replace it; the answer has the new version, and not the content once more."""
        given = domain.Object(request.sealed, request.version)
        put = await self._objects.put(request.mailbox_id, request.name, given, request.terms)
        return pb.Object(version=put.version)

    async def DeleteObject(self, request: pb.DeleteObjectRequest, context: _Context) -> pb.DeleteObjectResponse:
        """Delete it."""
        await self._objects.delete(request.mailbox_id, request.name)
        return pb.DeleteObjectResponse()


async def _data(first: pb.StageBlock, blocks: AsyncIterator[pb.StageBlock]) -> AsyncIterator[bytes]:
    yield _whole(first).data
    async for block in blocks:
        yield _whole(block).data


def _whole(block: pb.StageBlock) -> pb.StageBlock:
    if block.abandoned:
        raise InvalidError("body_abandoned")
    return block


def _delivery(delivery: pb.Delivery) -> Delivery:
    return Delivery(delivery.delivery_id, tuple([_new_message(message) for message in delivery.messages]))


def _new_message(message: pb.NewMessage) -> NewMessage:
    return NewMessage(
        mailbox_id=message.mailbox_id,
        message_id=message.message_id,
        received_minute=message.received_minute,
        size=message.size,
        scheme=message.scheme,
        envelope=message.envelope,
        body=message.body,
        body_staged=message.body_staged,
        folder=message.folder or INBOX,
        expires_at=message.expires_at,
        key_id=message.key_id,
        quota_bytes=message.quota_bytes,
        quota_messages=message.quota_messages,
        keep_newest=message.keep_newest,
        flags=_flags(message.flags),
    )


def _flags(names: Iterable[str]) -> int:
    """Return the bits, or what the check of the delivery refuses: one that is wrong must not fail the others."""
    try:
        return domain.flag_bits(names)
    except InvalidError:
        return -1


def _append_result(error: SealpostError | None) -> pb.AppendResult:
    if error is None:
        return pb.AppendResult(appended=pb.Appended())
    return pb.AppendResult(failure=Failure(code=error.code, reason=error.reason))


def _message(message: domain.Message) -> pb.Message:
    return pb.Message(
        mailbox_id=message.mailbox_id,
        message_id=message.message_id,
        received_minute=message.received_minute,
        size=message.size,
        folder=message.folder,
        flags=message.flags,
        expires_at=message.expires_at,
        scheme=message.scheme,
        key_id=message.key_id,
        envelope=message.envelope,
        body_size=message.body_size,
    )


def _folder(folder: domain.Folder) -> pb.Folder:
    return pb.Folder(
        folder_id=folder.folder_id, sealed_name=folder.sealed_name, messages=folder.messages, unseen=folder.unseen
    )


def _object(found: domain.Object) -> pb.Object:
    return pb.Object(sealed=found.sealed, version=found.version)
