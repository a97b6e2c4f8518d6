"""120 days in the life of one platform, lived in minutes: its clocks are moved, everything else is as users have it."""

from __future__ import annotations

import base64
import smtplib
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from libs.client.errors import ClientError
from libs.local.backup import MARKER, restore, save
from libs.runtime.clock import SystemClock
from tests.support.ledger_procs import wait_for
from tests.support.life import OPERATOR, Life, overdue
from tests.support.life_evidence import assert_evidence
from tests.support.operators import make_operator

pytestmark = pytest.mark.timeout(400)

SWIFT = {"sweep_seconds": 1}
WEAKER = SWIFT | {"session_idle_seconds": 3600}
SETTINGS = {name: f"settings of {name}, sealed".encode() for name in ("bob", "carl")}


def test_120_days(tmp_path: Path) -> None:
    life = Life(tmp_path)
    life.start(SWIFT)
    try:
        for stage in STAGES:
            began = time.monotonic()
            stage(life)
            acted = time.monotonic()
            life.assert_well()
            print(f"day {life.day:6.2f} {stage.__name__} {acted - began:.1f} s, {time.monotonic() - acted:.1f} s")
        assert life.in_clear() == []
        life.publish()
        ledger = life.ledger()
    finally:
        life.stop()
    assert_evidence(life, ledger)


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
        sealed = base64.b64encode(b"\xc1" + settings).decode()
        life.ask(name, "PUT", "/v1/objects/settings", {"sealed": sealed, "version": 0})
    assert life.holding(*SETTINGS.values()).keys() == set(SETTINGS.values())
    assert life.in_clear() == []


def _idle_session_ends(life: Life) -> None:
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


def _settings_are_used(life: Life) -> None:
    life.until(35)
    assert _settings(life, "bob") == SETTINGS["bob"]


def _settings(life: Life, name: str) -> bytes:
    return base64.b64decode(life.ask(name, "GET", "/v1/objects/settings")["sealed"])[1:]


def _outage(life: Life) -> None:
    """Five days without the platform: nothing is deleted before somebody has said that so much time has gone by."""
    life.until(45)
    life.mail(life.inbox("late"))
    wait_for("public mail", lambda: len(life.client("eve").public(life.inbox("late")).mails) == 1)
    (mail,) = life.client("eve").public(life.inbox("late")).mails
    with life.away(WEAKER, days=5):
        wait_for("the clock to be held", lambda: life.retention()["clock_held"])
        wait_for("mail past its time", lambda: "public_mail" in overdue(life.retention()))
        assert life.holding(mail.id).keys() == {mail.id}
        life.ask(OPERATOR, "POST", "/v1/operator/retention/clock")
    wait_for("no trace of it", lambda: life.holding(mail.id) == {}, 20)
    assert life.status(OPERATOR, "POST", "/v1/operator/retention/clock") == 409
    life.publish()


def _policy_announced(life: Life) -> None:
    wait_for("the candidate", lambda: _states(life) == {1: "active", 2: "proposed"})
    assert _step(life, "activate") == 409
    assert life.ask("eve", "GET", "/v1/session")["account"]["notice"] is None
    assert _step(life, "announce") == 200
    for name in ("ada", "bob", "carl", "eve"):
        wait_for("the notice", partial(_is_asked, life, name), 30)
        wait_for("the letter", partial(_letters, life, name), 30)
    life.ask("eve", "POST", "/v1/rights/notice", {"version": 2, "accept": True})
    life.ask("bob", "POST", "/v1/rights/notice", {"version": 2, "accept": False})


def _policy_in_force(life: Life) -> None:
    life.until(79.8)
    assert _step(life, "activate") == 403
    assert _states(life) == {1: "active", 2: "announced"}
    life.until(80.2)
    wait_for("version 2 in force", lambda: _states(life) == {1: "replaced", 2: "active"})
    wait_for("accounts to know it", lambda: life.ask("eve", "GET", "/v1/rights")["terms"] == 2)
    assert life.ask("bob", "GET", "/v1/rights")["terms"] == 1
    # The numbers of everybody's own terms: an hour for her, half of it for him.
    for name in ("eve", "bob"):
        life.sign_in(name)
    with life.http("eve") as eve, life.http("bob") as bob:
        life.let_pass(minutes=40)
        assert [one.get("/v1/session").status_code for one in (eve, bob)] == [200, 401]


def _states(life: Life) -> dict[int, str]:
    versions = life.ask(OPERATOR, "GET", "/v1/operator/policy/versions")["versions"]
    return {one["version"]: one["state"] for one in versions}


def _step(life: Life, step: str) -> int:
    return life.status(OPERATOR, "POST", f"/v1/operator/policy/versions/2/{step}")


def _is_asked(life: Life, name: str) -> bool:
    return bool(life.ask(name, "GET", "/v1/session")["account"]["notice"] == 2)


def _letters(life: Life, name: str) -> list[str]:
    subjects = [str((mail.envelope or {}).get("subject")) for mail in life.client(name).list()]
    return [subject for subject in subjects if "privacy policy" in subject]


def _unused_settings_go(life: Life) -> None:
    life.until(92)
    wait_for("no trace of them", lambda: life.holding(*SETTINGS.values()).keys() == {SETTINGS["bob"]}, 20)
    assert life.ask("carl", "GET", "/v1/objects/settings") == {"sealed": "", "version": 0}
    assert _settings(life, "bob") == SETTINGS["bob"]


def _erasure_undone(life: Life) -> None:
    wrong = base64.b64encode(bytes(32)).decode()
    assert life.status("ada", "POST", "/v1/account/erasure", {"current_authentication_key": wrong}) == 401
    assert _erase_due(life) is None
    _ask_for_erasure(life)
    life.until(100)
    assert life.status("ada", "DELETE", "/v1/account/erasure") == 204
    assert _erase_due(life) is None


def _ask_for_erasure(life: Life) -> str:
    asked = life.ask("ada", "POST", "/v1/account/erasure", {"current_authentication_key": life.proof("ada")})
    due = datetime.fromisoformat(asked["due"])
    assert timedelta(days=13.9) < due - life.later.now() < timedelta(days=14.1)
    assert _erase_due(life) == asked["due"]
    token = str(asked["receipt_token"])
    # What waits is looked up every few seconds.
    wait_for("the receipt", lambda: life.status("", "GET", f"/v1/erasures/{token}") == 200, 20)
    assert life.ask("", "GET", f"/v1/erasures/{token}")["state"] == "waiting"
    return token


def _erase_due(life: Life) -> object:
    return life.ask("ada", "GET", "/v1/session")["account"]["erase_due"]


def _erased(life: Life) -> None:
    life.receipt = _ask_for_erasure(life)
    life.until(113.8)
    # Until then everything works, and mail comes in.
    life.mail(life.address("ada"), "during the grace")
    mails = [mail.id for mail in life.wait_mails("ada", 5)]
    life.betrays = (life.client("ada").account().id, *mails)
    assert life.holding(*life.betrays).keys() == set(life.betrays)
    save(life.home, life.folder / "backup", SystemClock())
    life.until(114.2)
    wait_for("the erasure", lambda: _receipt(life)["state"] == "done")
    lines = {(one["service"], one["data_class"]): one["count"] for one in _receipt(life)["lines"]}
    assert {service for service, _ in lines} >= {"accounts", "crypto", "storage"}
    assert (lines["storage", "member_mail"], lines["accounts", "account"]) == (len(mails), 1)
    assert sum(one["keys"] for one in _receipt(life)["lines"]) > 0
    _assert_gone(life)


def _receipt(life: Life) -> dict[str, Any]:
    receipt: dict[str, Any] = life.ask("", "GET", f"/v1/erasures/{life.receipt}")
    return receipt


def _assert_gone(life: Life) -> None:
    """Nobody signs in, nobody signs up, nobody writes, and no file holds anything."""
    wait_for("no trace of the account", lambda: life.holding(*life.betrays) == {}, 20)
    for door in (life.sign_in, life.sign_up):
        with pytest.raises(ClientError):
            door("ada")
    wait_for("mail to be refused", lambda: not _taken(life, "ada"), 30)
    assert _taken(life, "eve")


def _taken(life: Life, name: str) -> bool:
    with smtplib.SMTP(life.platform.smtp_host, life.platform.smtp_port, timeout=30) as smtp:
        smtp.helo("elsewhere.example")
        smtp.mail("stranger@elsewhere.example")
        return smtp.rcpt(life.address(name))[0] < 400


def _restored(life: Life) -> None:
    life.stop()
    assert "storage" in restore(life.home, life.folder / "backup")
    assert life.holding(*life.betrays).keys() == set(life.betrays), "the backup is from before"
    life.start(WEAKER)
    assert not (life.home / MARKER).exists()
    _assert_gone(life)
    assert _receipt(life)["state"] == "done"
    oldest = life.client("eve").list()[-1]
    assert f"{life.token} for eve".encode() in life.client("eve").read(oldest.id)


def _end(life: Life) -> None:
    life.until(120)
    assert life.client("bob").list()
    assert _states(life) == {1: "replaced", 2: "active"}


STAGES: tuple[Callable[[Life], None], ...] = (
    _sign_up,
    _idle_session_ends,
    _public_mail_goes,
    _settings_are_used,
    _outage,
    _policy_announced,
    _policy_in_force,
    _unused_settings_go,
    _erasure_undone,
    _erased,
    _restored,
    _end,
)
