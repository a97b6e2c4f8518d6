"""The part of the gRPC edge about erasures: owners ask and undo by the gateway, retention begins what is due."""

from __future__ import annotations

from typing import Any

import grpc

from protos.accounts.v1 import accounts_pb2 as pb
from protos.accounts.v1.accounts_pb2_grpc import AccountsServicer
from services.accounts import codec
from services.accounts.graph import Graph

Context = grpc.aio.ServicerContext[Any, Any]


class ErasuresRpc(AccountsServicer):
    """RequestErasure, CancelErasure, ListDueErasures, BeginErasure."""

    _graph: Graph

    async def RequestErasure(self, request: pb.RequestErasureRequest, context: Context) -> pb.Erasure:
        """Note that an account is to be erased, proved by its password."""
        account = await self._graph.access.prove(
            codec.account_id(request.account_id), request.current_authentication_key
        )
        asked = await self._graph.erasures.request(account.account_id)
        return codec.erasure_message(asked.erasure, asked.token)

    async def CancelErasure(self, request: pb.CancelErasureRequest, context: Context) -> pb.CancelErasureResponse:
        """Undo."""
        await self._graph.erasures.cancel(codec.account_id(request.account_id))
        return pb.CancelErasureResponse()

    async def ListDueErasures(self, request: pb.ListDueErasuresRequest, context: Context) -> pb.ListDueErasuresResponse:
        """List the accounts whose grace is over."""
        due = await self._graph.erasures.due(request.until, request.limit)
        return pb.ListDueErasuresResponse(due=[codec.due_message(leaving) for leaving in due])

    async def BeginErasure(self, request: pb.BeginErasureRequest, context: Context) -> pb.BeginErasureResponse:
        """End the time for undo."""
        await self._graph.erasures.begin(codec.account_id(request.account_id))
        return pb.BeginErasureResponse()
