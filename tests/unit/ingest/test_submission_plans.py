"""Submission by a plan: each recipient is a unit, and what the plan does not allow is refused in plain words."""

from __future__ import annotations

import pytest

from libs.runtime.errors import DeniedError, ExhaustedError, SealpostError, UnavailableError
from services.ingest.domain import Submitter
from tests.support.ingest import serve_submission
from tests.unit.ingest.proofs import sign_in
from tests.unit.ingest.test_submission_mail import submit


class Plan:
    """What a plan allows, as `failure` says; every unit that was taken and given back."""

    def __init__(self, failure: SealpostError | None = None) -> None:
        self.failure, self.taken = failure, 0

    async def take(self, submitter: Submitter, units: int) -> None:
        if self.failure is not None:
            raise self.failure
        self.taken += units

    def give_back(self, submitter: Submitter, units: int) -> None:
        self.taken -= units


@pytest.mark.parametrize(
    ("failure", "reply"),
    [
        (ExhaustedError("allowance_used", retry_after=3600), "452 4.7.1 This is all"),
        (ExhaustedError("plan_lacks"), "550 5.7.1 Your plan"),
        (ExhaustedError("read_only"), "550 5.7.1 A bill is unpaid"),
        (UnavailableError("unreachable"), "451 4.3.0"),
    ],
)
async def test_what_a_plan_does_not_allow_is_not_sent(failure: SealpostError, reply: str) -> None:
    async with serve_submission(sends=Plan(failure)) as server:
        assert (await submit(await sign_in(server))).startswith(reply)
        assert server.delivery.submissions == []


async def test_each_recipient_is_a_unit_and_what_is_refused_is_none() -> None:
    plan = Plan()
    async with serve_submission(sends=plan) as server:
        client = await sign_in(server)
        assert (await submit(client)).startswith("250")
        taken = plan.taken
        assert taken == len(server.delivery.submissions[0].recipients) > 0
        server.delivery.failure = DeniedError("sending_paused")
        assert (await submit(client)).startswith("550")
        assert plan.taken == taken
        # Where nobody knows whether it is sent, it counts.
        server.delivery.failure = UnavailableError("unreachable")
        assert (await submit(client)).startswith("451")
        assert plan.taken == 2 * taken
