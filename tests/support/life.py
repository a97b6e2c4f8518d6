"""A life of one platform: it is started, stopped and started anew, time goes by, people come and go.

After each stretch of time everything whose time was over has to be gone, all probes have to pass, and no canary may be
found where it must not be.
"""

from __future__ import annotations

import base64
import smtplib
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from libs.client import keys
from libs.client.api import Client
from libs.client.http import COOKIE
from libs.client.model import Mail
from libs.policy import load_policy
from tests.support.later import LOOK_SECONDS, Later
from tests.support.ledger_mail import Run
from tests.support.ledger_procs import wait_for
from tests.support.ledger_scan import Scanner
from tests.support.life_platform import Gates, living_platform
from tests.support.platform import RunningPlatform

PASSWORD = "correct horse battery"
OPERATOR = "olga"
_FRESH_SECONDS = 1200
_UNSEARCHED = {
    "retention",  # It names who must stay erased.
    "nats",  # Opaque ids of what has happened, which age out by themselves.
}


@dataclass
class Life:
    """One platform. `token` is said in all mails and addresses, and may stand in no file.

    Of who is erased: `receipt`, the token, and `betrays`, ids that nobody else has.
    """

    folder: Path
    token: str = field(default_factory=lambda: Run.fresh().token)
    receipt: str = ""
    betrays: tuple[str, ...] = ()
    published: list[bytes] = field(default_factory=list)
    _started: ExitStack = field(default_factory=ExitStack)
    _signed_in: dict[str, tuple[Client, int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Nothing runs yet."""
        self.home, self.later = self.folder / "home", Later(self.folder / "later")
        self.gates = Gates(self.folder / "gates")
        self.gates.folder.mkdir()
        self.platform: RunningPlatform
        self.born = self.later.now()

    @property
    def day(self) -> float:
        """How many days it has lasted."""
        return (self.later.now() - self.born) / timedelta(days=1)

    def start(self, rules: dict[str, int]) -> None:
        """Start the platform with these numbers in place of those of the policy."""
        self.platform = self._started.enter_context(living_platform(self.home, self.later, self.gates, rules))

    def stop(self) -> None:
        """Stop it."""
        for client, _ in self._signed_in.values():
            client.close()
        self._signed_in.clear()
        self._started.close()

    def address(self, name: str) -> str:
        """Return the address of a member."""
        return f"{name}-{self.token}@{self.platform.member_domain}"

    def inbox(self, name: str) -> str:
        """Return the address of a public inbox."""
        return f"{name}-{self.token}@{self.platform.public_domain}"

    def sign_up(self, name: str) -> None:
        """Make a member."""
        self._anew(name).signup(self.address(name), PASSWORD)

    def sign_in(self, name: str) -> None:
        """Sign a member in anew. Raises: ClientError."""
        self._anew(name).login(self.address(name), PASSWORD)

    def client(self, name: str) -> Client:
        """Return a member's client, signed in; anew where its session may have ended."""
        known = self._signed_in.get(name)
        if known is None or self.later.passed - known[1] >= _FRESH_SECONDS:
            self.sign_in(name)
        client, _ = self._signed_in[name]
        self._signed_in[name] = client, self.later.passed
        return client

    def http(self, name: str = "") -> httpx.Client:
        """Return an HTTP client, in the session of a member if one is named."""
        headers = {"Origin": self.platform.url}
        if name:
            headers["Cookie"] = f"{COOKIE}={self.client(name).token}"
        return httpx.Client(base_url=self.platform.url, headers=headers, timeout=120)

    def ask(self, name: str, method: str, path: str, given: object = None) -> Any:
        """Return what a member is answered. Raises: httpx.HTTPStatusError."""
        with self.http(name) as http:
            answer = http.request(method, path, json=given).raise_for_status()
            return answer.json() if answer.content else None

    def proof(self, name: str) -> str:
        """Return what proves that somebody knows a member's password."""
        kdf = self.ask("", "POST", "/v1/kdf", {"address": self.address(name)})["kdf"]
        derived = keys.derive(PASSWORD, keys.Kdf.from_json(kdf))
        return base64.b64encode(derived.authentication.reveal()).decode()

    def status(self, name: str, method: str, path: str, given: object = None) -> int:
        """Return with which status a member is answered."""
        with self.http(name) as http:
            return http.request(method, path, json=given).status_code

    def mail(self, to: str, text: str = "hello") -> None:
        """Have a mail come in from elsewhere. Raises: smtplib.SMTPRecipientsRefused."""
        content = f"Subject: {self.token} {text}\r\n\r\n{self.token} {text}\r\n"
        with smtplib.SMTP(self.platform.smtp_host, self.platform.smtp_port, timeout=30) as smtp:
            smtp.sendmail(f"stranger@{self.token}.example", [to], content.encode())

    def wait_mails(self, name: str, count: int = 1) -> list[Mail]:
        """Return the mails of a member once there are so many."""
        wait_for("mails", lambda: len(self.client(name).list()) >= count, 30)
        return self.client(name).list()

    def holding(self, *words: str | bytes) -> dict[str | bytes, list[str]]:
        """Return which of these words stand in which files of the services."""
        found: dict[str | bytes, list[str]] = {}
        for path in sorted((self.home / "data").rglob("*")):
            if path.is_file() and not _UNSEARCHED & set(path.parts):
                content = path.read_bytes()
                for word in words:
                    if (word.encode() if isinstance(word, str) else word) in content:
                        found.setdefault(word, []).append(path.name)
        return found

    def in_clear(self) -> list[str]:
        """Return where anything said in mails and addresses stands, in any encoding, in any file."""
        return [str(leak) for leak in Scanner(self.token).scan(self.home / "data", self.home / "log")]

    def let_pass(self, **delta: float) -> None:
        """Let time go by, and wait until whatever was over then is gone."""
        with self.gates.watching.shut():
            self._move(timedelta(**delta))
            self.wait_swept()

    def _move(self, delta: timedelta) -> None:
        with self.gates.sweeping.shut():
            self.later.let_pass(delta)
            # Every service looks again within this time.
            time.sleep(2 * LOOK_SECONDS)

    @contextmanager
    def away(self, rules: dict[str, int], **delta: float) -> Iterator[None]:
        """Stop the platform for some time, and start it with these numbers; nobody looks before the caller is done."""
        self.stop()
        with self.gates.watching.shut():
            self.later.let_pass(timedelta(**delta))
            self.start(rules)
            yield
            self.wait_swept()

    def until(self, day: float) -> None:
        """Let time go by until a day of this life."""
        self.let_pass(days=day - self.day)

    def wait_swept(self) -> None:
        """Wait until every class of every service was swept after now, and nothing is past its time."""
        now = self.later.now()
        wait_for("sweeps", lambda: self._swept(now), 60)

    def _swept(self, since: datetime) -> bool:
        state = self.retention()
        fresh = all(one["last_sweep"] and _moment(one["last_sweep"]) >= since for one in state["classes"])
        return fresh and state["last_round"] < 20 and not overdue(state) and not state["clock_held"]

    def retention(self) -> dict[str, Any]:
        """Return the state of retention, as operators see it."""
        state: dict[str, Any] = self.ask(OPERATOR, "GET", "/v1/operator/retention")
        return state

    def assert_well(self) -> None:
        """Assert that every promise holds: probes pass, nothing is past its time, no canary is where none may be."""
        with self.gates.watching.shut():
            self.ask(OPERATOR, "POST", "/v1/operator/retention/probes", {})
            wait_for("all probes", self._probed, 60)
            # Probes have tried what is limited; canaries come later from the same address.
            self._move(timedelta(minutes=2))
        wait_for("canaries", self._canaries_in_order, 60)
        state = self.retention()
        assert (overdue(state), state["clock_held"], state["replaying"]) == ({}, False, False)

    def _probed(self) -> bool:
        state = self.retention()
        results = {one["clause"]: (one["result"], one["detail"]) for one in state["probes"]}
        assert results.keys() == {name for name, clause in load_policy().clauses.items() if clause.probe}
        broken = {clause: detail for clause, (result, detail) in results.items() if result == "fail"}
        assert broken == {}, f"on day {self.day:.1f}: {broken}"
        unknown = [clause for clause, (result, _) in results.items() if result != "pass"]
        for clause in unknown:
            self.ask(OPERATOR, "POST", "/v1/operator/retention/probes", {"clause": clause})
        if unknown:
            print("not known yet:", *((clause, results[clause][1]) for clause in unknown))
            time.sleep(1)
        return not unknown

    def _canaries_in_order(self) -> bool:
        now, canaries = self.later.now(), self.retention()["canaries"]
        bad = [f"{one['data_class']} {one['state']}" for one in canaries if one["state"] in ("missed", "failed")]
        assert bad == [], f"on day {self.day:.1f}: {bad}"
        waiting = [one for one in canaries if one["state"] == "waiting"]
        planted = any(_moment(one["planted"]).date() == now.date() for one in canaries)
        return planted and all(_moment(one["due"]) > now for one in waiting)

    def ledger(self) -> bytes:
        """Return the ledger of evidence of the whole life."""
        days = {"first": self.born.date().isoformat(), "last": self.later.now().date().isoformat()}
        return self._public("/evidence/ledger.jsonl", days)

    def publish(self) -> None:
        """Copy the signed ends of days, as anybody may."""
        self.published.append(self._public("/.well-known/sealpost-evidence.json", {"limit": "400"}))

    def _public(self, path: str, query: dict[str, str]) -> bytes:
        with self.http() as http:
            return http.get(path, params=query).raise_for_status().content

    def _anew(self, name: str) -> Client:
        if name in self._signed_in:
            self._signed_in[name][0].close()
        # Limits count by address.
        transport = httpx.HTTPTransport(local_address=f"127.78.0.{sum(name.encode()) % 250 + 1}")
        client = Client(self.platform.url, transport=transport)
        self._signed_in[name] = client, self.later.passed
        return client


def overdue(state: dict[str, Any]) -> dict[str, int]:
    """Return the classes of which something is past its time, with by how many seconds."""
    return {one["data_class"]: one["overdue"] for one in state["classes"] if one["overdue"]}


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
