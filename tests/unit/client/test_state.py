"""The kept session: for its owner's eyes, whole or not at all, and nothing of the key in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from libs.client import state
from libs.client.errors import UsageError

SESSION = state.Session("https://sealpost.test", "ada@sealpost.test", "token")


def test_kept_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "session.json"
    assert state.load(path) is None
    state.save(path, SESSION)
    state.save(path, SESSION)
    assert state.load(path) == SESSION
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o077 == 0
    assert [entry.name for entry in path.parent.iterdir()] == ["session.json"]
    state.forget(path)
    state.forget(path)
    assert state.load(path) is None


def test_a_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "session.json"
    state.save(path, SESSION)
    path.chmod(0o640)
    with pytest.raises(UsageError) as caught:
        state.load(path)
    assert caught.value.reason == "state_open"


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"url": "x"}', "x" * 20_000])
def test_a_damaged_file_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "session.json"
    path.touch(mode=0o600)
    path.write_text(content)
    with pytest.raises(UsageError):
        state.load(path)


def test_links_and_directories_are_refused(tmp_path: Path) -> None:
    state.save(tmp_path / "real", SESSION)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for path in (tmp_path / "link", tmp_path):
        with pytest.raises(UsageError):
            state.load(path)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError):
        state.save(tmp_path / "file" / "session.json", SESSION)


def test_where_it_is_kept() -> None:
    assert state.default_path({"XDG_STATE_HOME": "/x"}) == Path("/x/sealpost/session.json")
    for environ in ({}, {"XDG_STATE_HOME": "relative"}):
        assert state.default_path(environ) == Path.home() / ".local/state/sealpost/session.json"


def test_the_token_is_not_printed() -> None:
    assert "token" not in repr(SESSION)
