"""The part of the gRPC edge about concerns. Without an account's id it is staff who asks: the gateway checks roles."""

from __future__ import annotations

from typing import Any

import grpc

from protos.accounts.v1 import accounts_pb2 as pb
from protos.accounts.v1.accounts_pb2_grpc import AccountsServicer
from services.accounts import codec, rights_codec
from services.accounts.domain.concerns import Thread
from services.accounts.graph import Graph

Context = grpc.aio.ServicerContext[Any, Any]
_LISTED = 50


class ConcernsRpc(AccountsServicer):
    """OpenConcern, ListConcerns, GetConcern, AddToConcern, CloseConcern."""

    _graph: Graph

    async def OpenConcern(self, request: pb.OpenConcernRequest, context: Context) -> pb.Concern:
        """Open a concern."""
        account_id, about = codec.account_id(request.account_id), rights_codec.about(request.about)
        return _message(account_id, await self._graph.rights.concerns.open(account_id, about, request.text))

    async def ListConcerns(self, request: pb.ListConcernsRequest, context: Context) -> pb.ListConcernsResponse:
        """List the concerns of an account, or of all for staff."""
        account_id = _asking(request.account_id)
        found = await self._graph.rights.concerns.listed(account_id, request.limit or _LISTED)
        return pb.ListConcernsResponse(concerns=[_message(account_id, one) for one in found])

    async def GetConcern(self, request: pb.GetConcernRequest, context: Context) -> pb.Concern:
        """Return one with its entries."""
        account_id = _asking(request.account_id)
        return _message(account_id, await self._graph.rights.concerns.get(account_id, request.concern_id))

    async def AddToConcern(self, request: pb.AddToConcernRequest, context: Context) -> pb.Concern:
        """Add an entry."""
        account_id = _asking(request.account_id)
        added = await self._graph.rights.concerns.add(account_id, request.concern_id, request.text)
        return _message(account_id, added)

    async def CloseConcern(self, request: pb.GetConcernRequest, context: Context) -> pb.Concern:
        """Close one."""
        account_id = _asking(request.account_id)
        return _message(account_id, await self._graph.rights.concerns.close(account_id, request.concern_id))


def _asking(account_id: str) -> str:
    return codec.account_id(account_id) if account_id else ""


def _message(account_id: str, thread: Thread) -> pb.Concern:
    return rights_codec.concern_message(thread, staff=not account_id)
