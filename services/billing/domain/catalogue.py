"""Reads the catalogue: a file of versions, each with plans, prices and taxes, checked as a whole at the start.

The file is the operator's, so every fault is found at once and named with its place. Money is whole minor units; a
number with a point in it is refused wherever an amount is expected. A version holds from the first of a month on, so
that every month is billed by one version.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from libs.runtime.settings import SettingsError
from libs.runtime.strict_yaml import YamlError, read_mapping
from services.billing.domain import model
from services.billing.domain.catalogue_file import File, Offer, TierPart, Version

_EPOCH = date(1970, 1, 1)
# What nobody asks for before, so that no bound could hold.
_AFTERWARDS = (model.Meter.MAILS_DELIVERED, model.Meter.MAILS_STORED)


@dataclass(frozen=True)
class Catalogues:
    """All versions, oldest first."""

    versions: tuple[model.Catalogue, ...]

    def on(self, day: int) -> model.Catalogue:
        """Return the version that holds on `day`, days since 1970-01-01; before all of them, the first."""
        holding = [version for version in self.versions if version.from_day <= day]
        return holding[-1] if holding else self.versions[0]

    def default_plan(self, profile: model.Profile, day: int) -> str:
        """Return what an account of a profile has that never chose, on a day."""
        return self.on(day).defaults[profile]

    def version(self, number: int) -> model.Catalogue | None:
        """Return the version of this number, None if there is none."""
        return next((version for version in self.versions if version.version == number), None)


def load_catalogues(path: Path) -> Catalogues:
    """Return what the file says. Raises: SettingsError, with all faults and their places."""
    try:
        return catalogues_of(read_mapping(path))
    except YamlError as error:
        raise SettingsError([str(error)]) from error


def catalogues_of(raw: Mapping[str, Any]) -> Catalogues:
    """Return what `raw` says. Raises: SettingsError, with all faults and their places."""
    try:
        file = File.model_validate(raw)
    except ValidationError as error:
        raise SettingsError([f"{_place(fault['loc'])}: {fault['msg']}" for fault in error.errors()]) from error
    faults = [*_order_faults(file.versions)]
    for version in file.versions:
        faults += [f"version {version.version}: {fault}" for fault in _faults(version)]
    if faults:
        raise SettingsError(faults)
    return Catalogues(tuple(_catalogue(file, version) for version in file.versions))


def day_of(when: date) -> int:
    """Return the days since 1970-01-01."""
    return (when - _EPOCH).days


def _place(location: Sequence[int | str]) -> str:
    return ".".join(map(str, location)) or "the file"


def _order_faults(versions: Sequence[Version]) -> Iterator[str]:
    for older, newer in pairwise(versions):
        if newer.version != older.version + 1:
            yield f"version {newer.version}: follows {older.version}"
        if newer.from_ <= older.from_:
            yield f"version {newer.version}: does not begin after version {older.version}"
        if gone := sorted(set(older.plans) - set(newer.plans)):
            yield f"version {newer.version}: lacks the plans {', '.join(gone)}; mark as retired what nobody may choose"


def _faults(version: Version) -> Iterator[str]:
    if version.from_.day != 1:
        yield "from: not the first day of a month"
    for name, plan in version.plans.items():
        yield from (f"plans.{name}.{fault}" for fault in _plan_faults(plan))
    for meter, tiers in version.prices.items():
        yield from (f"prices.{meter}: {fault}" for fault in _tier_faults(tiers))
    for profile in model.Profile:
        default = version.plans.get(version.defaults.get(profile, ""))
        if default is None:
            yield f"defaults.{profile}: names no plan"
        elif default.profile is not profile or default.price or default.retired:
            yield f"defaults.{profile}: not a free plan of this profile that can be chosen"


def _plan_faults(plan: Offer) -> Iterator[str]:
    if plan.trial_days and not plan.price:
        yield "trial_days: the plan is free"
    for meter, allowance in plan.allowances.items():
        yield from (f"allowances.{meter}: {fault}" for fault in _tier_faults(allowance.tiers))
        if allowance.tiers and (allowance.per is not model.Per.MONTH or allowance.included == model.UNLIMITED):
            yield f"allowances.{meter}: tiers are for what is bounded by month"
        if meter in _AFTERWARDS and not allowance.tiers and allowance.included != model.UNLIMITED:
            yield f"allowances.{meter}: is counted when it has happened, so it has tiers or is unlimited"


def _tier_faults(tiers: Sequence[TierPart]) -> Iterator[str]:
    if not tiers:
        return
    if tiers[0].above != 0:
        yield "the first tier does not begin above 0"
    if any(later.above <= earlier.above for earlier, later in pairwise(tiers)):
        yield "tiers do not ascend"
    if any(later.above % earlier.per_units for earlier, later in pairwise(tiers)):
        yield "a tier ends within a lot"


def _catalogue(file: File, version: Version) -> model.Catalogue:
    return model.Catalogue(
        version=version.version,
        from_day=day_of(version.from_),
        currency=file.currency,
        digits=file.digits,
        plans={name: _plan(name, plan) for name, plan in version.plans.items()},
        defaults=version.defaults,
        taxes={country: model.Tax(tax.rate, tax.title) for country, tax in version.taxes.items()},
        seller=model.Seller(**file.seller.model_dump()),
        credit_packs=version.credit_packs,
        prices={meter: _tiers(tiers) for meter, tiers in version.prices.items()},
        payment_days=version.payment_days,
        grace_days=version.grace_days,
        notice_days=version.notice_days,
    )


def _plan(name: str, plan: Offer) -> model.Plan:
    allowances = {
        meter: model.Allowance(meter, allowance.per, allowance.included, _tiers(allowance.tiers))
        for meter, allowance in plan.allowances.items()
    }
    return model.Plan(name, plan.profile, plan.title, plan.help, plan.price, allowances, plan.trial_days, plan.retired)


def _tiers(tiers: Sequence[TierPart]) -> tuple[model.Tier, ...]:
    return tuple(tier.tier() for tier in tiers)
