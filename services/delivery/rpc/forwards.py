"""Copies of incoming mail are taken and taken back; addresses are asked whether they want them."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

from libs.mail.verdict import Verdict
from protos.delivery.v1 import delivery_pb2 as pb
from protos.delivery.v1.delivery_pb2_grpc import DeliveryServicer
from services.delivery.forwards.asking import Asking
from services.delivery.forwards.copies import Copies, Incoming
from services.delivery.forwards.returning import Returning

_Context = grpc.aio.ServicerContext[object, object]


@dataclass(frozen=True)
class ForwardParts:
    """What this part of the servicer works with; `returning` belongs to rpc.reports."""

    copies: Copies
    asking: Asking
    returning: Returning


class ForwardsRpc(DeliveryServicer):
    """Forward, WithdrawForward, SendForwardConfirmation."""

    _forwards: ForwardParts

    async def Forward(self, request: pb.ForwardRequest, context: _Context) -> pb.ForwardResponse:
        """Take copies of a mail."""
        checks = request.checks
        queued = await self._forwards.copies.forward(
            Incoming(
                account_id=request.account_id,
                domain=request.domain,
                mail_from=request.mail_from,
                recipients=tuple(request.recipients),
                content=request.content,
                digest=request.digest,
                smtputf8=request.smtputf8,
                verdict=Verdict(checks.spf, checks.dkim, checks.dmarc, checks.results, checks.arc),
                terms=request.terms,
            )
        )
        return pb.ForwardResponse(limited=not queued)

    async def WithdrawForward(
        self, request: pb.WithdrawForwardRequest, context: _Context
    ) -> pb.WithdrawForwardResponse:
        """Take them back."""
        await self._forwards.copies.withdraw(request.account_id, request.digest)
        return pb.WithdrawForwardResponse()

    async def SendForwardConfirmation(
        self, request: pb.SendForwardConfirmationRequest, context: _Context
    ) -> pb.SendForwardConfirmationResponse:
        """Ask an address."""
        await self._forwards.asking.ask(request.account_id, request.account_address, request.address, request.token)
        return pb.SendForwardConfirmationResponse()
