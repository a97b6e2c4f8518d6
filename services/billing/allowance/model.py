"""The words of allowances: what is asked for and what is granted, and what a plan says of it.

Only what flows is granted: operations and sends. What is held (room, addresses) is told as a limit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from services.billing.domain.model import UNLIMITED, Allowance, Meter, Per, Profile, State
from services.billing.metering.intake import Use

GRANTED = (Meter.API_OPERATIONS, Meter.SENDS)

USED = "allowance_used"
LACKS = "plan_lacks"
READ_ONLY = "read_only"

_AHEAD_PART = 100
_MOST_AHEAD = 100


@dataclass(frozen=True, slots=True)
class PlanLimits:
    """What the plan of an account includes, and how the account stands with its bills."""

    allowances: Mapping[Meter, Allowance]
    state: State
    # Unix seconds at which grace ends; 0: no bill is late.
    grace_until: int = 0


class Plans(Protocol):
    """Knows the plans of accounts."""

    async def limits_of(self, account_id: str, mailbox_id: str, profile: Profile) -> PlanLimits:
        """Return what holds for an account today; makes it known with the default plan of its profile.

        `mailbox_id` is "" where whoever asks does not know it. Raises: SealpostError.
        """


class Recorder(Protocol):
    """Counts uses, each once: metering.intake.Intake."""

    async def take(self, uses: Sequence[Use]) -> int:
        """Count at most 20,000 uses, durably. Raises: UnavailableError: all may be told again."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One item: see GrantItem of protos/billing/v1. Without a meter only the limits are wanted."""

    account_id: str
    mailbox_id: str
    profile: Profile
    meter: Meter | None = None
    wanted: int = 0
    returned: int = 0
    owed: int = 0
    day: int = 0
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Granted:
    """What came of it. `until` (Unix seconds) is when it must not be used any more; `refusal` is "" or one of ours."""

    plan: PlanLimits
    units: int = 0
    until: int = 0
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What of a meter there is at most in a day and in a month; None: no bound. `ahead`: how much is granted ahead."""

    day: int | None = None
    month: int | None = None
    ahead: int = field(default=_MOST_AHEAD)


def bounds_of(allowance: Allowance) -> Bounds:
    """Return the bounds of what an allowance lets an account use; what is priced by tiers has none."""
    if allowance.included == UNLIMITED or allowance.tiers:
        return Bounds()
    ahead = min(_MOST_AHEAD, allowance.included // _AHEAD_PART)
    if allowance.per is Per.DAY:
        return Bounds(day=allowance.included, ahead=ahead)
    return Bounds(month=allowance.included, ahead=ahead)


def refusal_of(plan: PlanLimits, meter: Meter) -> str:
    """Return why nothing at all of a meter is granted, "" where something may be."""
    if plan.state is State.READ_ONLY and meter is Meter.SENDS:
        return READ_ONLY
    allowance = plan.allowances.get(meter)
    if allowance is None or allowance.per is Per.LEVEL or (allowance.included == 0 and not allowance.tiers):
        return LACKS
    return ""
