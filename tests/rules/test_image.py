"""The Dockerfile: what goes into an image, and that a service runs with it alone. Docker is not needed."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import chart

DOCKERFILE = (chart.ROOT / "services" / "Dockerfile").read_text()
INSTRUCTIONS = [
    line for line in re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.M)).splitlines() if line
]
SERVICES = sorted(path.parent.name for path in (chart.ROOT / "services").glob("*/main.py"))


def stage(name: str) -> list[str]:
    """Return the instructions of the stage `name`, or of the last one."""
    starts = [number for number, line in enumerate(INSTRUCTIONS) if line.startswith("FROM ")]
    for start, end in zip(starts, [*starts[1:], len(INSTRUCTIONS)], strict=True):
        if INSTRUCTIONS[start].endswith(f" AS {name}") or (name == "" and end == len(INSTRUCTIONS)):
            return INSTRUCTIONS[start:end]
    raise AssertionError(f"no stage {name}")


def test_base_images_have_versions_and_the_last_has_no_shell() -> None:
    images = dict(re.findall(r"^ARG (\w+_IMAGE)=(\S+)$", DOCKERFILE, re.M))
    assert set(images) == {"BUILD_IMAGE", "RUN_IMAGE"}
    assert all(":" in image and not image.endswith(":latest") for image in images.values())
    assert "/distroless/" in images["RUN_IMAGE"]
    assert stage("")[0] == "FROM ${RUN_IMAGE}"
    assert not any(line.startswith("RUN ") for line in stage(""))


def test_packages_are_taken_by_their_hashes() -> None:
    installs = [line for line in INSTRUCTIONS if "pip install" in line]
    assert len(installs) == 2
    assert all("--require-hashes" in line and "--no-build-isolation" in line and ".lock" in line for line in installs)
    assert "service.lock" in " ".join(stage("packages"))


def test_nobody_in_it_is_root() -> None:
    assert [line for line in stage("") if line.startswith("USER ")] == ["USER 65532:65532"]
    assert [line for line in stage("") if line.startswith("ENTRYPOINT")] == [
        'ENTRYPOINT ["/usr/bin/python3", "/app/run.py"]'
    ]


def test_only_the_service_goes_in() -> None:
    copied = [line for line in stage("application") if line.startswith("COPY ")]
    assert copied == [
        "COPY libs libs",
        "COPY protos protos",
        "COPY services/__init__.py services/",
        "COPY services/${SERVICE} services/${SERVICE}",
    ]
    assert [line for line in stage("") if line.startswith("COPY ")] == [
        "COPY --from=packages /packages /packages",
        "COPY --from=application /app /app",
    ]


def test_no_setting_is_baked_in() -> None:
    assert "SEALPOST_" not in DOCKERFILE


@pytest.fixture(params=SERVICES)
def image(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """A folder as the image of a service has it."""
    ignore = shutil.ignore_patterns("__pycache__", "node_modules")
    for folder in ("libs", "protos", f"services/{request.param}"):
        shutil.copytree(chart.ROOT / folder, tmp_path / folder, ignore=ignore)
    shutil.copy(chart.ROOT / "services" / "__init__.py", tmp_path / "services")
    return request.param, tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {key: text for key, text in os.environ.items() if not key.startswith("SEALPOST_")}
    environment["PYTHONPATH"] = str(folder)
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=60
    )


def test_a_service_starts_from_its_own_files_alone(image: tuple[str, Path]) -> None:
    name, folder = image
    entry = f'import runpy\n\nrunpy.run_module("services.{name}.main", run_name="__main__", alter_sys=True)\n'
    assert entry.replace("\n", "\\n").replace(name, "%s") in DOCKERFILE
    (folder / "run.py").write_text(entry)
    done = run(folder, "run.py", "--help")
    assert done.returncode == 0, done.stderr
    assert "SEALPOST_GRPC_ADDRESS" in done.stdout


def test_other_services_cannot_be_imported(image: tuple[str, Path]) -> None:
    name, folder = image
    for other in chart.values()["services"]:
        done = run(folder, "-c", f"import services.{other}")
        assert (done.returncode == 0) == (other == name)
