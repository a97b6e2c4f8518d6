"""Alert rules and dashboards: they speak of metrics and outcomes that exist, and Prometheus can read them."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from libs.rpc import observer
from tests.support import chart
from tests.support.tools import require_tool

_FILES = chart.CHART / "files"
_ALERTS = yaml.safe_load((_FILES / "alerts.yaml").read_text())
_DASHBOARDS = sorted((_FILES / "dashboards").glob("*.json"))
_SUFFIXES = ("_bucket", "_sum", "_count", "")
# What prometheus-client's ProcessCollector adds.
_PROCESS = {
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_open_fds",
    "process_max_fds",
}
_EVERYTHING = {"podMonitor": True, "rules": True, "dashboards": True, "labels": {"release": "prometheus"}}


def declared() -> set[str]:
    """Return the names of all metrics that the code declares."""
    sources = [path for part in ("libs", "services") for path in (chart.ROOT / part).rglob("*.py")]
    return {name for path in sources for name in re.findall(r'"(sealpost_[a-z0-9_]+)"', path.read_text())}


def alerts() -> list[dict[str, Any]]:
    """Return every alert."""
    return [rule for group in _ALERTS["groups"] for rule in group["rules"]]


def panels(path: Path) -> list[dict[str, Any]]:
    """Return the panels of a dashboard."""
    found: list[dict[str, Any]] = json.loads(path.read_text())["panels"]
    return found


def expressions() -> Iterator[str]:
    """Return every expression in PromQL."""
    yield from (rule["expr"] for rule in alerts())
    for path in _DASHBOARDS:
        yield from (target["expr"] for panel in panels(path) for target in panel["targets"])


def unknown_metrics(expression: str, known: set[str]) -> set[str]:
    """Return the metrics of an expression that nobody declares."""
    names = set(re.findall(r"\b(?:sealpost|process)_[a-z0-9_]+", expression))
    return {name for name in names if not any(name.removesuffix(suffix) in known for suffix in _SUFFIXES)}


def test_every_metric_exists() -> None:
    known = declared() | _PROCESS
    assert len(list(expressions())) > 40
    assert {name for expression in expressions() for name in unknown_metrics(expression, known)} == set()


def test_a_metric_that_nobody_declares_is_found() -> None:
    assert unknown_metrics("rate(sealpost_smtp_moods_total[5m])", declared()) == {"sealpost_smtp_moods_total"}


def test_outcomes_of_calls_exist() -> None:
    named = {
        word
        for expression in expressions()
        for listed in re.findall(r'sealpost_rpc_\w+\{outcome=~"([a-z_|]+)"', expression)
        for word in listed.split("|")
    }
    assert named
    assert named <= set(observer._OUTCOMES)


def test_every_alert_says_what_to_do() -> None:
    names = [rule["alert"] for rule in alerts()]
    assert len(set(names)) == len(names)
    for rule in alerts():
        assert rule["labels"]["severity"] in ("critical", "warning"), rule["alert"]
        assert len(rule["annotations"]["summary"]) > 20, rule["alert"]
        assert len(rule["annotations"]["description"]) > 20, rule["alert"]


@pytest.mark.parametrize("path", _DASHBOARDS, ids=lambda path: path.stem)
def test_every_panel_says_what_it_shows(path: Path) -> None:
    dashboard = json.loads(path.read_text())
    assert len({panel["id"] for panel in panels(path)}) == len(panels(path))
    assert all(panel["title"] and panel["description"] and panel["targets"] for panel in panels(path))
    assert dashboard["title"].startswith("sealpost: ")
    assert "http" not in path.read_text()


def test_the_chart_brings_them_where_asked_for() -> None:
    manifests = chart.render({"monitoring": _EVERYTHING})
    rules = chart.find(manifests, "PrometheusRule", "sealpost")
    assert rules["spec"] == _ALERTS
    assert rules["metadata"]["labels"]["release"] == "prometheus"
    monitor = chart.find(manifests, "PodMonitor", "sealpost")
    assert monitor["spec"]["podMetricsEndpoints"][0]["port"] == "metrics"
    shown = chart.find(manifests, "ConfigMap", "sealpost-dashboards")["data"]
    assert {name: json.loads(text) for name, text in shown.items()} == {
        path.name: json.loads(path.read_text()) for path in _DASHBOARDS
    }


def test_by_default_no_operator_of_prometheus_is_needed() -> None:
    assert not [one for one in chart.render() if one["apiVersion"].startswith("monitoring.")]


def test_prometheus_can_read_them(tmp_path: Path) -> None:
    promtool = require_tool("promtool")
    recording = [{"record": f"panel:{number}", "expr": text} for number, text in enumerate(expressions())]
    (tmp_path / "panels.yaml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": recording}]}))
    for file in (_FILES / "alerts.yaml", tmp_path / "panels.yaml"):
        checked = subprocess.run(
            [promtool, "check", "rules", str(file)], capture_output=True, text=True, timeout=60, check=False
        )
        assert checked.returncode == 0, checked.stdout + checked.stderr
