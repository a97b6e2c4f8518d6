"""policy.yaml is read strictly, and what runs is within its own budget."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from libs.policy import PolicyError, load_policy
from libs.policy.loader import PATH, read_policy

Raw = dict[str, Any]
_SPOILED: list[tuple[Callable[[Raw], object], str]] = [
    (lambda raw: raw.update(extra=1), "extra"),
    (lambda raw: raw.update(version="1"), "version"),
    (lambda raw: raw.pop("budget"), "budget"),
    (lambda raw: raw["metrics"].clear(), "metrics"),
    (lambda raw: raw["metrics"].update({"Bad Name": raw["metrics"]["logins"]}), "Bad Name"),
    (lambda raw: raw["metrics"]["logins"].update(unit="person"), "unit"),
    (lambda raw: raw["metrics"]["logins"].update(per_unit=0), "per_unit"),
    (lambda raw: raw["metrics"]["logins"].update(per_unit=2.5), "per_unit"),
    (lambda raw: raw["metrics"]["logins"]["dimensions"]["door"].remove("other"), "other"),
    (lambda raw: raw["metrics"]["logins"]["dimensions"]["door"].append("page"), "twice"),
    (lambda raw: raw["metrics"]["logins"]["dimensions"]["door"].append("a door\r\n"), "door"),
    (lambda raw: raw["metrics"]["logins"]["cuts"]["by_outcome"].update(dimensions=["colour"]), "colour"),
    (lambda raw: raw["metrics"]["logins"]["cuts"]["by_outcome"].update(dimensions=["door", "door"]), "twice"),
    (lambda raw: raw["metrics"]["logins"]["cuts"]["by_outcome"].update(window="week"), "window"),
    (lambda raw: raw["metrics"]["logins"]["cuts"]["by_outcome"].update(epsilon=0), "epsilon"),
    (lambda raw: raw["metrics"]["logins"]["cuts"]["by_outcome"].update(keys="unknown"), "delta"),
    (lambda raw: raw["metrics"]["logins"]["cuts"]["by_outcome"].update(delta=1e-6), "delta"),
    (lambda raw: raw["metrics"]["campaign_responses"]["cuts"]["by_campaign"].update(keys="known", delta=0), "unknown"),
    (lambda raw: raw["budget"].update(epsilon_per_day=3.9), "epsilons"),
    (lambda raw: raw["budget"].update(delta_per_day=1e-6), "deltas"),
]


@pytest.mark.parametrize(("spoil", "named"), _SPOILED)
def test_faults_are_named(tmp_path: Path, spoil: Callable[[Raw], object], named: str) -> None:
    # Written out in full: the file's own anchors would change with it.
    raw = copy.deepcopy(yaml.safe_load(PATH.read_text(encoding="utf-8")))
    raw["metrics"] = {name: copy.deepcopy(metric) for name, metric in raw["metrics"].items()}
    spoil(raw)
    file = tmp_path / "policy.yaml"
    file.write_text(yaml.safe_dump(raw), encoding="utf-8")
    with pytest.raises(PolicyError, match=named):
        read_policy(tmp_path)


def test_more_cells_than_can_be_shown_need_a_threshold(tmp_path: Path) -> None:
    raw = yaml.safe_load(PATH.read_text(encoding="utf-8"))
    logins = raw["metrics"]["logins"]
    logins["dimensions"] = {name: ["other", *(f"v{n}" for n in range(150))] for name in ("door", "outcome")}
    file = tmp_path / "policy.yaml"
    file.write_text(yaml.safe_dump(raw), encoding="utf-8")
    with pytest.raises(PolicyError, match="more than 10000 cells"):
        read_policy(tmp_path)


def test_no_yaml_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("metrics: [", encoding="utf-8")
    with pytest.raises(PolicyError, match="no YAML"):
        read_policy(tmp_path)


def test_the_budget_pays_for_a_day_with_one_loss_of_memory() -> None:
    policy = load_policy()
    cuts = [cut for metric in policy.metrics.values() for cut in metric.cuts.values()]
    assert 2 * math.fsum(cut.epsilon for cut in cuts) <= policy.budget.epsilon_per_day + 1e-9
    assert 2 * math.fsum(cut.delta for cut in cuts) <= policy.budget.delta_per_day


def test_what_the_five_policies_log_is_covered() -> None:
    metrics = load_policy().metrics
    assert {"page", "status", "version", "browser", "referrer", "language"} == set(metrics["http_requests"].dimensions)
    assert {"visitors", "daily_visitors", "smtp_sessions", "mail_stored", "mail_opened"} < set(metrics)
    assert {"sign_ups", "logins", "deliveries", "campaign_responses"} < set(metrics)
    assert {metric.unit for metric in metrics.values()} == {"ip", "account", "recipient"}
