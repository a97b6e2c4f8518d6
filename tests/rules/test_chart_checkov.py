"""checkov over every rendering and the Dockerfile; what is left out stands here with its reason."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support import chart

LEFT_OUT = {
    "CKV_K8S_15": "versions are not moved, so an image that is there need not be pulled again",
    "CKV_K8S_43": "whoever builds the images knows their digests: services.<name>.image takes one",
    "CKV_DOCKER_2": "the orchestrator asks for health, at /livez and /readyz",
    "CKV_DOCKER_7": "base images are arguments, which it cannot read; test_image.py looks at their defaults",
}
_VENV = chart.ROOT / ".venv-checkov"


@cache
def checkov() -> Path:
    """Return the path of checkov, installing it into an environment of its own where absent: its pins are not ours."""
    program = _VENV / "bin" / "checkov"
    if not program.exists():
        uv = str(chart.ROOT / ".venv" / "bin" / "uv")
        lock = str(chart.ROOT / "requirements" / "checkov.lock")
        python = str(_VENV / "bin" / "python")
        for command in (
            [uv, "venv", "--quiet", "--python", sys.executable, str(_VENV)],
            [uv, "pip", "sync", "--quiet", "--python", python, "--require-hashes", lock],
        ):
            done = subprocess.run(command, capture_output=True, text=True, timeout=150)
            if done.returncode != 0:
                chart.missing("checkov", done.stderr)
    return program


def failures(folder: Path, frameworks: str) -> tuple[int, list[str]]:
    """Return how many checks passed, and which failed where."""
    command = [str(checkov()), "--directory", str(folder), "--framework", *frameworks.split(), "--quiet", "--compact"]
    # It would fetch descriptions from its maker.
    offline = ["--skip-download", "--output", "json", "--skip-check", ",".join(LEFT_OUT)]
    environment = {key: text for key, text in os.environ.items() if key not in ("PYTHONPATH", "BC_API_KEY")}
    done = subprocess.run([*command, *offline], capture_output=True, text=True, timeout=150, env=environment)
    found: Any = json.loads(done.stdout)
    reports = found if isinstance(found, list) else [found]
    failed = [
        f"{one['check_id']} {one['check_name']}: {one['resource']}"
        for report in reports
        for one in report["results"]["failed_checks"]
    ]
    return sum(report["summary"]["passed"] for report in reports), failed


@pytest.mark.timeout(180)
def test_nothing_is_found(tmp_path: Path) -> None:
    for name, values in chart.VARIANTS.items():
        # Their data is random, and to be told so for each is of no use.
        manifests = [one for one in chart.render(values) if one["kind"] != "Secret"]
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump_all(manifests))
    (tmp_path / "Dockerfile").write_text((chart.ROOT / "services" / "Dockerfile").read_text())
    passed, failed = failures(tmp_path, "kubernetes dockerfile")
    assert failed == []
    assert passed > 1000


@pytest.mark.timeout(180)
def test_something_is_found_where_there_is_something(tmp_path: Path) -> None:
    deployment = chart.find(chart.render(), "Deployment", "sealpost-ingest")
    pod = {**deployment["spec"]["template"]["spec"], "hostNetwork": True, "securityContext": {"runAsUser": 0}}
    template = {**deployment["spec"]["template"], "spec": pod}
    broken = {**deployment, "spec": {**deployment["spec"], "template": template}}
    (tmp_path / "broken.yaml").write_text(yaml.safe_dump(broken))
    _, failed = failures(tmp_path, "kubernetes")
    assert any("CKV_K8S_19" in one for one in failed)
