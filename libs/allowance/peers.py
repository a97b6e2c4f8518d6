"""Allowances over gRPC, and the room of mailboxes by the plans of their owners."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from libs.allowance.allowances import UNSAID, Account, Allowances, Answer, Limits, Question
from libs.mailbox.model import Route
from libs.runtime.context import ServiceContext
from libs.runtime.errors import from_code
from protos.billing.v1 import billing_pb2 as pb
from protos.billing.v1.billing_pb2_grpc import BillingStub
from protos.common.v1 import common_pb2

if TYPE_CHECKING:
    from protos.billing.v1.billing_pb2_grpc import BillingAsyncStub

_TIMEOUT = 2.0


class BillingGranter:
    """Implements allowances.Granter."""

    def __init__(self, stub: BillingAsyncStub) -> None:
        """Ask billing."""
        self._stub = stub

    async def grant(self, questions: Sequence[Question]) -> Sequence[Answer | Exception]:
        """See Granter."""
        request = pb.GrantRequest(items=[_item(question) for question in questions])
        response = await self._stub.Grant(request, timeout=_TIMEOUT)
        return [_answer(result) for result in response.results]


class PlannedRoom:
    """Puts what the plan of its owner has room for into the route of a mailbox."""

    def __init__(self, allowances: Allowances) -> None:
        """Ask `allowances`."""
        self._allowances = allowances

    async def __call__(self, route: Route) -> Route:
        """Return the route with its room; a mailbox of nobody keeps its own.

        Where nobody knows the plan, because billing is away, mail is taken: it must not be refused for that.
        """
        if not route.account_id or not route.profile:
            return route
        limits = await self._allowances.limits(Account(route.account_id, route.profile, route.mailbox_id))
        if limits is None:
            return replace(route, quota_bytes=0)
        if limits.storage_bytes == UNSAID:
            return route
        return replace(route, quota_bytes=max(0, limits.storage_bytes))


def open_allowances(ctx: ServiceContext[Any]) -> Allowances | None:
    """Return the allowances of a process, given back at its end; None where the installation has no billing."""
    if "billing" not in ctx.settings.peers:
        return None
    allowances = Allowances(BillingGranter(BillingStub(ctx.peer("billing"))), ctx.clock)
    ctx.stack.push_async_callback(allowances.close)
    return allowances


def _item(question: Question) -> pb.GrantItem:
    return pb.GrantItem(
        account_id=question.account.account_id,
        mailbox_id=question.account.mailbox_id,
        profile=common_pb2.Profile.Value(f"PROFILE_{question.account.profile.upper()}"),
        meter=question.meter,
        wanted=question.wanted,
        returned=question.returned,
        owed=question.owed,
        day=question.day,
        reference=question.reference,
    )


def _answer(result: pb.GrantResult) -> Answer | Exception:
    if result.HasField("failure"):
        return from_code(result.failure.code, result.failure.reason)
    held = result.limits
    limits = Limits(held.storage_bytes, held.addresses, held.read_only, held.grace_until)
    return Answer(result.granted, result.until, result.refusal, limits)
