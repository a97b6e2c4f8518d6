"""Rights over the wire: who may call what, and messages as the gateway, delivery and retention see them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from libs.rpc.channel import connect
from libs.rpc.server import RpcServer
from libs.rpc.tls import TlsFiles
from libs.runtime.errors import ConflictError, DeniedError, InvalidError, NotFoundError
from libs.runtime.ids import new_id
from protos.accounts.v1 import accounts_pb2 as pb
from protos.accounts.v1.accounts_pb2_grpc import AccountsStub
from protos.common.v1 import common_pb2
from services.accounts.rpc import serve_accounts
from tests.support.rpc import certificates
from tests.unit.accounts.rights_support import RightsPlatform, run_rights
from tests.unit.accounts.support import Platform, refused

if TYPE_CHECKING:
    from protos.accounts.v1.accounts_pb2_grpc import AccountsAsyncStub

CALLERS = ("gateway", "ingest", "delivery", "retention")
DAY = 86400
SEALED = common_pb2.PROFILE_SEALED


@pytest.fixture
async def world(platform: Platform) -> RightsPlatform:
    return run_rights(platform, active=1)


@pytest.fixture
async def wires(world: RightsPlatform) -> AsyncIterator[dict[str, AccountsAsyncStub]]:
    async with AsyncExitStack() as stack:
        server = RpcServer("127.0.0.1:0", TlsFiles(certificates("accounts")), CALLERS)
        serve_accounts(server, world.platform.graph, world.clock, CALLERS)
        await server.start()
        stack.push_async_callback(server.stop, 0)
        stubs: dict[str, AccountsAsyncStub] = {}
        for caller in CALLERS:
            tls = TlsFiles(certificates(caller))
            channel = await stack.enter_async_context(connect("accounts", f"127.0.0.1:{server.port}", tls))
            stubs[caller] = AccountsStub(channel)
        yield stubs


async def test_what_an_owner_agrees_to_and_where_delivery_may_write(
    world: RightsPlatform, wires: dict[str, AccountsAsyncStub]
) -> None:
    ada = (await world.sign_up("ada")).account_id
    gateway, delivery = wires["gateway"], wires["delivery"]
    rights = await gateway.GetRights(pb.GetRightsRequest(account_id=ada), timeout=5)
    assert [(one.purpose, one.given, one.at) for one in rights.consents] == [
        ("newsletter", False, 0),
        ("contact", False, 0),
    ]
    assert (rights.contact, rights.terms, rights.HasField("notice")) == ("", 1, False)
    with refused(DeniedError, "no_consent"):
        await delivery.Reach(pb.ReachRequest(account_id=ada, purpose="newsletter"), timeout=5)
    with refused(DeniedError, "purpose"):
        await delivery.Reach(pb.ReachRequest(account_id=ada, purpose="sale"), timeout=5)
    consents = [pb.Consent(purpose="newsletter", given=True), pb.Consent(purpose="contact", given=True)]
    rights = await gateway.PutConsents(pb.PutConsentsRequest(account_id=ada, consents=consents), timeout=5)
    assert {(one.given, one.at) for one in rights.consents} == {(True, world.now)}
    rights = await gateway.PutContact(pb.PutContactRequest(account_id=ada, contact="me@mail.example"), timeout=5)
    assert rights.contact == "me@mail.example"
    reached = await delivery.Reach(pb.ReachRequest(account_id=ada, purpose="policy"), timeout=5)
    assert (list(reached.addresses), reached.profile) == (["ada@sealpost.test", "me@mail.example"], SEALED)
    reached = await delivery.Reach(pb.ReachRequest(account_id=ada, purpose="newsletter"), timeout=5)
    assert list(reached.addresses) == ["ada@sealpost.test"]


@pytest.mark.parametrize("purposes", [["policy"], [""], ["newsletter", "newsletter"], ["contact"] * 30])
async def test_consents_that_there_are_not(
    world: RightsPlatform, wires: dict[str, AccountsAsyncStub], purposes: list[str]
) -> None:
    ada = (await world.sign_up("ada")).account_id
    consents = [pb.Consent(purpose=purpose, given=True) for purpose in purposes]
    with refused(InvalidError, "consent"):
        await wires["gateway"].PutConsents(pb.PutConsentsRequest(account_id=ada, consents=consents), timeout=5)


async def test_a_version_is_announced_and_answered(world: RightsPlatform, wires: dict[str, AccountsAsyncStub]) -> None:
    ada = (await world.sign_up("ada")).account_id
    gateway, retention = wires["gateway"], wires["retention"]
    asked = pb.ListUnnoticedRequest(version=2, profiles=[SEALED], limit=100)
    assert list((await retention.ListUnnoticed(asked, timeout=5)).account_ids) == [ada]
    effective, until = world.now + 30 * DAY, world.now + 210 * DAY
    mark = pb.MarkNoticedRequest(version=2, account_ids=[ada], at=world.now, effective=effective, old_terms_until=until)
    await retention.MarkNoticed(mark, timeout=5)
    assert list((await retention.ListUnnoticed(asked, timeout=5)).account_ids) == []
    told = world.now
    notice = (await gateway.GetRights(pb.GetRightsRequest(account_id=ada), timeout=5)).notice
    assert notice == pb.Notice(version=2, noticed_at=told, effective=effective, old_terms_until=until)
    with refused(ConflictError, "policy_version"):
        await gateway.AnswerNotice(pb.AnswerNoticeRequest(account_id=ada, version=3, accept=True), timeout=5)
    answer = pb.AnswerNoticeRequest(account_id=ada, version=2, accept=False)
    rights = await gateway.AnswerNotice(answer, timeout=5)
    assert (rights.notice.answer, rights.terms) == ("refused", 1)
    question = pb.GetNoticeStateRequest(version=2, profiles=[SEALED], before=told)
    assert await retention.GetNoticeState(question, timeout=5) == pb.NoticeState(complete=True, noticed=1, refused=1)
    world.put(2)
    rights = await gateway.GetRights(pb.GetRightsRequest(account_id=ada), timeout=5)
    assert (rights.notice.answer, rights.terms) == ("refused", 1)
    rights = await gateway.AnswerNotice(pb.AnswerNoticeRequest(account_id=ada, version=2, accept=True), timeout=5)
    assert (rights.HasField("notice"), rights.terms) == (False, 2)


async def test_a_version_is_taken_back(world: RightsPlatform, wires: dict[str, AccountsAsyncStub]) -> None:
    retention, gateway = wires["retention"], wires["gateway"]
    await retention.MarkNoticed(pb.MarkNoticedRequest(version=2, at=1, effective=2, profiles=[SEALED]), timeout=5)
    ada = (await world.sign_up("ada")).account_id
    request = pb.GetRightsRequest(account_id=ada)
    assert (await gateway.GetRights(request, timeout=5)).notice.version == 2
    await retention.MarkNoticed(pb.MarkNoticedRequest(version=2, withdrawn=True, profiles=[SEALED]), timeout=5)
    assert not (await gateway.GetRights(request, timeout=5)).HasField("notice")
    with refused(InvalidError, "profile"):
        await retention.MarkNoticed(
            pb.MarkNoticedRequest(version=2, profiles=[common_pb2.PROFILE_UNSPECIFIED]), timeout=5
        )


async def test_an_account_is_found_for_a_case(world: RightsPlatform, wires: dict[str, AccountsAsyncStub]) -> None:
    ada = await world.sign_up("ada")
    found = await wires["retention"].FindAccount(pb.FindAccountRequest(address="Ada@sealpost.test"), timeout=5)
    assert (found.account_id, found.mailbox_id, found.profile) == (ada.account_id, ada.mailbox_id, SEALED)
    with refused(NotFoundError, "account_not_found"):
        await wires["retention"].FindAccount(pb.FindAccountRequest(address="bob@sealpost.test"), timeout=5)


async def test_a_concern_from_both_ends(world: RightsPlatform, wires: dict[str, AccountsAsyncStub]) -> None:
    ada = (await world.sign_up("ada")).account_id
    gateway = wires["gateway"]
    opened = await gateway.OpenConcern(
        pb.OpenConcernRequest(account_id=ada, about="deletion", text="Please"), timeout=5
    )
    assert (opened.state, opened.about, opened.address, opened.account_id) == ("open", "deletion", "", "")
    (listed,) = (await gateway.ListConcerns(pb.ListConcernsRequest(), timeout=5)).concerns
    assert (listed.address, listed.account_id, len(listed.entries)) == ("ada@sealpost.test", ada, 0)
    concern_id = opened.concern_id
    answered = await gateway.AddToConcern(pb.AddToConcernRequest(concern_id=concern_id, text="Done"), timeout=5)
    assert (answered.state, answered.account_id) == ("answered", ada)
    seen = await gateway.GetConcern(pb.GetConcernRequest(account_id=ada, concern_id=concern_id), timeout=5)
    assert [(one.by_staff, one.text) for one in seen.entries] == [(False, "Please"), (True, "Done")]
    assert seen.address == ""
    closed = await gateway.CloseConcern(pb.GetConcernRequest(account_id=ada, concern_id=concern_id), timeout=5)
    assert closed.state == "closed"
    (listed,) = (await gateway.ListConcerns(pb.ListConcernsRequest(account_id=ada), timeout=5)).concerns
    assert (listed.state, listed.address) == ("closed", "")
    with refused(InvalidError, "about"):
        await gateway.OpenConcern(pb.OpenConcernRequest(account_id=ada, about="all", text="Please"), timeout=5)
    with refused(NotFoundError, "concern_not_found"):
        await gateway.GetConcern(pb.GetConcernRequest(account_id=new_id(), concern_id=concern_id), timeout=5)


async def test_a_click_in_a_newsletter_takes_back_and_gives_nothing(
    world: RightsPlatform, wires: dict[str, AccountsAsyncStub]
) -> None:
    ada = (await world.sign_up("ada")).account_id
    given = pb.PutConsentsRequest(account_id=ada, consents=[pb.Consent(purpose="newsletter", given=True)])
    taken = pb.PutConsentsRequest(account_id=ada, consents=[pb.Consent(purpose="newsletter", given=False)])
    with refused(DeniedError, "consent"):
        await wires["delivery"].PutConsents(given, timeout=5)
    await wires["gateway"].PutConsents(given, timeout=5)
    assert await wires["delivery"].PutConsents(taken, timeout=5) == pb.Rights()
    rights = await wires["gateway"].GetRights(pb.GetRightsRequest(account_id=ada), timeout=5)
    assert not any(one.given for one in rights.consents)


OWNERS = ("GetRights", "PutContact", "AnswerNotice", "OpenConcern", "ListConcerns", "GetConcern")
ALONE = {
    **dict.fromkeys((*OWNERS, "AddToConcern", "CloseConcern"), "gateway"),
    **dict.fromkeys(("ListUnnoticed", "MarkNoticed", "GetNoticeState", "FindAccount"), "retention"),
}


async def test_where_accounts_are_reached_no_page_learns(wires: dict[str, AccountsAsyncStub]) -> None:
    for caller in ("gateway", "ingest"):
        with pytest.raises(DeniedError):
            await wires[caller].Reach(pb.ReachRequest(account_id=new_id(), purpose="policy"), timeout=5)


@pytest.mark.parametrize("caller", CALLERS)
async def test_each_has_its_caller(wires: dict[str, AccountsAsyncStub], caller: str) -> None:
    requests = {
        method.name: getattr(pb, method.input_type.name)
        for method in pb.DESCRIPTOR.services_by_name["Accounts"].methods
    }
    for method, alone in ALONE.items():
        if alone != caller:
            call: Callable[..., Awaitable[Any]] = getattr(wires[caller], method)
            with pytest.raises(DeniedError):
                await call(requests[method](), timeout=5)
