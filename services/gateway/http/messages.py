"""A member's mailbox: everything that comes through here stays sealed."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response

from libs.runtime.errors import InvalidError
from libs.runtime.ids import is_id
from protos.accounts.v1 import accounts_pb2
from protos.storage.v1 import storage_pb2
from services.gateway import readers
from services.gateway.http import models, translate
from services.gateway.http.bodies import Bodies, SealedBody
from services.gateway.http.caller import Caller, peers_of, scoped_caller
from services.gateway.http.openapi import binary, errors
from services.gateway.http.plan_limits import account_of, shown_room
from services.gateway.peers import Peers

router = APIRouter(prefix="/v1", tags=["mailbox"])
Reader = Annotated[Caller, Depends(scoped_caller("mail:read"))]
Writer = Annotated[Caller, Depends(scoped_caller("mail:write"))]
Limit = Annotated[int, Query(ge=1, le=200)]
Cursor = Annotated[str, Query(max_length=200)]
_SEALED = binary("application/octet-stream", "The sealed body.")


def require_id(text: str) -> str:
    """Return `text` if it has the form of an id; InvalidError("id") otherwise."""
    if not is_id(text):
        raise InvalidError("id")
    return text


@router.get("/mailbox", responses=errors(404))
async def get_mailbox(caller: Reader, request: Request) -> models.Mailbox:
    """Return what is used of the quota, and the folders."""
    peers = peers_of(request)
    wanted = storage_pb2.GetMailboxRequest(mailbox_id=caller.mailbox_id)
    mailbox = await peers.storage.GetMailbox(wanted, timeout=peers.timeout)
    account = await peers.accounts.GetAccount(
        accounts_pb2.GetAccountRequest(account_id=caller.account_id), timeout=peers.timeout
    )
    who = account_of(caller.account_id, caller.profile, caller.mailbox_id)
    return models.Mailbox(
        used_bytes=mailbox.used_bytes,
        used_messages=mailbox.used_messages,
        quota_bytes=await shown_room(request, who, account.quota_bytes),
        quota_messages=account.quota_messages,
        folders=[translate.folder(folder) for folder in mailbox.folders],
    )


@router.post("/folders", status_code=201, responses=errors(409))
async def create_folder(given: models.FolderIn, caller: Writer, request: Request) -> models.Folder:
    """Make a folder; its name is sealed by the client."""
    return await _put_folder(peers_of(request), caller, "", given)


@router.put("/folders/{folder_id}")
async def rename_folder(folder_id: str, given: models.FolderIn, caller: Writer, request: Request) -> models.Folder:
    """Give a folder another sealed name."""
    return await _put_folder(peers_of(request), caller, require_id(folder_id), given)


async def _put_folder(peers: Peers, caller: Caller, folder_id: str, given: models.FolderIn) -> models.Folder:
    wanted = storage_pb2.PutFolderRequest(
        mailbox_id=caller.mailbox_id, folder_id=folder_id, sealed_name=given.sealed_name
    )
    return translate.folder(await peers.storage.PutFolder(wanted, timeout=peers.timeout))


@router.delete("/folders/{folder_id}", status_code=204)
async def delete_folder(folder_id: str, caller: Writer, request: Request) -> None:
    """Remove a folder; its messages move to the inbox."""
    peers = peers_of(request)
    gone = storage_pb2.DeleteFolderRequest(mailbox_id=caller.mailbox_id, folder_id=require_id(folder_id))
    await peers.storage.DeleteFolder(gone, timeout=peers.timeout)


@router.get("/messages")
async def list_messages(
    caller: Reader, request: Request, folder: models.FolderId | None = None, cursor: Cursor = "", limit: Limit = 50
) -> models.MessagesOut:
    """Return a page of messages, newest first."""
    peers = peers_of(request)
    wanted = storage_pb2.ListRequest(mailbox_id=caller.mailbox_id, folder=folder or "", limit=limit, cursor=cursor)
    page = await peers.storage.List(wanted, timeout=peers.timeout)
    return models.MessagesOut(
        messages=[translate.message(entry) for entry in page.messages], next_cursor=page.next_cursor or None
    )


async def find_message(peers: Peers, mailbox_id: str, message_id: str) -> storage_pb2.Message:
    """Return one message of the mailbox; NotFoundError if it is not there."""
    wanted = storage_pb2.GetMessageRequest(mailbox_id=mailbox_id, message_id=require_id(message_id))
    return await peers.storage.GetMessage(wanted, timeout=peers.timeout)


@router.get("/messages/{message_id}")
async def get_message(message_id: str, caller: Reader, request: Request) -> models.Message:
    """Return one message without its body."""
    return translate.message(await find_message(peers_of(request), caller.mailbox_id, message_id))


@router.get("/messages/{message_id}/body", response_class=Response, responses=_SEALED)
async def get_body(message_id: str, caller: Reader, request: Request) -> SealedBody:
    """Stream the sealed body."""
    bodies: Bodies = request.app.state.bodies
    return SealedBody(bodies, caller.mailbox_id, require_id(message_id))


@router.get("/messages/{message_id}/readers")
async def get_readers(message_id: str, caller: Reader, request: Request) -> models.ReadersOut:
    """Say who can read this message."""
    message = await find_message(peers_of(request), caller.mailbox_id, message_id)
    return translate.readers(readers.of_member(message))


@router.post("/messages/update", responses=errors(404))
async def update_messages(given: models.UpdateIn, caller: Writer, request: Request) -> models.NotFoundOut:
    """Set and clear flags, move."""
    peers = peers_of(request)
    answer = await peers.storage.UpdateMessages(
        storage_pb2.UpdateMessagesRequest(
            mailbox_id=caller.mailbox_id,
            message_ids=given.ids,
            add_flags=given.add_flags,
            remove_flags=given.remove_flags,
            move_to=given.move_to or "",
        ),
        timeout=peers.timeout,
    )
    return models.NotFoundOut(not_found=list(answer.not_found))


@router.post("/messages/delete")
async def delete_messages(given: models.DeleteIn, caller: Writer, request: Request) -> models.NotFoundOut:
    """Delete for good."""
    peers = peers_of(request)
    gone = storage_pb2.DeleteMessagesRequest(mailbox_id=caller.mailbox_id, message_ids=given.ids)
    answer = await peers.storage.DeleteMessages(gone, timeout=peers.timeout)
    return models.NotFoundOut(not_found=list(answer.not_found))
