"""Grant of protos/billing/v1, read and answered. The servicer of billing calls `grant`."""

from __future__ import annotations

from libs.runtime.errors import InvalidError, SealpostError
from protos.billing.v1 import billing_pb2 as pb
from protos.common.v1 import common_pb2
from services.billing.allowance.grants import MOST_ITEMS, Grants, Result
from services.billing.allowance.model import GRANTED, Ask, PlanLimits, bounds_of, refusal_of
from services.billing.domain.model import UNLIMITED, Meter, Profile, State

_UNSAID = -2
_PROFILES = {common_pb2.Profile.Value(f"PROFILE_{one.name}"): one for one in Profile}


async def grant(grants: Grants, request: pb.GrantRequest) -> pb.GrantResponse:
    """Answer Grant. Raises: InvalidError("too_many_items"), UnavailableError."""
    if len(request.items) > MOST_ITEMS:
        raise InvalidError("too_many_items")
    read = [_ask(item) for item in request.items]
    answers = iter(await grants.grant([one for one in read if isinstance(one, Ask)]))
    return pb.GrantResponse(results=[_result(next(answers) if isinstance(one, Ask) else one) for one in read])


def _ask(item: pb.GrantItem) -> Ask | SealpostError:
    profile = _PROFILES.get(item.profile)
    if profile is None:
        return InvalidError("profile")
    if item.meter and item.meter not in GRANTED:
        return InvalidError("meter")
    return Ask(
        item.account_id,
        item.mailbox_id,
        profile,
        Meter(item.meter) if item.meter else None,
        item.wanted,
        item.returned,
        item.owed,
        item.day,
        item.reference,
    )


def _result(result: Result) -> pb.GrantResult:
    if isinstance(result, SealpostError):
        return pb.GrantResult(failure=common_pb2.Failure(code=result.code, reason=result.reason))
    return pb.GrantResult(granted=result.units, until=result.until, refusal=result.refusal, limits=_limits(result.plan))


def _limits(plan: PlanLimits) -> pb.Limits:
    return pb.Limits(
        storage_bytes=_level(plan, Meter.STORAGE_BYTES),
        addresses=_level(plan, Meter.ADDRESSES),
        sends_per_day=_per_day(plan, Meter.SENDS),
        api_operations_per_day=_per_day(plan, Meter.API_OPERATIONS),
        read_only=plan.state is State.READ_ONLY,
        grace_until=plan.grace_until,
    )


def _level(plan: PlanLimits, meter: Meter) -> int:
    """Return what may be held; a plan that does not name it leaves it to the other rules of the profile."""
    allowance = plan.allowances.get(meter)
    if allowance is None:
        return _UNSAID
    return UNLIMITED if allowance.tiers else allowance.included


def _per_day(plan: PlanLimits, meter: Meter) -> int:
    if refusal_of(plan, meter):
        return 0
    bounds = bounds_of(plan.allowances[meter])
    return UNLIMITED if bounds.day is None else bounds.day
