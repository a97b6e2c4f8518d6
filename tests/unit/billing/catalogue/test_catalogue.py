"""The catalogue's file: what it may say, and that each fault is named with its place."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from libs.runtime.settings import SettingsError
from libs.runtime.strict_yaml import read_mapping
from services.billing.domain.catalogue import catalogues_of, day_of, load_catalogues
from services.billing.domain.model import UNLIMITED, Meter, Per, Profile, Tier

FILE = Path(__file__).parents[4] / "charts/sealpost/catalogue.yaml"
Change = Callable[[dict[str, Any]], None]


def _changed(change: Change) -> dict[str, Any]:
    raw = copy.deepcopy(read_mapping(FILE))
    change(raw)
    return raw


def _faults(change: Change) -> str:
    with pytest.raises(SettingsError) as caught:
        catalogues_of(_changed(change))
    return str(caught.value)


def _first(change: Change) -> Change:
    return lambda raw: change(raw["versions"][0])


def test_the_chart_s_own() -> None:
    catalogue = load_catalogues(FILE).on(day_of(date(2026, 11, 23)))
    assert catalogue.version == 1
    assert catalogue.taxes["CH"].rate == 8100
    growth = catalogue.plans["growth"]
    assert growth.profile is Profile.RELAY
    delivered = growth.allowances[Meter.MAILS_DELIVERED]
    assert delivered.per is Per.MONTH
    assert delivered.tiers[0] == Tier(0, 70, 1000)
    assert {catalogue.plans[name].profile for name in catalogue.defaults.values()} == set(Profile)


def test_unlimited() -> None:
    def change(version: dict[str, Any]) -> None:
        version["plans"]["free"]["allowances"]["sends"]["included"] = "unlimited"

    found = catalogues_of(_changed(_first(change)))
    assert found.versions[0].plans["free"].allowances[Meter.SENDS].included == UNLIMITED


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("plans", "personal", "price"), 3.0, "plans.personal.price: Value error, a whole number is expected"),
        (("plans", "personal", "price"), "300", "plans.personal.price"),
        (("plans", "personal", "price"), True, "plans.personal.price"),
        (("plans", "personal", "price"), -1, "plans.personal.price"),
        (("plans", "personal", "prize"), 300, "plans.personal.prize: Extra inputs"),
        (("plans", "free", "trial_days"), 7, "plans.free.trial_days: the plan is free"),
        (("plans", "Bad Name"), {}, "plans.Bad Name"),
        (("plans", "personal", "profile"), "member", "plans.personal.profile"),
        (("plans", "free", "allowances", "mails"), {"per": "day", "included": 1}, "allowances.mails"),
        (("taxes", "DE", "rate"), 19.0, "taxes.DE.rate"),
        (("taxes", "DE", "rate"), "19.0001", "more than three decimals"),
        (("taxes", "DE", "rate"), "NaN", "taxes.DE.rate"),
        (("taxes", "Germany"), {"rate": "19", "title": "VAT"}, "taxes.Germany"),
        (("defaults", "sealed"), "none", "defaults.sealed: names no plan"),
        (("defaults", "sealed"), "personal", "defaults.sealed: not a free plan"),
        (("defaults", "sealed"), "starter", "defaults.sealed: not a free plan"),
        (("from",), date(2026, 1, 2), "not the first day of a month"),
        (("grace_days",), 3, "grace_days"),
        (("prices", "pieces"), [{"above": 1, "price": 1}], "prices.pieces: the first tier"),
        (("prices", "pieces"), [{"above": 0, "price": 1}, {"above": 0, "price": 2}], "tiers do not ascend"),
        (("prices", "pieces"), [{"above": 0, "price": 1.5}], "prices.pieces.0.price"),
        (
            ("prices", "pieces"),
            [{"above": 0, "price": 1, "per_units": 1000}, {"above": 1500, "price": 1}],
            "a tier ends within a lot",
        ),
        (
            ("plans", "free", "allowances", "sends"),
            {"per": "day", "included": 5, "tiers": [{"above": 0, "price": 1}]},
            "plans.free.allowances.sends: tiers are for what is bounded by month",
        ),
        (
            ("plans", "starter", "allowances", "mails_delivered"),
            {"per": "month", "included": 3000},
            "plans.starter.allowances.mails_delivered: is counted when it has happened",
        ),
    ],
)
def test_a_fault_is_named_with_its_place(path: tuple[str, ...], value: object, says: str) -> None:
    def change(version: dict[str, Any]) -> None:
        for step in path[:-1]:
            version = version[step]
        version[path[-1]] = value

    assert says in _faults(_first(change))


def test_all_faults_are_named_at_once() -> None:
    def change(version: dict[str, Any]) -> None:
        version["defaults"]["sealed"] = "none"
        version["plans"]["free"]["trial_days"] = 7

    text = _faults(_first(change))
    assert "defaults.sealed" in text
    assert "plans.free.trial_days" in text


def _with_second(change: Change) -> Change:
    def both(raw: dict[str, Any]) -> None:
        second = copy.deepcopy(raw["versions"][0])
        second |= {"version": 2, "from": date(2027, 1, 1)}
        change(second)
        raw["versions"].append(second)

    return both


def test_the_version_of_a_day() -> None:
    found = catalogues_of(_changed(_with_second(lambda second: second["plans"]["personal"].update(price=400))))
    assert found.on(day_of(date(2026, 12, 31))).plans["personal"].price == 300
    assert found.on(day_of(date(2027, 1, 1))).plans["personal"].price == 400
    assert found.on(0).version == 1
    assert found.version(2) is found.on(day_of(date(2030, 1, 1)))
    assert found.version(3) is None


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda second: second.update(version=3), "version 3: follows 1"),
        (lambda second: second.update({"from": date(2026, 1, 1)}), "does not begin after"),
        (lambda second: second["plans"].pop("business"), "lacks the plans business"),
    ],
)
def test_versions_follow_each_other(change: Change, says: str) -> None:
    assert says in _faults(_with_second(change))


def test_files_that_are_none(tmp_path: Path) -> None:
    file = tmp_path / "catalogue.yaml"
    with pytest.raises(SettingsError, match="cannot be read"):
        load_catalogues(file)
    for text, says in (("a: 1\na: 2\n", "stands twice"), ("- 1\n", "a mapping is expected"), ("a: [", "no YAML")):
        file.write_text(text)
        with pytest.raises(SettingsError, match=says):
            load_catalogues(file)
    file.write_text("#" * (2 << 20))
    with pytest.raises(SettingsError, match="larger than"):
        load_catalogues(file)
