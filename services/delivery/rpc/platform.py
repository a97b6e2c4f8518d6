"""Mail of the platform itself, asked for by other services."""

from __future__ import annotations

import grpc

from protos.delivery.v1 import delivery_pb2 as pb
from protos.delivery.v1.delivery_pb2_grpc import DeliveryServicer
from services.delivery.domain.ports import Letters, PlatformLetter

_Context = grpc.aio.ServicerContext[object, object]


class PlatformRpc(DeliveryServicer):
    """SendPlatformMail."""

    _letters: Letters

    async def SendPlatformMail(
        self, request: pb.SendPlatformMailRequest, context: _Context
    ) -> pb.SendPlatformMailResponse:
        """Bring a letter to an account."""
        one = request
        letter = PlatformLetter(one.notice_id, one.account_id, one.purpose, one.letter, dict(one.fields))
        await self._letters.send(letter)
        return pb.SendPlatformMailResponse()
