"""What a change of plan does, and when: rules without a wire or a store.

More is had at once and less from the next month on, when what is paid for is over; nobody pays twice for a day. The
first plan with a trial is free of charge for that long, once for an account. Whoever owes something may only go back to
what costs nothing: what he owes he still owes.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from libs.runtime.errors import ConflictError, InvalidError
from services.billing.domain.customers import Customer
from services.billing.domain.model import DAY, Catalogue, State

_EPOCH = date(1970, 1, 1)


def changed(customer: Customer, plan: str, catalogue: Catalogue, today: int) -> Customer:
    """Return the customer who asks for `plan` on the day `today`.

    Raises: InvalidError("plan") for one that is not offered to him; ConflictError("read_only") for one that costs
    something while a bill is unpaid.
    """
    offer = catalogue.plans.get(plan)
    if offer is None or offer.profile is not customer.profile or (offer.retired and plan != customer.plan):
        raise InvalidError("plan")
    if plan == customer.plan:
        return replace(customer, next_plan="", next_plan_day=0)
    if customer.state is State.READ_ONLY and offer.price:
        raise ConflictError("read_only")
    present = catalogue.plans[customer.plan].price
    if offer.price < present and customer.state is not State.TRIAL:
        return replace(customer, next_plan=plan, next_plan_day=next_month(today))
    return _at_once(customer, plan, catalogue, today)


def advanced(customer: Customer, catalogue: Catalogue, now: int) -> Customer:
    """Return the customer after what was to come until `now`, Unix seconds: the end of a trial, another plan."""
    if customer.state is State.TRIAL and customer.state_until and customer.state_until <= now:
        ended = customer.with_plan(customer.plan, customer.state_until // DAY)
        return replace(
            ended,
            state=State.ACTIVE,
            state_until=0,
            next_plan=customer.next_plan,
            next_plan_day=customer.next_plan_day,
        )
    if customer.next_plan_day and customer.next_plan_day * DAY <= now:
        follows = customer.with_plan(customer.next_plan, customer.next_plan_day)
        return follows if customer.owing else replace(follows, state=_state(catalogue, follows.plan), state_until=0)
    return customer


def next_month(day: int) -> int:
    """Return the first day of the month after that of `day`."""
    when = date.fromordinal(_EPOCH.toordinal() + day)
    return (date(when.year + when.month // 12, when.month % 12 + 1, 1) - _EPOCH).days


def _at_once(customer: Customer, plan: str, catalogue: Catalogue, today: int) -> Customer:
    offer = catalogue.plans[plan]
    if customer.owing:
        return customer.with_plan(plan, today)
    if customer.state is State.TRIAL and offer.price:
        # The trial goes on with the other plan.
        return customer.with_plan(plan, today, billed=False)
    if offer.trial_days and not customer.trial_day:
        began = replace(customer.with_plan(plan, today, billed=False), trial_day=today)
        return replace(began, state=State.TRIAL, state_until=(today + offer.trial_days) * DAY)
    return replace(customer.with_plan(plan, today), state=_state(catalogue, plan), state_until=0)


def _state(catalogue: Catalogue, plan: str) -> State:
    return State.ACTIVE if catalogue.plans[plan].price else State.FREE
