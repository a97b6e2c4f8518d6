"""The servicer over real gRPC: what goes in and what comes out, and who may call what."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any

import pytest

from libs.rpc.channel import connect
from libs.rpc.server import RpcServer
from libs.rpc.tls import TlsFiles
from libs.runtime.errors import DeniedError, InvalidError, NotFoundError
from libs.runtime.ids import new_id
from protos.common.v1 import common_pb2
from protos.delivery.v1 import delivery_pb2 as pb
from protos.delivery.v1.delivery_pb2_grpc import DeliveryStub, add_DeliveryServicer_to_server
from services.delivery.rpc import SERVICE, restrict_callers
from services.delivery.rpc.submission import SubmissionRpc
from tests.support.rpc import certificates, serve
from tests.unit.delivery.world import ACCOUNT, CONTENT, REFUSED, SENDER, Node, World, a_store


class OnlySubmission(SubmissionRpc):
    """The part of the servicer that is tried here."""

    def __init__(self, node: Node) -> None:
        self._submission = node.graph.submission


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
async def node(world: World, tmp_path: Path) -> AsyncIterator[Node]:
    async with a_store(tmp_path) as store:
        yield world.node(store)


@pytest.fixture
async def stub(node: Node) -> AsyncIterator[Any]:
    servicer = OnlySubmission(node)  # type: ignore[abstract]
    async with serve((add_DeliveryServicer_to_server, servicer, SERVICE)) as channel:
        yield DeliveryStub(channel)


def item(*recipients: str, **changes: object) -> pb.SubmitItem:
    given: dict[str, Any] = {
        "submission_id": new_id(),
        "account_id": ACCOUNT,
        "profile": common_pb2.PROFILE_SEALED,
        "mail_from": SENDER,
        "recipients": recipients,
        "content": CONTENT,
    }
    return pb.SubmitItem(**(given | changes))


async def test_submit_and_look(world: World, node: Node, stub: Any) -> None:
    good, bad = item("carol@example.org", terms=3), item("carol@example.org", profile=common_pb2.PROFILE_GUEST)
    answer = await stub.Submit(pb.SubmitRequest(items=[good, bad]), timeout=5)
    first, second = answer.results
    assert first.submitted.submission_id == good.submission_id
    assert first.submitted.message_id == f"<{good.submission_id}@sealpost.test>"
    assert (second.failure.code, second.failure.reason) == ("denied", "sender_not_allowed")
    await node.idle()
    assert [one.terms for one in await node.graph.submission.trails.find(good.submission_id)] == [3]
    asked = pb.GetSubmissionRequest(account_id=ACCOUNT, submission_id=good.submission_id)
    submission = await stub.GetSubmission(asked, timeout=5)
    assert submission.submitted_at == world.now and submission.send_at == 0
    (one,) = submission.recipients
    assert (one.address, one.state, one.attempts, one.next_attempt, one.status) == (
        "carol@example.org", pb.RECIPIENT_STATE_DELIVERED, 1, 0, "2.0.0"
    )  # fmt: skip


async def test_states_of_recipients(world: World, node: Node, stub: Any) -> None:
    world.servers.answers = lambda outgoing, address: REFUSED
    later = item("carol@example.org", send_at=world.now + 60, campaign="spring")
    bounced = item("carol@example.org")
    await stub.Submit(pb.SubmitRequest(items=[later, bounced]), timeout=5)
    await node.idle()

    async def state(submission_id: str) -> tuple[int, int]:
        asked = pb.GetSubmissionRequest(account_id=ACCOUNT, submission_id=submission_id)
        (one,) = (await stub.GetSubmission(asked, timeout=5)).recipients
        return one.state, one.next_attempt

    assert await state(later.submission_id) == (pb.RECIPIENT_STATE_QUEUED, world.now + 60)
    assert await state(bounced.submission_id) == (pb.RECIPIENT_STATE_BOUNCED, 0)
    asked = pb.GetSubmissionRequest(account_id=ACCOUNT, submission_id=later.submission_id)
    world.clock.advance(1)
    # Nobody works here: that it is noted is enough for it never to be sent.
    cancelled = await stub.CancelSubmission(asked, timeout=20)
    assert cancelled.campaign == "spring"
    assert [one.state for one in cancelled.recipients] == [pb.RECIPIENT_STATE_CANCELLED]
    assert await state(later.submission_id) == (pb.RECIPIENT_STATE_CANCELLED, 0)


async def test_who_may_send_with_what(stub: Any) -> None:
    request = pb.AuthorizeSendersRequest(account_id=ACCOUNT, addresses=[SENDER, "x@sealpost.test"])
    assert list((await stub.AuthorizeSenders(request, timeout=5)).allowed) == [True, False]


async def test_too_much_at_once(stub: Any) -> None:
    with pytest.raises(InvalidError):
        await stub.AuthorizeSenders(pb.AuthorizeSendersRequest(account_id=ACCOUNT, addresses=["x"] * 101), timeout=5)
    with pytest.raises(InvalidError):
        await stub.Submit(pb.SubmitRequest(items=[pb.SubmitItem()] * 1001), timeout=5)


async def test_somebody_elses_submission_is_none(node: Node, stub: Any) -> None:
    mail = await node.submit("carol@example.org")
    for account, submission in ((new_id(), mail), (ACCOUNT, new_id()), ("", mail)):
        with pytest.raises(NotFoundError):
            await stub.GetSubmission(pb.GetSubmissionRequest(account_id=account, submission_id=submission), timeout=5)


async def test_who_may_call_what(node: Node) -> None:
    server = RpcServer("127.0.0.1:0", TlsFiles(certificates("delivery")), ("gateway", "ingest", "retention"))
    server.add(add_DeliveryServicer_to_server, OnlySubmission(node), SERVICE)  # type: ignore[abstract]
    restrict_callers(server, ("gateway", "ingest", "retention"))
    await server.start()

    async def refused(call: Awaitable[object]) -> bool:
        try:
            await call
        except DeniedError:
            return True
        except Exception:
            return False
        return False

    try:
        for caller, denied in (
            ("ingest", [False, True, True, False, False, False, True, True]),
            ("gateway", [False, False, False, True, True, True, False, False]),
            ("retention", [True, True, True, True, True, True, True, False]),
        ):
            async with connect("delivery", f"127.0.0.1:{server.port}", TlsFiles(certificates(caller))) as channel:
                stub: Any = DeliveryStub(channel)
                calls = (
                    stub.Submit(pb.SubmitRequest(), timeout=5),
                    stub.GetSubmission(pb.GetSubmissionRequest(account_id=ACCOUNT), timeout=5),
                    stub.PutWebhook(pb.PutWebhookRequest(), timeout=5),
                    stub.TakeReport(pb.TakeReportRequest(), timeout=5),
                    stub.Forward(pb.ForwardRequest(), timeout=5),
                    stub.WithdrawForward(pb.WithdrawForwardRequest(), timeout=5),
                    stub.SendForwardConfirmation(pb.SendForwardConfirmationRequest(), timeout=5),
                    stub.SendPlatformMail(pb.SendPlatformMailRequest(), timeout=5),
                )
                assert [await refused(call) for call in calls] == denied
    finally:
        await server.stop(0)
