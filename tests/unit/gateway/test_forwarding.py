"""Addresses that get copies, over HTTP: the owner's list, and the page of whoever is asked."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from libs.runtime.errors import ConflictError, ExhaustedError, InvalidError, NotFoundError, UnavailableError
from protos.accounts.v1 import accounts_pb2 as pb
from protos.delivery.v1 import delivery_pb2
from tests.support.fake_delivery import FakeDelivery
from tests.unit.gateway.fakes import FakeAccounts, Gateway

TOKEN = "A" * 43
ID = "e" * 32
GIVEN = {"address": "ada@mail.example", "current_authentication_key": base64.b64encode(b"k" * 32).decode()}


@dataclass
class Accounts(FakeAccounts):
    """Answers what is asked about forwarding, or fails by the name of the call."""

    asked: list[tuple[str, Any]] = field(default_factory=list)
    errors: dict[str, Exception] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name not in _ANSWERS:
            raise AttributeError(name)

        async def call(request: Any, timeout: float) -> Any:
            self.asked.append((name, request))
            if name in self.errors:
                raise self.errors[name]
            return _ANSWERS[name]

        return call


@dataclass(eq=False)
class Delivery(FakeDelivery):
    """Remembers whom it was to ask."""

    questions: list[delivery_pb2.SendForwardConfirmationRequest] = field(default_factory=list)
    error: Exception | None = None

    async def SendForwardConfirmation(
        self, request: delivery_pb2.SendForwardConfirmationRequest, timeout: float
    ) -> delivery_pb2.SendForwardConfirmationResponse:
        if self.error is not None:
            raise self.error
        self.questions.append(request)
        return delivery_pb2.SendForwardConfirmationResponse()


_FORWARD = pb.Forward(
    forward_id=ID, address="ada@mail.example", state="pending", confirm_until=1_800_000_000, created_day=20_000
)
_ACTIVE = pb.Forward(forward_id="f" * 32, address="b@mail.example", state="active", created_day=20_000)
_ANSWERS: dict[str, Any] = {
    "ListForwards": pb.ListForwardsResponse(forwards=[_FORWARD, _ACTIVE]),
    "AddForward": pb.AddForwardResponse(forward=_FORWARD, token=TOKEN, account_address="ada@sealpost.test"),
    "DeleteForward": pb.DeleteForwardResponse(),
    "ConfirmForward": pb.ForwardTokenResponse(),
    "StopForward": pb.ForwardTokenResponse(),
}


@dataclass
class World:
    site: Gateway
    accounts: Accounts
    delivery: Delivery

    def asked(self) -> list[str]:
        return [name for name, _ in self.accounts.asked]


@pytest.fixture
def world(site: Gateway) -> World:
    accounts, delivery = Accounts(), Delivery()
    state = site.app.app.state
    state.peers = replace(state.peers, delivery=cast(Any, delivery), accounts=cast(Any, accounts))
    return World(site, accounts, delivery)


async def test_the_list(world: World) -> None:
    world.site.sign_in()
    answer = await world.site.client.get("/v1/forwarding")
    assert answer.status_code == 200
    assert answer.json()["forwards"] == [
        {
            "id": ID,
            "address": "ada@mail.example",
            "state": "pending",
            "created": "2024-10-04T00:00:00Z",
            "confirm_until": "2027-01-15T08:00:00Z",
        },
        {
            "id": "f" * 32,
            "address": "b@mail.example",
            "state": "active",
            "created": "2024-10-04T00:00:00Z",
            "confirm_until": None,
        },
    ]


async def test_an_address_is_asked_and_the_token_goes_nowhere_else(world: World) -> None:
    world.site.sign_in()
    answer = await world.site.client.post("/v1/forwarding", json=GIVEN)
    assert answer.status_code == 201
    assert answer.json()["forward"]["state"] == "pending"
    (question,) = world.delivery.questions
    assert (question.address, question.account_address) == ("ada@mail.example", "ada@sealpost.test")
    assert question.token == TOKEN
    assert TOKEN not in answer.text
    assert world.accounts.asked[-1][1].current_authentication_key == b"k" * 32


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ExhaustedError("forward_asks", retry_after=99), 429),
        (InvalidError("forward_address"), 400),
        (UnavailableError("unreachable"), 503),
    ],
)
async def test_what_cannot_be_asked_is_not_kept(world: World, error: Exception, status: int) -> None:
    world.site.sign_in()
    world.delivery.error = error
    answer = await world.site.client.post("/v1/forwarding", json=GIVEN)
    assert answer.status_code == status
    assert world.asked() == ["AddForward", "DeleteForward"]
    assert world.accounts.asked[-1][1].forward_id == ID


@pytest.mark.parametrize(
    ("error", "status"), [(ConflictError("forward_exists"), 409), (ExhaustedError("too_many_forwards"), 409)]
)
async def test_what_accounts_refuses(world: World, error: Exception, status: int) -> None:
    world.site.sign_in()
    world.accounts.errors["AddForward"] = error
    answer = await world.site.client.post("/v1/forwarding", json=GIVEN)
    assert (answer.status_code, world.delivery.questions) == (status, [])


async def test_taking_one_out(world: World) -> None:
    world.site.sign_in()
    assert (await world.site.client.delete(f"/v1/forwarding/{ID}")).status_code == 204
    world.accounts.errors["DeleteForward"] = NotFoundError("forward_not_found")
    assert (await world.site.client.delete(f"/v1/forwarding/{ID}")).status_code == 404


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer sp_key"}])
async def test_only_in_a_session(world: World, headers: dict[str, str]) -> None:
    for method, path, given in (("GET", "", None), ("POST", "", GIVEN), ("DELETE", f"/{ID}", None)):
        answer = await world.site.client.request(method, f"/v1/forwarding{path}", json=given, headers=headers)
        assert answer.status_code == 401
    assert world.accounts.asked == []


async def test_the_page_does_nothing_by_being_opened(world: World) -> None:
    answer = await world.site.client.get(f"/f/{TOKEN}")
    assert answer.status_code == 200
    assert answer.text == (await world.site.client.get("/f/x")).text
    assert "script" not in answer.text
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert world.accounts.asked == []


@pytest.mark.parametrize(
    ("form", "call", "words"),
    [
        ("answer=yes", "ConfirmForward", "Copies will come"),
        ("answer=no", "StopForward", "Stopped"),
        ("", "StopForward", "Stopped"),
        ("List-Unsubscribe=One-Click", "StopForward", "Stopped"),
        ("answer=yes&answer=no" + "x" * 2000, "StopForward", "Stopped"),
    ],
)
async def test_the_answer(world: World, form: str, call: str, words: str) -> None:
    # As a browser sends it from a page that says nothing of where it is: without a word about its origin, and as a
    # mail program does.
    headers = {"content-type": "application/x-www-form-urlencoded", "origin": "null"}
    answer = await world.site.client.post(f"/f/{TOKEN}", content=form, headers=headers)
    assert (answer.status_code, world.asked()) == (200, [call])
    assert words in answer.text
    assert world.accounts.asked[0][1].token == TOKEN


async def test_a_link_that_no_longer_works(world: World) -> None:
    world.accounts.errors = {
        "ConfirmForward": NotFoundError("forward_unknown"),
        "StopForward": NotFoundError("forward_unknown"),
    }
    assert "no longer works" in (await world.site.client.post("/f/x", content="answer=yes")).text
    assert "Nothing more is forwarded" in (await world.site.client.post("/f/x", content="answer=no")).text


async def test_not_now(world: World) -> None:
    world.accounts.errors["ConfirmForward"] = UnavailableError("unreachable")
    answer = await world.site.client.post(f"/f/{TOKEN}", content="answer=yes")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
