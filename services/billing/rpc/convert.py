"""Messages of protos/billing/v1 and protos/common/v1, and what they mean here."""

from __future__ import annotations

from dataclasses import dataclass

from libs.runtime.errors import InvalidError
from protos.billing.v1 import billing_pb2 as pb
from protos.common.v1 import common_pb2
from services.billing.domain.journal import Book, Entry
from services.billing.domain.model import DAY, Allowance, Catalogue, Meter, Plan, Profile
from services.billing.standing import Standing

_PROFILES: dict[int, Profile] = {common_pb2.Profile.Value(f"PROFILE_{one.name}"): one for one in Profile}
_LONGEST_ID = 64
# What a meter is called, and one of its units.
_METERS = {
    Meter.MAILS_STORED: ("Mails received", "mail"),
    Meter.MAILS_DELIVERED: ("Mails delivered", "mail"),
    Meter.API_OPERATIONS: ("API operations", "operation"),
    Meter.SENDS: ("Mails sent", "mail"),
    Meter.PIECES: ("Printed pieces", "piece"),
    Meter.STORAGE_BYTES: ("Storage", "byte"),
    Meter.ADDRESSES: ("Addresses", "address"),
}


@dataclass(frozen=True, slots=True)
class Who:
    """Whom a call is about. `mailbox_id` is "" where whoever asks does not know it."""

    account_id: str
    mailbox_id: str
    profile: Profile


def profile_of(value: int) -> Profile:
    """Return the profile. Raises: InvalidError("profile")."""
    found = _PROFILES.get(value)
    if found is None:
        raise InvalidError("profile")
    return found


def who_of(request: pb.AccountRequest) -> Who:
    """Return whom it is about. Raises: InvalidError("account_id" | "profile")."""
    if not 0 < len(request.account_id) <= _LONGEST_ID or len(request.mailbox_id) > _LONGEST_ID:
        raise InvalidError("account_id")
    return Who(request.account_id, request.mailbox_id, profile_of(request.profile))


def meter_of(name: str) -> Meter:
    """Return the meter of that name. Raises: InvalidError("meter")."""
    try:
        return Meter(name)
    except ValueError as error:
        raise InvalidError("meter") from error


def catalogue_message(catalogue: Catalogue, profile: Profile, provider: str) -> pb.Catalogue:
    """Return what there is for a profile; plans that nobody may choose any more are left out."""
    plans = [plan for plan in catalogue.plans.values() if plan.profile is profile and not plan.retired]
    return pb.Catalogue(
        version=catalogue.version,
        currency=catalogue.currency,
        digits=catalogue.digits,
        plans=[plan_message(plan) for plan in plans],
        provider=provider,
        credit_packs=catalogue.credit_packs,
    )


def plan_message(plan: Plan) -> pb.Plan:
    """Return an offer."""
    return pb.Plan(
        name=plan.name,
        title=plan.title,
        help=plan.help,
        price=plan.price,
        trial_days=plan.trial_days,
        allowances=[_allowance(one) for one in plan.allowances.values()],
    )


def standing_message(standing: Standing) -> pb.Standing:
    """Return how an account stands."""
    customer, balances = standing.customer, standing.balances
    return pb.Standing(
        plan=customer.plan,
        state=customer.state.value,
        state_until=customer.state_until,
        next_plan=customer.next_plan,
        next_plan_at=customer.next_plan_day * DAY,
        used=[pb.Used(allowance=_allowance(allowance), used=used) for allowance, used in standing.used],
        credits=balances.credits,
        credits_held=balances.held,
        due=balances.due,
        due_at=standing.due_day * DAY,
        accruing=standing.accruing,
    )


def entry_message(entry: Entry) -> pb.Entry:
    """Return an entry of a book, as its customer reads it: what he has is positive, what he owes is, too."""
    return pb.Entry(
        at=entry.at,
        kind=entry.posting.kind.value,
        credits=-entry.lines.get(Book.CREDITS, 0),
        held=-entry.lines.get(Book.HELD, 0),
        due=entry.lines.get(Book.RECEIVABLE, 0),
        reference=entry.posting.reference,
    )


def _allowance(allowance: Allowance) -> pb.Allowance:
    title, unit = _METERS[allowance.meter]
    return pb.Allowance(
        meter=allowance.meter.value,
        title=title,
        per=allowance.per.value,
        included=allowance.included,
        tiers=[pb.Tier(above=tier.above, price=tier.price, per_units=tier.per_units) for tier in allowance.tiers],
        unit=unit,
    )
