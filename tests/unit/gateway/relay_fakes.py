"""A gateway whose fake delivery answers everything that the relay API asks, and a key that may send."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

from libs.runtime.errors import NotFoundError
from protos.accounts.v1 import accounts_pb2
from protos.common.v1 import common_pb2
from protos.delivery.v1 import delivery_pb2 as pb
from tests.support.fake_delivery import FakeDelivery
from tests.unit.gateway.fakes import FakeAccounts, Gateway

ACCOUNT = "c" * 32
# The version whose terms the account with the key has kept.
KEPT_TERMS = 3
AT = 1_800_000_000
KEY = {"authorization": "Bearer sp_send"}

_EVENT = pb.Event(
    event_id="e" * 32, type="bounced", at=AT, submission_id="d" * 32, campaign="spring",
    recipient="ben@there.test", status="5.1.1",
)  # fmt: skip
_RECORD = pb.DnsRecord(
    name="_sealpost.shop.example", type="TXT", value="sealpost-verify=x", purpose="ownership", required=True,
    state="missing",
)  # fmt: skip


@dataclass
class RelayAccounts(FakeAccounts):
    """Also knows a key that may send; the session's account is an operator's if it is told so."""

    roles: list[str] = field(default_factory=list)

    async def Authenticate(self, request: accounts_pb2.AuthenticateRequest, timeout: float) -> accounts_pb2.Principal:
        if request.api_key == "sp_send":
            return accounts_pb2.Principal(
                account_id=ACCOUNT,
                profile=common_pb2.PROFILE_RELAY,
                scopes=["mail:send"],
                proof_id="k2",
                terms=KEPT_TERMS,
            )
        found = await super().Authenticate(request, timeout)
        found.roles.extend(self.roles)
        return found


@dataclass(eq=False)
class RelayDelivery(FakeDelivery):
    """Remembers what it was asked, and answers with one of each."""

    asked: list[Any] = field(default_factory=list)
    error: Exception | None = None

    def __getattr__(self, name: str) -> Callable[..., Any]:
        answer = _ANSWERS.get(name)
        if answer is None:
            raise AttributeError(name)

        async def call(request: Any, timeout: float) -> Any:
            self.asked.append(request)
            if self.error is not None:
                raise self.error
            return answer(request)

        return call


def _unsubscribe(request: pb.UnsubscribeRequest) -> pb.UnsubscribeResponse:
    if request.token != "good":
        raise NotFoundError("token_unknown")
    return pb.UnsubscribeResponse()


def _submission(request: pb.GetSubmissionRequest) -> pb.Submission:
    return pb.Submission(
        submission_id=request.submission_id,
        submitted_at=AT,
        send_at=AT + 60,
        campaign="spring",
        recipients=[
            pb.RecipientStatus(
                address="ben@there.test", state=pb.RECIPIENT_STATE_QUEUED, attempts=2, next_attempt=AT + 900,
                status="4.4.1",
            ),
            pb.RecipientStatus(address="ann@there.test", state=pb.RECIPIENT_STATE_DELIVERED, status="2.0.0"),
        ],
    )  # fmt: skip


def _suppressions(request: pb.ListSuppressionsRequest) -> pb.ListSuppressionsResponse:
    entry = pb.Suppression(suppression_id="f" * 32, reason="bounced", created_day=20_000)
    return pb.ListSuppressionsResponse(suppressions=[entry], next_cursor="" if request.address else "next")


def _domain(name: str) -> pb.SenderDomain:
    return pb.SenderDomain(domain=name, verified=False, records=[_RECORD], checked_at=AT)


def _webhook(request: pb.PutWebhookRequest) -> pb.PutWebhookResponse:
    hook = pb.Webhook(webhook_id="9" * 32, url=request.url, types=request.types, state="ok", created_day=20_000)
    return pb.PutWebhookResponse(webhook=hook, secret="" if request.webhook_id else "whsec_abc")


def _follow(request: pb.FollowLinkRequest) -> pb.FollowLinkResponse:
    targets = {"click": "https://shop.example/ü?a=1&b=%20#c", "open": ""}
    if request.token not in targets:
        raise NotFoundError("token_unknown")
    return pb.FollowLinkResponse(target=targets[request.token])


def _count_no_more(request: pb.CountNoMoreRequest) -> pb.CountNoMoreResponse:
    if request.token != "good":
        raise NotFoundError("token_unknown")
    return pb.CountNoMoreResponse()


_SENDING = pb.Sending(
    sent_today=5, limit_today=100, limit_per_mail=50, paused=True, reason="bounces", bounced_per_mille=120
)
_ANSWERS: dict[str, Callable[[Any], Any]] = {
    "GetSubmission": _submission,
    "CancelSubmission": _submission,
    "ListEvents": lambda request: pb.ListEventsResponse(events=[_EVENT], next_cursor="next"),
    "ListSuppressions": _suppressions,
    "PutSuppression": lambda request: pb.Suppression(suppression_id="f" * 32, reason="manual", created_day=20_000),
    "DeleteSuppression": lambda request: pb.DeleteSuppressionResponse(),
    "Unsubscribe": _unsubscribe,
    "PutSenderDomain": lambda request: _domain(request.domain),
    "CheckSenderDomain": lambda request: _domain(request.domain),
    "ListSenderDomains": lambda request: pb.ListSenderDomainsResponse(domains=[_domain("shop.example")]),
    "DeleteSenderDomain": lambda request: pb.DeleteSenderDomainResponse(),
    "ListDnsRecords": lambda request: pb.ListDnsRecordsResponse(domains=[_domain("sealpost.test")]),
    "PutWebhook": _webhook,
    "ListWebhooks": lambda request: pb.ListWebhooksResponse(
        webhooks=[pb.Webhook(webhook_id="9" * 32, url="https://hooks.example/", state="failing", created_day=20_000)]
    ),
    "DeleteWebhook": lambda request: pb.DeleteWebhookResponse(),
    "ReplayWebhook": lambda request: pb.ReplayWebhookResponse(events=7),
    "GetSending": lambda request: _SENDING,
    "ResumeSending": lambda request: pb.Sending(limit_today=100),
    "GetMeasuring": lambda request: pb.Measuring(number=0 if request.campaign == "quiet" else 0xA3F1_0000_5EA1_9057),
    "PutMeasuring": lambda request: pb.Measuring(opens=request.opens, clicks=request.clicks, number=1),
    "FollowLink": _follow,
    "CountNoMore": _count_no_more,
    "StopCampaign": lambda request: pb.StopCampaignResponse(stopped=3),
}


@dataclass
class Relay:
    """A gateway, and what is behind it."""

    site: Gateway
    delivery: RelayDelivery
    accounts: RelayAccounts


def relay_on(site: Gateway) -> Relay:
    """Put the fakes of this module behind a gateway."""
    delivery, accounts = RelayDelivery(), RelayAccounts()
    state = site.app.app.state
    state.peers = replace(state.peers, delivery=cast(Any, delivery), accounts=cast(Any, accounts))
    return Relay(site, delivery, accounts)
