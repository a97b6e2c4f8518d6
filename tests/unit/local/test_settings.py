"""What can be set when the platform runs on one machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from libs.local.settings import LocalError, load


def test_defaults_need_nothing(tmp_path: Path) -> None:
    found = load({}, tmp_path)
    assert (found.home, found.http_port, found.smtp_port) == (tmp_path / ".run", 8080, 2525)


def test_each_variable_counts(tmp_path: Path) -> None:
    found = load(
        {"SEALPOST_HOME": str(tmp_path / "x"), "SEALPOST_SMTP_PORT": "26", "SEALPOST_HOST": "0.0.0.0"}, tmp_path
    )
    assert (found.home, found.smtp_port, found.host) == (tmp_path / "x", 26, "0.0.0.0")


def test_a_file_of_numbers_is_found_from_anywhere(tmp_path: Path) -> None:
    assert load({}, tmp_path).policy_overrides is None
    file = tmp_path / "overrides.yaml"
    assert load({"SEALPOST_POLICY_OVERRIDES": str(file)}, tmp_path).policy_overrides == file.resolve()


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(LocalError) as caught:
        load({"SEALPOST_SMTP_PROT": "26", "SEALPOST_HTTP_PORT": "eighty"}, tmp_path)
    assert "SEALPOST_SMTP_PROT is not known" in str(caught.value)
    assert "SEALPOST_HTTP_PORT must be a number" in str(caught.value)


def test_what_belongs_to_the_tests_is_left_alone(tmp_path: Path) -> None:
    assert load({"SEALPOST_REQUIRE_ALL": "1"}, tmp_path).http_port == 8080
