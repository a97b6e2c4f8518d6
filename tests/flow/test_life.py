"""120 days in the life of one platform, lived in minutes: its clocks are moved, everything else is as users have it."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.ledger_procs import wait_for
from tests.support.life import OPERATOR, Life
from tests.support.operators import make_operator

pytestmark = pytest.mark.timeout(400)

SWIFT = {"sweep_seconds": 1}
SETTINGS = {name: f"settings of {name}, sealed".encode() for name in ("bob", "carl")}


def test_120_days(tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.start(SWIFT)
    stages: tuple[Callable[[Life], None], ...] = (_sign_up, _idle, _public_mail_goes)
    try:
        for stage in stages:
            began = time.monotonic()
            stage(life)
            acted = time.monotonic()
            life.assert_well()
            print(f"day {life.day:6.2f} {stage.__name__} {acted - began:.1f} s, {time.monotonic() - acted:.1f} s")
    finally:
        life.stop()


def _sign_up(life: Life) -> None:
    for name in ("ada", "bob", "carl", "eve", OPERATOR):
        life.sign_up(name)
    make_operator(life.platform, life.address(OPERATOR))
    for name in ("ada", "bob", "eve"):
        life.mail(life.address(name), f"for {name}")
        (mail,) = life.wait_mails(name)
        assert f"{life.token} for {name}".encode() in life.client(name).read(mail.id)
    life.mail(life.inbox("free"))
    wait_for("public mail", lambda: len(life.client("eve").public(life.inbox("free")).mails) == 1)
    for name, settings in SETTINGS.items():
        _save_settings(life, name, settings)
    assert life.holding(*SETTINGS.values()).keys() == set(SETTINGS.values())
    assert life.in_clear() == []


def _save_settings(life: Life, name: str, settings: bytes) -> None:
    sealed = base64.b64encode(b"\xc1" + settings).decode()
    life.ask(name, "PUT", "/v1/objects/settings", {"sealed": sealed, "version": 0})


def _idle(life: Life) -> None:
    life.client("eve")
    with life.http("eve") as session:
        life.let_pass(minutes=15)
        assert session.get("/v1/session").status_code == 200
        life.let_pass(minutes=31)
        assert session.get("/v1/session").status_code == 401


def _public_mail_goes(life: Life) -> None:
    inbox = life.inbox("free")
    (mail,) = life.client("eve").public(inbox).mails
    life.until(3.9)
    assert [one.id for one in life.client("eve").public(inbox).mails] == [mail.id]
    assert life.holding(mail.id).keys() == {mail.id}
    life.until(4.1)
    assert life.client("eve").public(inbox).mails == []
    wait_for("no trace of it", lambda: life.holding(mail.id) == {}, 20)
    assert len(life.client("eve").list()) == 1
