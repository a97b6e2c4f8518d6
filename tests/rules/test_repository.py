"""The repository keeps its own rules, and each rule bites."""

from __future__ import annotations

import importlib
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from libs.local.plan import ROOT, calls_table
from tests.rules.repository_rules import (
    Faults,
    docstring_faults,
    length_faults,
    lock_faults,
    npm_lock_faults,
    place_faults,
)

_CODE = (".py", ".ts", ".tsx", ".proto", ".yaml", ".tpl")


def tracked() -> list[Path]:
    """Return the files that git tracks, those deleted in the working tree left out."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True).stdout
    paths = [ROOT / name for name in listed.decode().split("\0") if name]
    return [path for path in paths if path.is_file()]


@pytest.mark.parametrize("name", ["service", "local", "dev", "checkov"])
def test_pip_locks(name: str) -> None:
    assert list(lock_faults((ROOT / "requirements" / f"{name}.lock").read_text())) == []


def test_npm_locks() -> None:
    locks = [path for path in tracked() if path.name == "package-lock.json"]
    assert len(locks) >= 2
    for path in locks:
        assert list(npm_lock_faults(path.read_text())) == [], path


@pytest.mark.parametrize("name", sorted(calls_table()))
def test_services_say_what_they_are(name: str) -> None:
    docstring = importlib.import_module(f"services.{name}").__doc__ or ""
    assert list(docstring_faults(name, docstring, calls_table()[name])) == []


def test_no_file_is_too_long_and_none_names_a_machine() -> None:
    faults: list[str] = []
    for path in tracked():
        name = str(path.relative_to(ROOT))
        if path.suffix in _CODE:
            text = path.read_text(encoding="utf-8")
            faults += [*length_faults(name, text), *place_faults(name, text)]
        elif path.suffix in {".md", ".toml", ".json"} or path.name == "Makefile":
            faults += place_faults(name, path.read_text(encoding="utf-8"))
    assert faults == []


@pytest.mark.parametrize(
    ("rule", "broken"),
    [
        (lock_faults, "a==1 \\\n    --hash=sha256:00\nb==2\n"),
        (lock_faults, "a>=1 \\\n    --hash=sha256:00\n"),
        (lock_faults, "# from http://index.test/simple\na==1 \\\n    --hash=sha256:00\n"),
        (npm_lock_faults, json.dumps({"packages": {"": {}, "a": {}}})),
        (npm_lock_faults, json.dumps({"packages": {"a": {"integrity": "x", "resolved": "http://index.test/a"}}})),
        (lambda text: length_faults("x.py", text), "\n" * 401),
        (lambda text: place_faults("x.py", text), "path = '/" + "home/ada/mail'"),
        (lambda text: docstring_faults("x", text, ["crypto"]), "Owns: x. Calls: nobody. Emits: y. Never sees: z."),
        (lambda text: docstring_faults("x", text, []), "Calls: nobody."),
    ],
)
def test_each_rule_bites(rule: Callable[[str], Faults], broken: str) -> None:
    assert list(rule(broken)) != []
