"""The wire of data owners: decode, ask the owner, encode. The same servicer for every service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection

import grpc

from libs.owner.model import Item, Subject, Wanted
from libs.owner.owner import Owner
from libs.owner.terms import StoredTerms
from libs.policy.terms import Version
from libs.rpc.server import RpcServer
from libs.runtime.errors import InvalidError
from libs.runtime.ids import is_id
from protos.owner.v1 import owner_pb2 as pb
from protos.owner.v1.owner_pb2_grpc import DataOwnerServicer, add_DataOwnerServicer_to_server

SERVICE = "sealpost.owner.v1.DataOwner"
_RETENTION = frozenset({"retention"})
CALLERS = {
    "Inventory": _RETENTION,
    "Sweep": _RETENTION,
    # The gateway hands people what is theirs.
    "Export": _RETENTION | {"gateway"},
    "Erase": _RETENTION,
    "Traces": _RETENTION,
    "PutTerms": _RETENTION,
}

_Context = grpc.aio.ServicerContext[object, object]


def serve_owner(server: RpcServer, owner: Owner, terms: StoredTerms | None, callers: Collection[str]) -> None:
    """Add the servicer to `server`, whose list of callers is `callers`; `terms` is None where no number is used."""
    server.add(add_DataOwnerServicer_to_server, OwnerRpc(owner, terms), SERVICE)
    for method, allowed in CALLERS.items():
        server.restrict(f"/{SERVICE}/{method}", allowed & set(callers))


class OwnerRpc(DataOwnerServicer):
    """Implements sealpost.owner.v1.DataOwner."""

    def __init__(self, owner: Owner, terms: StoredTerms | None) -> None:
        """Serve `owner`."""
        self._owner = owner
        self._terms = terms

    async def Inventory(self, request: pb.InventoryRequest, context: _Context) -> pb.InventoryResponse:
        """See owner.proto."""
        held = [
            pb.Held(
                data_class=name,
                count=one.count,
                at_least=one.at_least,
                first_due=one.first_due,
                erasing=one.erasing,
            )
            for name, one in (await self._owner.inventory()).items()
        ]
        return pb.InventoryResponse(held=held)

    async def Sweep(self, request: pb.SweepRequest, context: _Context) -> pb.SweepResponse:
        """See owner.proto."""
        swept = await self._owner.sweep(request.data_class, request.until, request.limit)
        return pb.SweepResponse(deleted=swept.deleted, more=swept.more)

    async def Export(self, request: pb.ExportRequest, context: _Context) -> AsyncIterator[pb.ExportPart]:
        """See owner.proto."""
        wanted = Wanted(request.since, request.until, request.disclosure)
        async for name, item in self._owner.export(_subject(request.subject), set(request.data_classes), wanted):
            async for part in _parts(name, item):
                yield part

    async def Erase(self, request: pb.EraseRequest, context: _Context) -> pb.EraseResponse:
        """See owner.proto."""
        done = await self._owner.erase(_subject(request.subject), request.limit)
        erased = [
            pb.Erased(
                data_class=name,
                count=one.deleted,
                keys=one.keys,
                kept=one.kept,
                kept_until_day=one.kept_until_day,
            )
            for name, one in done.classes.items()
        ]
        return pb.EraseResponse(erased=erased, more=done.more)

    async def Traces(self, request: pb.TracesRequest, context: _Context) -> pb.TracesResponse:
        """See owner.proto."""
        traces = await self._owner.traces(tuple(request.needles))
        return pb.TracesResponse(found=traces.found, searched_bytes=traces.searched_bytes)

    async def PutTerms(self, request: pb.PutTermsRequest, context: _Context) -> pb.PutTermsResponse:
        """See owner.proto."""
        if self._terms is not None:
            await self._terms.put(Version(one.version, dict(one.rules), one.active) for one in request.terms)
        return pb.PutTermsResponse()


def _subject(given: pb.Subject) -> Subject:
    if not is_id(given.account_id) or (given.mailbox_id and not is_id(given.mailbox_id)):
        raise InvalidError("account_id")
    return Subject(given.account_id, given.mailbox_id)


async def _parts(name: str, item: Item) -> AsyncIterator[pb.ExportPart]:
    """Give the parts of `item`, the last one marked: each waits until it is known whether another follows."""
    waiting = pb.ExportPart(data_class=name, name=item.name, kind=item.kind)
    begun = False
    async for block in item.content:
        if begun:
            yield waiting
            waiting = pb.ExportPart()
        waiting.data, begun = block, True
    waiting.last = True
    yield waiting
