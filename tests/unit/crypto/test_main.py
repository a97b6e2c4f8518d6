"""The process: it tells its settings, and refuses keys that are none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SEALPOST_")}
    environment.update({f"SEALPOST_{key}": value for key, value in settings.items()})
    command = [sys.executable, "-m", "services.crypto.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)


def test_help_lists_every_setting() -> None:
    done = run("--help")
    assert done.returncode == 0
    for name in ("SEALPOST_KEK_FILE", "SEALPOST_LOOKUP_KEY_FILE", "SEALPOST_KEY_CACHE_TIME", "SEALPOST_SWEEP_INTERVAL"):
        assert name in done.stdout


def test_keys_that_are_none_are_refused_without_being_shown(tmp_path: Path) -> None:
    (tmp_path / "kek").write_text("ab" * 31)
    (tmp_path / "lookup").write_text("cd" * 33)
    done = run(
        KEK_FILE=str(tmp_path / "kek"), LOOKUP_KEY_FILE=str(tmp_path / "lookup"), METRICS_ADDRESS="", STORE="sqlite:x"
    )
    assert done.returncode == 2
    assert "SEALPOST_KEK_FILE: a key file holds" in done.stderr
    assert "SEALPOST_LOOKUP_KEY_FILE: a key file holds" in done.stderr
    assert "abab" not in done.stderr + done.stdout
    assert not list(tmp_path.glob("*.db"))
