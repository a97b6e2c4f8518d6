"""What an owner keeps beside mail, sealed by his client: contacts and settings."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from libs.runtime.errors import NotFoundError
from protos.storage.v1 import storage_pb2
from services.gateway.http import models
from services.gateway.http.accounts import InSession
from services.gateway.http.caller import peers_of
from services.gateway.http.openapi import errors

router = APIRouter(prefix="/v1/objects", tags=["mailbox"])
_NAMES = frozenset({"contacts", "settings"})


class ObjectIn(models.In):
    """A new content, and the version that it replaces; 0 where there is none yet."""

    sealed: Annotated[models.Bytes, models.sized(1, 256 * 1024)]
    version: Annotated[int, Field(ge=0, le=2**53)]


class ObjectOut(BaseModel):
    """Empty and of version 0 where there is none yet."""

    sealed: models.Bytes
    version: int


class VersionOut(BaseModel):
    """What to name at the next change."""

    version: int


@router.get("/{name}")
async def get_object(name: str, caller: InSession, request: Request) -> ObjectOut:
    """Return an object of the caller's."""
    peers = peers_of(request)
    wanted = storage_pb2.GetObjectRequest(mailbox_id=caller.mailbox_id, name=_known(name), terms=caller.terms)
    found = await peers.storage.GetObject(wanted, timeout=peers.timeout)
    return ObjectOut(sealed=found.sealed, version=found.version)


@router.put("/{name}", responses=errors(409))
async def put_object(name: str, given: ObjectIn, caller: InSession, request: Request) -> VersionOut:
    """Replace it; 409 `version` where somebody else has done so meanwhile."""
    peers = peers_of(request)
    put = await peers.storage.PutObject(
        storage_pb2.PutObjectRequest(
            mailbox_id=caller.mailbox_id,
            name=_known(name),
            sealed=given.sealed,
            version=given.version,
            terms=caller.terms,
        ),
        timeout=peers.timeout,
    )
    return VersionOut(version=put.version)


def _known(name: str) -> str:
    if name not in _NAMES:
        raise NotFoundError("no_such_path")
    return name
