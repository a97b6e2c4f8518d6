"""The part of the gRPC edge about the rights of account owners.

Owners come through the gateway; a click in a newsletter takes a consent back through delivery. Reach is delivery's
alone, the choke point of platform mail; notices and the look-up of an account for a disclosure case are retention's.
"""

from __future__ import annotations

from typing import Any

import grpc

from libs.rpc.interceptors import caller_of
from libs.runtime.errors import DeniedError
from protos.accounts.v1 import accounts_pb2 as pb
from protos.accounts.v1.accounts_pb2_grpc import AccountsServicer
from services.accounts import codec, rights_codec
from services.accounts.domain.model import Profile
from services.accounts.graph import Graph

Context = grpc.aio.ServicerContext[Any, Any]
_GATEWAY = "gateway"


class RightsRpc(AccountsServicer):
    """What owners agree to and answer, the choke point of platform mail, notices, and the look-up for a case."""

    _graph: Graph

    async def GetRights(self, request: pb.GetRightsRequest, context: Context) -> pb.Rights:
        """Return what an owner has agreed to."""
        return await self._rights(codec.account_id(request.account_id))

    async def PutConsents(self, request: pb.PutConsentsRequest, context: Context) -> pb.Rights:
        """Note consents. Delivery, for whoever clicks in a newsletter, only takes them back and is told nothing."""
        account_id, given = codec.account_id(request.account_id), rights_codec.consents(request)
        owner = caller_of(context) == _GATEWAY
        if not owner and any(given.values()):
            raise DeniedError("consent")
        await self._graph.rights.owners.put_consents(account_id, given)
        return await self._rights(account_id) if owner else pb.Rights()

    async def PutContact(self, request: pb.PutContactRequest, context: Context) -> pb.Rights:
        """Keep a contact address, or none."""
        account_id = codec.account_id(request.account_id)
        await self._graph.rights.owners.put_contact(account_id, request.contact)
        return await self._rights(account_id)

    async def AnswerNotice(self, request: pb.AnswerNoticeRequest, context: Context) -> pb.Rights:
        """Note what an owner says to a version of the policy."""
        account_id = codec.account_id(request.account_id)
        await self._graph.rights.notices.answer(account_id, request.version, request.accept)
        return await self._rights(account_id)

    async def Reach(self, request: pb.ReachRequest, context: Context) -> pb.ReachResponse:
        """Tell where an account may be reached for a purpose."""
        found = await self._graph.rights.reach.of(codec.account_id(request.account_id), request.purpose)
        return pb.ReachResponse(addresses=found.addresses, profile=codec.PROFILES[found.profile])

    async def ListUnnoticed(self, request: pb.ListUnnoticedRequest, context: Context) -> pb.ListUnnoticedResponse:
        """List accounts that were not told of a version."""
        profiles = rights_codec.profiles(request.profiles)
        found = await self._graph.rights.notices.unnoticed(request.version, profiles, request.limit)
        return pb.ListUnnoticedResponse(account_ids=found)

    async def MarkNoticed(self, request: pb.MarkNoticedRequest, context: Context) -> pb.MarkNoticedResponse:
        """Note that accounts were told of a version, or that it will not come."""
        marking = rights_codec.marking(request)
        if request.withdrawn:
            await self._graph.rights.notices.withdraw(marking.version, marking.profiles or tuple(Profile))
        else:
            await self._graph.rights.notices.mark(marking, request.account_ids)
        return pb.MarkNoticedResponse()

    async def GetNoticeState(self, request: pb.GetNoticeStateRequest, context: Context) -> pb.NoticeState:
        """Tell how far the notices of a version are."""
        profiles = rights_codec.profiles(request.profiles)
        state = await self._graph.rights.notices.state(request.version, profiles, request.before)
        return pb.NoticeState(complete=state.complete, noticed=state.noticed, refused=state.refused)

    async def FindAccount(self, request: pb.FindAccountRequest, context: Context) -> pb.FindAccountResponse:
        """Find the account of an address."""
        account = await self._graph.rights.owners.find(request.address)
        return pb.FindAccountResponse(
            account_id=account.account_id,
            mailbox_id=account.mailbox_id,
            profile=codec.PROFILES[account.profile],
        )

    async def _rights(self, account_id: str) -> pb.Rights:
        own = await self._graph.rights.owners.get(account_id)
        notices = self._graph.rights.notices
        return rights_codec.rights_message(own, await notices.shown(own.account), notices.terms_of(own.account))
