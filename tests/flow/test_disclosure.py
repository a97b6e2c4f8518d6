"""A case of disclosure on a whole platform: two officers, what is handed over as it is stored, and who is told when.

The private key of the account opens what was handed over; without it nobody can, with all that the platform has.
"""

from __future__ import annotations

import base64
import io
import json
import re
import zipfile
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from services.retention.ledger.checking import Checker
from tests.support.amended import amended_platform
from tests.support.gnupg import gnupg
from tests.support.later import Later
from tests.support.ledger_procs import wait_for
from tests.support.operators import make_operator
from tests.support.platform import RunningPlatform
from tests.support.sender import PASSWORD, Sender, letter, sign_up

pytestmark = pytest.mark.timeout(240)

WORDS = "The heron stands in the reeds at four."
CASES = "/v1/disclosure/cases"


class Scene:
    """An account, two officers, and an operator who is none."""

    def __init__(self, platform: RunningPlatform) -> None:
        """Sign up."""
        names = ("ada", "olga", "otto", "oscar")
        self.platform = platform
        self.people = {name: sign_up(platform, name, number=number) for number, name in enumerate(names, 1)}
        for name in ("olga", "otto"):
            make_operator(platform, self.people[name].address, "disclosure")
        make_operator(platform, self.people["oscar"].address)

    @property
    def ada(self) -> Sender:
        """Whom it is about."""
        return self.people["ada"]

    def call(self, name: str, method: str, path: str = "", **given: Any) -> httpx.Response:
        """Do something with cases."""
        with self.people[name].http() as http:
            return http.request(method, f"{CASES}{path}", **given)

    def open(self, later: Later, **changes: Any) -> str:
        """Have Olga open a case; return its id."""
        now = later.now()
        order: dict[str, Any] = {
            "order_reference": "Az. 12 Gs 345/26",
            "legal_basis": "court_order",
            "address": self.ada.address,
            "since": (now - timedelta(days=30)).isoformat(),
            "until": now.isoformat(),
            "data_classes": ["member_mail", "account"],
        }
        answer = self.call("olga", "POST", json=order | changes).raise_for_status()
        return str(answer.json()["id"])

    def told(self) -> list[str]:
        """Return the cases that Ada is shown."""
        with self.ada.http() as http:
            found = http.get("/v1/rights/disclosures").raise_for_status().json()["disclosures"]
            return [one["id"] for one in found]

    def letters(self) -> list[str]:
        """Return the subjects of letters about disclosures that Ada has."""
        subjects = [str((mail.envelope or {}).get("subject")) for mail in self.ada.client.list("inbox")]
        return [subject for subject in subjects if "disclosed" in subject]

    def close(self) -> None:
        """Let go of what is open."""
        for one in self.people.values():
            one.client.close()


def test_two_officers_hand_over_what_they_cannot_read(tmp_path: Path) -> None:
    later, home = Later(tmp_path / "later"), tmp_path / "home"
    with amended_platform(home, later) as platform:
        scene = Scene(platform)
        scene.people["otto"].submit(
            letter(scene.people["otto"].address, scene.ada.address, text=WORDS), [scene.ada.address]
        )
        scene.ada.wait_mails(1)
        later.let_pass(timedelta(minutes=2))
        _nobody_else_sees_it(scene)
        archive = _handed_over(scene, scene.open(later))
        _readable_with_the_key_alone(scene, archive, home)
        wait_for("the letter", lambda: len(scene.letters()) == 1, 60)
        _a_secret_until_its_end(scene, later)
        _evidence(scene, later, archive)
        scene.close()


def _nobody_else_sees_it(scene: Scene) -> None:
    for name in ("ada", "oscar"):
        assert scene.call(name, "GET").status_code in (403, 404)
    assert scene.call("olga", "POST", json={"address": scene.ada.address}).status_code in (400, 422)


def _handed_over(scene: Scene, case_id: str) -> bytes:
    alone = scene.call("olga", "POST", f"/{case_id}/approve")
    assert (alone.status_code, alone.json()["reason"]) == (403, "same_officer")
    assert scene.call("olga", "GET", f"/{case_id}/archive").status_code == 409
    assert scene.told() == []
    scene.call("otto", "POST", f"/{case_id}/approve").raise_for_status()
    answer = scene.call("otto", "GET", f"/{case_id}/archive").raise_for_status()
    shown = scene.call("olga", "GET", f"/{case_id}").raise_for_status().json()
    assert (shown["state"], shown["opened_by_me"], shown["archive_size"]) == ("exported", True, len(answer.content))
    wait_for("the page to tell", lambda: scene.told() == [case_id], 30)
    scene.call("olga", "POST", f"/{case_id}/close").raise_for_status()
    assert scene.call("otto", "GET", f"/{case_id}/archive").status_code == 409
    return answer.content


def _readable_with_the_key_alone(scene: Scene, archive: bytes, home: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(archive)) as opened:
        assert opened.testzip() is None
        members = {name: opened.read(name) for name in opened.namelist()}
    manifest = json.loads(members.pop("manifest.json"))
    assert manifest["sha256"] == {name: sha256(content).hexdigest() for name, content in members.items()}
    facts = json.loads(members["facts/account/account.json"])
    assert facts["address"] == scene.ada.address
    assert set(facts) <= {"account_id", "address", "profile", "created_day"}
    (mail,) = [content for name, content in members.items() if name.startswith("mail/member_mail/")]
    head, _, body = mail.partition(b"\n")
    assert json.loads(head)["scheme"] == "openpgp"
    everything = b"\n".join(members.values())
    for open_text in (WORDS.encode(), base64.b64encode(WORDS.encode()), PASSWORD.encode(), b"A letter"):
        assert open_text not in everything
    assert not re.search(rb"PRIVATE KEY|verifier|kdf|wrapped", everything)
    with gnupg() as stranger:
        with pytest.raises(AssertionError):
            stranger.open(body)
    with gnupg() as owner:
        owner.run("--import", given=scene.ada.client.export_key().encode())
        assert WORDS.encode() in owner.open(body).plaintext


def _a_secret_until_its_end(scene: Scene, later: Later) -> None:
    end = later.now() + timedelta(days=20)
    case_id = scene.open(later, secret_until=end.isoformat())
    scene.call("otto", "POST", f"/{case_id}/approve").raise_for_status()
    before = len(scene.told())
    later.let_pass(timedelta(days=19))
    for one in scene.people.values():
        one.client.login(one.address, PASSWORD)
    assert len(scene.told()) == before
    assert len(scene.letters()) == 1
    later.let_pass(timedelta(days=1, minutes=1))
    for one in scene.people.values():
        one.client.login(one.address, PASSWORD)
    wait_for("the end of the secret", lambda: case_id in scene.told(), 30)
    wait_for("the letter", lambda: len(scene.letters()) == 2, 60)


def _evidence(scene: Scene, later: Later, archive: bytes) -> None:
    url = scene.platform.url
    days = {"first": (later.now() - timedelta(days=30)).date().isoformat(), "last": later.now().date().isoformat()}
    ledger = httpx.get(f"{url}/evidence/ledger.jsonl", params=days, timeout=30).raise_for_status().content
    lines = ledger.splitlines(keepends=True)
    assert Checker().check(lines).entries
    entries = [json.loads(line).get("entry", {}) for line in lines]
    cases = [entry for entry in entries if entry.get("kind", "").startswith("case_")]
    kinds = [entry["kind"] for entry in cases]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "case_opened": 2,
        "case_approved": 2,
        # One archive, begun and done.
        "case_exported": 2,
        # The second by itself, left alone for as long.
        "case_closed": 2,
        "case_told": 2,
    }
    assert sha256(archive).hexdigest() in {entry["data"].get("archive") for entry in cases}
    assert scene.ada.address.encode() not in ledger
    page = httpx.get(f"{url}/transparency", timeout=30).raise_for_status().text
    assert "1-9" in page
    assert scene.ada.address not in page
