"""What customers look at and change: events, suppressions, sender domains, webhooks, campaigns, their standing."""

from __future__ import annotations

from dataclasses import dataclass

import grpc

from libs.runtime.errors import InvalidError
from libs.runtime.ids import is_id
from protos.common.v1 import common_pb2
from protos.delivery.v1 import delivery_pb2 as pb
from protos.delivery.v1.delivery_pb2_grpc import DeliveryServicer
from services.delivery.customers.events import Event
from services.delivery.customers.graph import Customers
from services.delivery.customers.sender_domains import DomainView
from services.delivery.customers.suppressions import Suppression
from services.delivery.customers.webhook_records import Hook
from services.delivery.domain.limits import DAY
from services.delivery.domain.model import Profile
from services.delivery.domain.ports import Stopper

_PROFILES = {
    common_pb2.PROFILE_SEALED: Profile.SEALED,
    common_pb2.PROFILE_PUBLIC: Profile.PUBLIC,
    common_pb2.PROFILE_MAILING: Profile.MAILING,
    common_pb2.PROFILE_RELAY: Profile.RELAY,
}

_MOST_COUNTED = 100
_Context = grpc.aio.ServicerContext[object, object]


@dataclass(frozen=True)
class CustomerParts:
    """What this part of the servicer works with."""

    customers: Customers
    stopper: Stopper


class CustomersRpc(DeliveryServicer):
    """Reserve, events, suppressions, sender domains, webhooks, campaigns, sending."""

    _customers: CustomerParts

    async def Reserve(self, request: pb.ReserveRequest, context: _Context) -> pb.ReserveResponse:
        """Count recipients of mail that does not pass through here, once for each reservation."""
        profile = _PROFILES.get(request.profile)
        if profile is None:
            raise InvalidError("profile")
        account_id, name = account_of(request.account_id), request.reservation_id
        await self._parts.reservations.reserve(account_id, profile, request.recipients, name)
        return pb.ReserveResponse()

    async def ListEvents(self, request: pb.ListEventsRequest, context: _Context) -> pb.ListEventsResponse:
        """List what happened, newest first."""
        account_id = account_of(request.account_id)
        events, cursor = await self._parts.events.page(account_id, request.limit, request.cursor)
        return pb.ListEventsResponse(events=[_event(one) for one in events], next_cursor=cursor)

    async def ListSuppressions(
        self, request: pb.ListSuppressionsRequest, context: _Context
    ) -> pb.ListSuppressionsResponse:
        """List whom the account does not write to, newest first; or look one address up."""
        account_id, parts = account_of(request.account_id), self._parts
        if request.address:
            found = await parts.suppressions.find(account_id, request.address)
            return pb.ListSuppressionsResponse(suppressions=[_suppression(found)] if found else [])
        entries, cursor = await parts.suppressions.page(account_id, request.limit, request.cursor)
        return pb.ListSuppressionsResponse(suppressions=[_suppression(one) for one in entries], next_cursor=cursor)

    async def PutSuppression(self, request: pb.PutSuppressionRequest, context: _Context) -> pb.Suppression:
        """Put an address on the list."""
        return _suppression(await self._parts.suppressions.put(account_of(request.account_id), request.address))

    async def DeleteSuppression(
        self, request: pb.DeleteSuppressionRequest, context: _Context
    ) -> pb.DeleteSuppressionResponse:
        """Take an entry off the list."""
        account_id = account_of(request.account_id)
        await self._parts.suppressions.delete(account_id, request.suppression_id, request.address)
        return pb.DeleteSuppressionResponse()

    async def PutSenderDomain(self, request: pb.SenderDomainRequest, context: _Context) -> pb.SenderDomain:
        """Claim a domain."""
        return _domain(await self._parts.domains.put(account_of(request.account_id), request.domain))

    async def ListSenderDomains(
        self, request: pb.ListSenderDomainsRequest, context: _Context
    ) -> pb.ListSenderDomainsResponse:
        """List the domains of an account."""
        found = await self._parts.domains.list(account_of(request.account_id))
        return pb.ListSenderDomainsResponse(domains=[_domain(one) for one in found])

    async def CheckSenderDomain(self, request: pb.SenderDomainRequest, context: _Context) -> pb.SenderDomain:
        """Look at the DNS now."""
        return _domain(await self._parts.domains.check(account_of(request.account_id), request.domain))

    async def DeleteSenderDomain(
        self, request: pb.SenderDomainRequest, context: _Context
    ) -> pb.DeleteSenderDomainResponse:
        """Give a domain up."""
        await self._parts.domains.delete(account_of(request.account_id), request.domain)
        return pb.DeleteSenderDomainResponse()

    async def ListDnsRecords(self, request: pb.ListDnsRecordsRequest, context: _Context) -> pb.ListDnsRecordsResponse:
        """List the records of this installation's own domains, looked at now."""
        return pb.ListDnsRecordsResponse(domains=[_domain(one) for one in await self._parts.own_domains.list()])

    async def PutWebhook(self, request: pb.PutWebhookRequest, context: _Context) -> pb.PutWebhookResponse:
        """Make or change a webhook."""
        hook, secret = await self._parts.webhooks.put(
            account_of(request.account_id), request.webhook_id, request.url, request.types
        )
        return pb.PutWebhookResponse(webhook=_webhook(hook), secret=secret)

    async def ListWebhooks(self, request: pb.ListWebhooksRequest, context: _Context) -> pb.ListWebhooksResponse:
        """List the webhooks of an account."""
        hooks = await self._parts.webhooks.list(account_of(request.account_id))
        return pb.ListWebhooksResponse(webhooks=[_webhook(one) for one in hooks])

    async def DeleteWebhook(self, request: pb.WebhookRequest, context: _Context) -> pb.DeleteWebhookResponse:
        """Delete a webhook."""
        await self._parts.webhooks.delete(account_of(request.account_id), request.webhook_id)
        return pb.DeleteWebhookResponse()

    async def ReplayWebhook(self, request: pb.ReplayWebhookRequest, context: _Context) -> pb.ReplayWebhookResponse:
        """Have a webhook told what happened since a time."""
        account_id = account_of(request.account_id)
        count = await self._parts.webhooks.replay(account_id, request.webhook_id, request.since, request.terms)
        return pb.ReplayWebhookResponse(events=count)

    async def GetSending(self, request: pb.GetSendingRequest, context: _Context) -> pb.Sending:
        """Tell how an account's sending stands."""
        return await self._sending(account_of(request.account_id))

    async def ResumeSending(self, request: pb.GetSendingRequest, context: _Context) -> pb.Sending:
        """Let an account send again."""
        account_id = account_of(request.account_id)
        await self._parts.standings.resume(account_id)
        return await self._sending(account_id)

    async def CountDelivered(self, request: pb.CountDeliveredRequest, context: _Context) -> pb.CountDeliveredResponse:
        """Tell billing how many recipients got the mail of accounts."""
        if len(request.account_ids) > _MOST_COUNTED:
            raise InvalidError("too_many_items")
        if request.day < 0:
            raise InvalidError("day")
        delivered = {}
        for account_id in dict.fromkeys(map(account_of, request.account_ids)):
            if count := await self._parts.events.delivered(account_id, request.day):
                delivered[account_id] = count
        return pb.CountDeliveredResponse(delivered=delivered)

    async def StopCampaign(self, request: pb.StopCampaignRequest, context: _Context) -> pb.StopCampaignResponse:
        """Stop a campaign."""
        account_id = account_of(request.account_id)
        stopper = self._customers.stopper
        stopped = await self._parts.campaigns.stop(account_id, request.campaign, stopper, request.terms)
        return pb.StopCampaignResponse(stopped=stopped)

    @property
    def _parts(self) -> Customers:
        return self._customers.customers

    async def _sending(self, account_id: str) -> pb.Sending:
        found = await self._parts.limits.sending(account_id)
        return pb.Sending(
            sent_today=found.sent_today,
            limit_today=found.limit_today,
            limit_per_mail=found.limit_per_mail,
            paused=found.paused,
            reason=found.reason,
            bounced_per_mille=found.bounced_per_mille,
            complained_per_mille=found.complained_per_mille,
        )


def account_of(account_id: str) -> str:
    """Return `account_id`. Raises: InvalidError("account_id") if it is none."""
    if not is_id(account_id):
        raise InvalidError("account_id")
    return account_id


def _event(event: Event) -> pb.Event:
    return pb.Event(
        event_id=event.event_id,
        type=event.kind.value,
        at=event.at,
        submission_id=event.submission_id,
        campaign=event.campaign,
        recipient=event.recipient,
        status=event.status,
    )


def _suppression(entry: Suppression) -> pb.Suppression:
    return pb.Suppression(suppression_id=entry.suppression_id, reason=entry.reason, created_day=entry.created_day)


def _domain(view: DomainView) -> pb.SenderDomain:
    records = [
        pb.DnsRecord(
            name=wanted.name,
            type=wanted.kind,
            value=wanted.value,
            purpose=wanted.purpose,
            required=wanted.required,
            state=state.value,
        )
        for wanted, state in view.records
    ]
    return pb.SenderDomain(domain=view.domain, verified=view.verified, records=records, checked_at=view.checked_at)


def _webhook(hook: Hook) -> pb.Webhook:
    return pb.Webhook(
        webhook_id=hook.webhook_id,
        url=hook.url,
        types=hook.types,
        state=hook.state.value,
        created_day=hook.created // DAY,
    )
