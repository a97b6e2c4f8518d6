"""What one version of the catalogue changes of the one before it, and what of that has to be announced.

A change is material where somebody may pay more or have less by it. In doubt it is: other lots, another period or a new
bound count as less, since nobody can be sure that they are not. New tiers cost no more than old ones exactly where, at
every boundary, the old lot is a multiple of the new one and its unit costs no less.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from services.billing.domain.model import UNLIMITED, Allowance, Catalogue, Meter, Per, Plan, Profile, Tier
from services.billing.domain.money import said

_EPOCH = date(1970, 1, 1)
_NONE = "none"


@dataclass(frozen=True, slots=True)
class Change:
    """`what` of `plan` is `new` instead of `old`, as people read it; `material`: worse for who has the plan."""

    plan: str
    what: str
    old: str
    new: str
    material: bool


def changes(old: Catalogue, new: Catalogue) -> tuple[Change, ...]:
    """Return what `new` changes for the plans of `old`."""
    found: list[Change] = []
    for name, before in old.plans.items():
        after = new.plans.get(name)
        if after is not None:
            found += _of_plan(before, after, new)
            found += _of_terms(before, old, new)
    return tuple(found)


def month_from(day: int) -> int:
    """Return `day` if a month begins with it, otherwise the first day of the month after."""
    when = date.fromordinal(_EPOCH.toordinal() + day)
    if when.day == 1:
        return day
    return (date(when.year + when.month // 12, when.month % 12 + 1, 1) - _EPOCH).days


def _of_plan(before: Plan, after: Plan, new: Catalogue) -> Iterator[Change]:
    name = before.name
    if before.price != after.price:
        was, now = (said(plan.price, new.digits, new.currency) for plan in (before, after))
        yield Change(name, "price", was, now, material=after.price > before.price)
    if before.trial_days != after.trial_days:
        yield Change(name, "trial_days", str(before.trial_days), str(after.trial_days), material=False)
    if before.retired != after.retired:
        was, now = ("retired" if plan.retired else "offered" for plan in (before, after))
        yield Change(name, "offered", was, now, material=False)
    for meter in Meter:
        yield from _of_allowance(name, before.allowances.get(meter), after.allowances.get(meter))
        tiers = [plan.allowances[meter].tiers if meter in plan.allowances else () for plan in (before, after)]
        # Without tiers there was a bound; that more can be had for money now costs nobody anything who has enough.
        if tiers[0] != tiers[1]:
            was, now = (_tiers_said(some, new) for some in tiers)
            yield Change(name, f"more.{meter}", was, now, material=not _no_dearer(*tiers))


def _of_allowance(plan: str, before: Allowance | None, after: Allowance | None) -> Iterator[Change]:
    if (before and (before.per, before.included)) == (after and (after.per, after.included)):
        return
    known = before or after
    if known is not None:
        yield Change(plan, f"included.{known.meter}", _included(before), _included(after), _is_less(before, after))


def _is_less(before: Allowance | None, after: Allowance | None) -> bool:
    if before is None:
        # What is held at a time is not bounded by a plan that does not name it; of everything else there was nothing.
        return after is not None and after.per is Per.LEVEL
    if after is None or after.per is not before.per:
        return True
    if after.included == UNLIMITED:
        return False
    return before.included == UNLIMITED or after.included < before.included


def _of_terms(plan: Plan, old: Catalogue, new: Catalogue) -> Iterator[Change]:
    """Give what changes for who pays by invoice, and for whose profile something is paid by credits."""
    if plan.price or any(allowance.tiers for allowance in plan.allowances.values()):
        for what, before, after in (
            ("payment_days", old.payment_days, new.payment_days),
            ("grace_days", old.grace_days, new.grace_days),
            ("notice_days", old.notice_days, new.notice_days),
        ):
            if before != after:
                yield Change(plan.name, what, str(before), str(after), material=after < before)
    for meter in Meter:
        tiers = old.prices.get(meter, ()), new.prices.get(meter, ())
        buyer = Profile.MAILING if meter is Meter.PIECES else Profile.RELAY
        if plan.profile is buyer and tiers[0] != tiers[1]:
            was, now = (_tiers_said(some, new) for some in tiers)
            yield Change(plan.name, f"credits.{meter}", was, now, material=not _no_dearer(*tiers))


def _no_dearer(old: Sequence[Tier], new: Sequence[Tier]) -> bool:
    """Tell whether no number of units costs more by `new`."""
    if not old or not new:
        return bool(new)
    for above in sorted({tier.above for tier in (*old, *new)}):
        before, after = _at(old, above), _at(new, above)
        if before.per_units % after.per_units or after.price * before.per_units > before.price * after.per_units:
            return False
    return True


def _at(tiers: Sequence[Tier], above: int) -> Tier:
    return [tier for tier in tiers if tier.above <= above][-1]


def _included(allowance: Allowance | None) -> str:
    if allowance is None:
        return _NONE
    number = "unlimited" if allowance.included == UNLIMITED else said(allowance.included, 0)
    return number if allowance.per is Per.LEVEL else f"{number} a {allowance.per}"


def _tiers_said(tiers: Sequence[Tier], catalogue: Catalogue) -> str:
    texts = []
    for tier in tiers:
        lot = f" per {said(tier.per_units, 0)}" if tier.per_units > 1 else ""
        begins = f" above {said(tier.above, 0)}" if tier.above else ""
        texts.append(f"{said(tier.price, catalogue.digits, catalogue.currency)}{lot}{begins}")
    return ", ".join(texts) or _NONE
