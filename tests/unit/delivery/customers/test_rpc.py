"""The customers' part of the servicer over real mutual TLS, put together by its graph."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from libs.envelope import KeyedHash
from libs.net.dns import make_resolver
from libs.net.http import GuardedHttp
from libs.runtime import cancelling
from libs.runtime.errors import DeniedError, ExhaustedError, InvalidError, NotFoundError
from libs.runtime.ids import new_id
from libs.runtime.secret import Secret
from protos.common.v1 import common_pb2
from protos.delivery.v1 import delivery_pb2 as pb
from protos.delivery.v1.delivery_pb2_grpc import DeliveryStub, add_DeliveryServicer_to_server
from services.delivery.customers.graph import COLLECTIONS, Customers, Needs, make_customers
from services.delivery.customers.looking import DnsLookups
from services.delivery.customers.ports import AccountFacts, ServedDomain
from services.delivery.customers.sender_domains import DomainPeers
from services.delivery.domain.limits import DAY, Tally
from services.delivery.domain.model import Profile
from services.delivery.domain.ports import Kind
from services.delivery.domain.sender_domains import Installation
from services.delivery.rpc.customers import CustomerParts, CustomersRpc
from tests.support.clock import ManualClock
from tests.support.dns import DnsServer, serve_dns, txt
from tests.support.rpc import serve
from tests.unit.delivery.customers.support import OLD, VAULT, FakeAccounts, FakeDkim, happening, opened
from tests.unit.delivery.fake_ports import FakeLetters

if TYPE_CHECKING:
    from protos.delivery.v1.delivery_pb2_grpc import DeliveryAsyncStub


class Queue:
    async def stop_campaign(self, account_id: str, campaign: str) -> int:
        return 3


class Servicer(CustomersRpc):
    """This part of the servicer alone."""

    def __init__(self, parts: CustomerParts) -> None:
        self._customers = parts


@dataclass
class Desk:
    stub: DeliveryAsyncStub
    customers: Customers
    clock: ManualClock
    dns: DnsServer
    account: str


@asynccontextmanager
async def desk_on(directory: Path) -> AsyncIterator[Desk]:
    clock, account = ManualClock(), new_id()
    async with AsyncExitStack() as stack:
        dns = stack.enter_context(serve_dns({}))
        accounts = FakeAccounts({account: AccountFacts(Profile.RELAY, OLD)}, [ServedDomain("sealpost.test", True)])
        needs = Needs(
            store=await stack.enter_async_context(opened(directory, *COLLECTIONS)),
            hashes=KeyedHash(Secret(b"l" * 32)),
            vault=VAULT,
            clock=clock,
            peers=DomainPeers(accounts, FakeDkim(), DnsLookups(make_resolver([dns.address]))),
            http=await stack.enter_async_context(GuardedHttp()),
            letters=FakeLetters(),
            installation=Installation("mx.sealpost.test", "bounces.sealpost.test"),
        )
        customers = make_customers(needs)
        stack.push_async_callback(customers.close)
        servicer = Servicer(CustomerParts(customers, Queue()))  # type: ignore[abstract]
        registration = (add_DeliveryServicer_to_server, servicer, "sealpost.delivery.v1.Delivery")
        channel = await stack.enter_async_context(serve(registration))
        yield Desk(DeliveryStub(channel), customers, clock, dns, account)


async def test_limits_and_standing(tmp_path: Path) -> None:
    async with desk_on(tmp_path) as desk:
        reserve = pb.ReserveRequest(account_id=desk.account, profile=common_pb2.PROFILE_RELAY, recipients=1000)
        for _ in range(3):
            await desk.stub.Reserve(reserve, timeout=5)
        with pytest.raises(ExhaustedError, match="recipients_per_minute"):
            await desk.stub.Reserve(reserve, timeout=5)
        asked = pb.GetSendingRequest(account_id=desk.account)
        sending = await desk.stub.GetSending(asked, timeout=5)
        assert (sending.sent_today, sending.limit_today, sending.paused) == (3000, 50_000, False)
        desk.customers.standings.note(desk.account, Tally(200, 0, 10))
        await desk.customers.standings.flush()
        sending = await desk.stub.GetSending(asked, timeout=5)
        assert (sending.paused, sending.reason, sending.complained_per_mille) == (True, "complaints", 50)
        with pytest.raises(DeniedError, match="sending_paused"):
            await desk.stub.Reserve(reserve, timeout=5)
        sending = await desk.stub.ResumeSending(asked, timeout=5)
        assert (sending.paused, sending.reason, sending.complained_per_mille) == (False, "", 0)


async def test_what_was_delivered_is_counted_for_billing(tmp_path: Path) -> None:
    async with desk_on(tmp_path) as desk:
        noted = [happening(Kind.DELIVERED, desk.account, desk.clock, f"n{n}@there.test") for n in range(3)]
        await desk.customers.happenings.note(noted)
        day = noted[0].at // DAY
        request = pb.CountDeliveredRequest(account_ids=[desk.account, new_id(), desk.account], day=day)
        assert dict((await desk.stub.CountDelivered(request, timeout=5)).delivered) == {desk.account: 3}
        for wrong, reason in (
            (pb.CountDeliveredRequest(account_ids=["x"], day=day), "account_id"),
            (pb.CountDeliveredRequest(account_ids=[desk.account], day=-1), "day"),
            (pb.CountDeliveredRequest(account_ids=[desk.account] * 101, day=day), "too_many_items"),
        ):
            with pytest.raises(InvalidError, match=f"^{reason}$"):
                await desk.stub.CountDelivered(wrong, timeout=5)


async def test_what_is_no_account_or_profile_is_refused(tmp_path: Path) -> None:
    async with desk_on(tmp_path) as desk:
        with pytest.raises(InvalidError, match="account_id"):
            await desk.stub.GetSending(pb.GetSendingRequest(account_id="x"), timeout=5)
        with pytest.raises(InvalidError, match="profile"):
            await desk.stub.Reserve(pb.ReserveRequest(account_id=desk.account, recipients=1), timeout=5)
        public = pb.ReserveRequest(account_id=desk.account, recipients=1, profile=common_pb2.PROFILE_PUBLIC)
        with pytest.raises(DeniedError, match="sender_not_allowed"):
            await desk.stub.Reserve(public, timeout=5)


async def test_events_and_suppressions(tmp_path: Path) -> None:
    async with desk_on(tmp_path) as desk:
        one = happening(Kind.BOUNCED, desk.account, desk.clock, status="5.1.1", campaign="spring")
        await desk.customers.happenings.note([one])
        (event,) = (await desk.stub.ListEvents(pb.ListEventsRequest(account_id=desk.account), timeout=5)).events
        assert event == pb.Event(
            event_id=one.event_id,
            type="bounced",
            at=one.at,
            submission_id=one.submission_id,
            campaign="spring",
            recipient="ben@there.test",
            status="5.1.1",
        )
        put = pb.PutSuppressionRequest(account_id=desk.account, address="ann@there.test")
        ann = await desk.stub.PutSuppression(put, timeout=5)
        listed = await desk.stub.ListSuppressions(pb.ListSuppressionsRequest(account_id=desk.account), timeout=5)
        assert {entry.reason for entry in listed.suppressions} == {"manual", "bounced"}
        by_address = pb.ListSuppressionsRequest(account_id=desk.account, address="ANN@there.test")
        assert list((await desk.stub.ListSuppressions(by_address, timeout=5)).suppressions) == [ann]
        gone = pb.DeleteSuppressionRequest(account_id=desk.account, suppression_id=ann.suppression_id)
        await desk.stub.DeleteSuppression(gone, timeout=5)
        assert not (await desk.stub.ListSuppressions(by_address, timeout=5)).suppressions


async def test_sender_domains_and_our_own(tmp_path: Path) -> None:
    async with desk_on(tmp_path) as desk:
        asked = pb.SenderDomainRequest(account_id=desk.account, domain="shop.example")
        put = await desk.stub.PutSenderDomain(asked, timeout=5)
        for record in put.records:
            desk.dns.zone[(f"{record.name}.", record.type)] = [txt(record.value)]
        checked = await desk.stub.CheckSenderDomain(asked, timeout=5)
        assert (checked.verified, {record.state for record in checked.records}) == (True, {"ok"})
        of_account = pb.ListSenderDomainsRequest(account_id=desk.account)
        assert list((await desk.stub.ListSenderDomains(of_account, timeout=5)).domains) == [checked]
        await desk.stub.DeleteSenderDomain(asked, timeout=5)
        with pytest.raises(NotFoundError, match="sender_domain"):
            await desk.stub.CheckSenderDomain(asked, timeout=5)
        own = await desk.stub.ListDnsRecords(pb.ListDnsRecordsRequest(), timeout=10)
        assert [domain.domain for domain in own.domains] == ["sealpost.test", "bounces.sealpost.test"]


async def test_webhooks_and_campaigns(tmp_path: Path) -> None:
    async with desk_on(tmp_path) as desk:
        put = pb.PutWebhookRequest(account_id=desk.account, url="https://hooks.example/", types=["bounced"])
        made = await desk.stub.PutWebhook(put, timeout=5)
        assert made.secret.startswith("whsec_")
        listed = await desk.stub.ListWebhooks(pb.ListWebhooksRequest(account_id=desk.account), timeout=5)
        assert list(listed.webhooks) == [made.webhook]
        assert (made.webhook.state, list(made.webhook.types)) == ("ok", ["bounced"])
        await desk.customers.happenings.note([happening(Kind.BOUNCED, desk.account, desk.clock)])
        replay = pb.ReplayWebhookRequest(account_id=desk.account, webhook_id=made.webhook.webhook_id)
        assert (await desk.stub.ReplayWebhook(replay, timeout=5)).events == 1
        one = pb.WebhookRequest(account_id=desk.account, webhook_id=made.webhook.webhook_id)
        await desk.stub.DeleteWebhook(one, timeout=5)
        with pytest.raises(NotFoundError, match="webhook"):
            await desk.stub.DeleteWebhook(one, timeout=5)
        stop = pb.StopCampaignRequest(account_id=desk.account, campaign="spring")
        assert (await desk.stub.StopCampaign(stop, timeout=5)).stopped == 3
        assert await desk.customers.campaigns.stopped(desk.account, "spring")


async def test_its_tasks_run_and_end(tmp_path: Path) -> None:
    async with desk_on(tmp_path) as desk:
        tasks: dict[str, asyncio.Task[None]] = {}
        desk.customers.start(lambda name, task: tasks.__setitem__(name, asyncio.ensure_future(task)))
        await desk.customers.upkeep.once()
        assert set(tasks) == {"webhooks", "customers"}
        assert not any(task.done() for task in tasks.values())
        await cancelling.end(tasks.values())
