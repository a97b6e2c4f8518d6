"""Set-up: steps that stand are not done again, those that fail say why."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from libs.local import bootstrap


def step(tmp_path: Path, runs: list[str], *, fail: bool = False) -> bootstrap.Step:
    source, made = bootstrap.ROOT / "pyproject.toml", tmp_path / "made"

    def run(progress: bootstrap.Progress) -> None:
        runs.append("run")
        if fail:
            raise bootstrap.SetupError("broken")
        made.write_text("made")

    return bootstrap.Step("step", tmp_path / "stamp", (source,), (made,), run)


def test_a_step_that_stands_is_not_done_again(tmp_path: Path) -> None:
    runs: list[str] = []
    for _ in range(2):
        bootstrap.perform(step(tmp_path, runs))
    assert runs == ["run"]


def test_a_missing_output_or_another_input_does_it_again(tmp_path: Path) -> None:
    runs: list[str] = []
    bootstrap.perform(step(tmp_path, runs))
    (tmp_path / "made").unlink()
    bootstrap.perform(step(tmp_path, runs))
    (tmp_path / "stamp").write_text("another digest")
    bootstrap.perform(step(tmp_path, runs))
    assert len(runs) == 3


def test_a_failed_step_leaves_no_stamp(tmp_path: Path) -> None:
    with pytest.raises(bootstrap.SetupError, match="broken"):
        bootstrap.perform(step(tmp_path, [], fail=True))
    assert not (tmp_path / "stamp").exists()


def test_a_failing_command_shows_its_last_lines() -> None:
    command = [sys.executable, "-c", "print('first'); print('the reason'); raise SystemExit(3)"]
    with pytest.raises(bootstrap.SetupError, match=r"ended with 3(.|\n)*the reason"):
        bootstrap.run_logged(command, lambda line: None)


def test_only_the_two_kinds_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert bootstrap.main(["prod"]) == 2
    assert "usage" in capsys.readouterr().err
