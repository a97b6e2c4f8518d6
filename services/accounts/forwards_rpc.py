"""The part of the gRPC edge about addresses that get copies of incoming mail; all of it is the gateway's to call."""

from __future__ import annotations

from typing import Any

import grpc

from protos.accounts.v1 import accounts_pb2 as pb
from protos.accounts.v1.accounts_pb2_grpc import AccountsServicer
from services.accounts import codec
from services.accounts.graph import Graph

Context = grpc.aio.ServicerContext[Any, Any]


class ForwardsRpc(AccountsServicer):
    """ListForwards, AddForward, DeleteForward, ConfirmForward, StopForward."""

    _graph: Graph

    async def ListForwards(self, request: pb.ListForwardsRequest, context: Context) -> pb.ListForwardsResponse:
        """List what an account forwards to."""
        found = await self._graph.forwards.list(codec.account_id(request.account_id))
        return pb.ListForwardsResponse(forwards=[codec.forward_message(one, address) for one, address in found])

    async def AddForward(self, request: pb.AddForwardRequest, context: Context) -> pb.AddForwardResponse:
        """Note an address, proved by the account's password."""
        account = await self._graph.access.prove(
            codec.account_id(request.account_id), request.current_authentication_key
        )
        added = await self._graph.forwards.add(account, request.address)
        return pb.AddForwardResponse(
            forward=codec.forward_message(added.forward, added.address),
            token=added.token,
            account_address=self._graph.vault.identity(account).address,
        )

    async def DeleteForward(self, request: pb.DeleteForwardRequest, context: Context) -> pb.DeleteForwardResponse:
        """Forward nothing more to an address."""
        await self._graph.forwards.delete(codec.account_id(request.account_id), request.forward_id)
        return pb.DeleteForwardResponse()

    async def ConfirmForward(self, request: pb.ForwardTokenRequest, context: Context) -> pb.ForwardTokenResponse:
        """Begin, at the word of whoever reads mail at the address."""
        await self._graph.forwards.confirm(request.token)
        return pb.ForwardTokenResponse()

    async def StopForward(self, request: pb.ForwardTokenRequest, context: Context) -> pb.ForwardTokenResponse:
        """Stop, at the word of whoever reads mail at the address."""
        await self._graph.forwards.stop(request.token)
        return pb.ForwardTokenResponse()
