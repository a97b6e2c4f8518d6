"""What plans allow, over HTTP: operations of programs are counted, and who may not is told what helps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from libs.allowance import API_OPERATIONS, SENDS, UNSAID, Account, Allowances
from libs.allowance.allowances import Answer, Limits, Question
from libs.runtime.errors import InvalidError, UnavailableError
from services.gateway.http.plan_limits import counted_sends
from tests.support.clock import ManualClock
from tests.unit.gateway.fakes import Gateway, gateway

KEY = {"authorization": "Bearer sp_read"}


class Billing:
    """Answers every question in one way."""

    def __init__(self) -> None:
        self.refusal, self.away, self.granted = "", False, 1
        self.limits = Limits(5, 1, read_only=False)
        self.hangs = False
        self.asked: list[Question] = []

    async def grant(self, questions: Any) -> list[Answer | Exception]:
        """See Granter."""
        if self.away:
            raise UnavailableError("unreachable")
        if self.hangs:
            await asyncio.Event().wait()
        self.asked += questions
        return [Answer(0 if self.refusal else self.granted, 2**40, self.refusal, self.limits) for _ in questions]


@dataclass
class Peerless:
    """Of the peers of a gateway, what counts."""

    allowances: Allowances


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[tuple[Gateway, Billing]]:
    async with gateway(tmp_path) as made:
        billing = Billing()
        state = cast(Any, made.app).app.state
        state.peers = replace(state.peers, allowances=Allowances(billing, ManualClock()))
        yield made, billing


async def test_an_operation_of_a_program_is_counted_and_one_of_the_page_is_not(site: tuple[Gateway, Billing]) -> None:
    made, billing = site
    assert (await made.client.get("/v1/messages", headers=KEY)).status_code == 200
    assert [(one.meter, one.wanted) for one in billing.asked] == [(API_OPERATIONS, 1)]
    made.sign_in()
    assert (await made.client.get("/v1/messages")).status_code == 200
    assert len(billing.asked) == 1


@pytest.mark.parametrize(("refusal", "status"), [("allowance_used", 429), ("plan_lacks", 402)])
async def test_who_may_not_is_told_what_helps(site: tuple[Gateway, Billing], refusal: str, status: int) -> None:
    made, billing = site
    billing.refusal = refusal
    answer = await made.client.get("/v1/messages", headers=KEY)
    assert (answer.status_code, answer.json()["reason"]) == (status, refusal)
    assert "plan" in answer.json()["detail"].lower() and "/v1/billing/" in answer.json()["detail"]
    assert ("retry-after" in answer.headers) == (status == 429)


async def test_while_billing_is_away_programs_read_on(site: tuple[Gateway, Billing]) -> None:
    made, billing = site
    billing.away = True
    assert (await made.client.get("/v1/messages", headers=KEY)).status_code == 200


@pytest.mark.parametrize(
    ("limits", "owing"),
    [
        (Limits(5, 1, read_only=False), None),
        (Limits(5, 1, read_only=True), {"read_only": True, "until": None}),
        (
            Limits(5, 1, read_only=False, grace_until=1_800_000_000),
            {"read_only": False, "until": "2027-01-15T08:00:00Z"},
        ),
    ],
)
async def test_a_late_bill_is_told_with_the_session(
    site: tuple[Gateway, Billing], limits: Limits, owing: dict[str, object] | None
) -> None:
    made, billing = site
    billing.limits = limits
    made.sign_in()
    assert (await made.client.get("/v1/session")).json()["account"]["owing"] == owing


@pytest.mark.parametrize("how", ["away", "hangs"])
async def test_nobody_waits_for_billing_to_be_signed_in(site: tuple[Gateway, Billing], how: str) -> None:
    made, billing = site
    setattr(billing, how, True)
    made.sign_in()
    answer = await made.client.get("/v1/session")
    assert (answer.status_code, answer.json()["account"]["owing"]) == (200, None)


@pytest.mark.parametrize(("planned", "room"), [(5, 5), (-1, 0), (UNSAID, 1000)])
async def test_the_room_that_is_shown_is_that_of_the_plan(
    site: tuple[Gateway, Billing], planned: int, room: int
) -> None:
    made, billing = site
    made.sign_in()
    billing.limits = Limits(planned, 1, read_only=False)
    shown = (await made.client.get("/v1/session")).json()["account"]
    assert shown["quota_bytes"] == room


@pytest.mark.parametrize(
    ("ends", "left"),
    [
        ("", 0),
        ("repeated", 3),
        ("refused", 3),
        # It may have been sent.
        ("away", 0),
    ],
)
async def test_what_was_not_sent_or_was_before_is_not_counted(ends: str, left: int) -> None:
    billing = Billing()
    allowances = Allowances(billing, ManualClock())
    request = cast(Any, SimpleNamespace(app=SimpleNamespace(state=SimpleNamespace(peers=Peerless(allowances)))))
    account = Account("c" * 32, "relay")
    errors = {"refused": InvalidError("too_many_recipients"), "away": UnavailableError("unreachable")}
    billing.granted = 3
    with suppress(InvalidError, UnavailableError):
        async with counted_sends(request, account, 3) as sends:
            if ends in errors:
                raise errors[ends]
            sends.repeated = ends == "repeated"
    asked = len(billing.asked)
    billing.granted = 1
    for _ in range(left):
        await allowances.allow(account, SENDS)
    assert len(billing.asked) == asked
    await allowances.allow(account, SENDS)
    assert len(billing.asked) == asked + 1
