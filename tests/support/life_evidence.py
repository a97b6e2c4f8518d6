"""What is left of a life when its platform is gone: the ledger of evidence, checked by its verifier alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from services.retention.canaries.planting import OF_ACCOUNT, OF_RELAY
from tests.support.life import Life
from tests.support.platform import ROOT

_STEPS = ("version_activated", "clock_held", "clock_confirmed", "version_proposed", "version_announced", "restored")
_LIVED = [*_STEPS[:5], "version_activated", "restored"]
_DONE = {"sweep", "probe", "erasure_begun", "erasure_keys", "erasure_done", "role_granted"}


def assert_evidence(life: Life, ledger: bytes) -> None:
    """Assert that a ledger is genuine and tells this life, by what was published early and late, and no other does."""
    lines = ledger.splitlines(keepends=True)
    entries = [json.loads(line)["entry"] for line in lines if line.startswith(b'{"entry"')]
    early, late = life.published
    for published in (early, late):
        code, said = _verify(life.folder, lines, published)
        assert (code, f"GENUINE: {len(entries)} entries" in said) == (0, True), said
    _assert_told(entries)
    assert not any(word.encode() in ledger for word in life.betrays)
    middle = next(place for place, line in enumerate(lines) if place > len(lines) // 2 and b'"kind":"sweep"' in line)
    entry = json.loads(lines[middle])
    entry["entry"]["data"]["deleted"] += 1
    changed = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
    code, said = _verify(life.folder, [*lines[:middle], changed, *lines[middle + 1 :]], early)
    assert (code, f"entry {entry['entry']['n']}: was changed" in said) == (1, True), said
    code, said = _verify(life.folder, lines[:middle], late)
    assert (code, "are missing" in said) == (1, True), said


def _assert_told(entries: list[dict[str, Any]]) -> None:
    kinds = [one["kind"] for one in entries]
    assert [kind for kind in kinds if kind in _STEPS] == _LIVED
    assert set(kinds) >= _DONE
    canaries = [one["data"] for one in entries if one["kind"] == "canary"]
    assert {one["state"] for one in canaries} == {"gone"}
    assert {one["class"] for one in canaries} == {"public_mail", *OF_ACCOUNT, *OF_RELAY}
    assert [one for one in entries if one["kind"] == "probe" and one["data"].get("result") == "fail"] == []


def _verify(folder: Path, lines: list[bytes], published: bytes) -> tuple[int, str]:
    (folder / "ledger.jsonl").write_bytes(b"".join(lines))
    (folder / "published.json").write_bytes(published)
    program = [sys.executable, "-m", "services.retention.verify", "ledger.jsonl", "--published", "published.json"]
    alone = {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(program, cwd=folder, env=alone, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr
