"""Requests become facts: one for each answer, more for pages, sign-ins, sign-ups and mail that is opened."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from libs.policy import load_policy
from libs.runtime.errors import DeniedError, UnavailableError
from services.gateway.http.recording import Recording
from tests.unit.gateway.fakes import MESSAGE, PUBLIC_MAILBOX, Gateway, gateway, stored_message

SIGN_IN = {"address": "ada@member.test", "authentication_key": "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="}
WRONG = "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg="
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:133.0) Gecko/20100101 Firefox/133.0"


class Recorded:
    """Keeps facts as they are given, and checks them against the policy."""

    def __init__(self) -> None:
        self.facts: list[tuple[str, bytes, dict[str, str]]] = []

    def record(self, metric: str, unit: bytes, /, *, key: int = 0, **dimensions: str) -> None:
        declared = load_policy().metrics[metric].dimensions
        assert dimensions.keys() == declared.keys()
        assert all(word in declared[name] for name, word in dimensions.items()), dimensions
        self.facts.append((metric, unit, dimensions))

    def of(self, metric: str) -> list[dict[str, str]]:
        return [dimensions for name, _, dimensions in self.facts if name == metric]


RECORDING = Recording(Recorded())


def recorded_by(running: Gateway) -> Recorded:
    # The expressions for browsers are loaded once.
    recorded = RECORDING._facts = Recorded()
    running.app.recording = RECORDING
    return recorded


@pytest.fixture
async def site(web: Path) -> AsyncIterator[Gateway]:
    async with gateway(web, sign_ups_per_hour=3, proofs_per_minute=4) as running:
        yield running


async def test_a_page_is_a_visit_an_asset_and_a_missing_page_are_not(site: Gateway) -> None:
    recorded = recorded_by(site)
    headers = {"user-agent": FIREFOX, "accept-language": "de-DE,en", "referer": "https://www.google.com/"}
    await site.client.get("/", headers=headers)
    [request] = recorded.of("http_requests")
    assert request == {
        "page": "page", "status": "2xx", "version": "HTTP/1.1",
        "browser": "firefox", "referrer": "search", "language": "de",
    }  # fmt: skip
    assert recorded.of("visitors") == [{}]
    assert recorded.of("daily_visitors") == [{"browser": "firefox", "language": "de"}]
    assert {unit for _, unit, _ in recorded.facts} == {b"192.0.2.1"}
    for path in ("/assets/main-abc.js", "/nothing-here", "/v1/info", "/v1/nothing"):
        await site.client.get(path)
    await site.client.head("/")
    assert [one["page"] for one in recorded.of("http_requests")[1:]] == ["asset", "page", "api_info", "other", "page"]
    assert [one["status"] for one in recorded.of("http_requests")[1:]] == ["2xx", "4xx", "2xx", "4xx", "2xx"]
    assert len(recorded.of("visitors")) == 1


async def test_sign_ins_by_how_they_end(site: Gateway) -> None:
    recorded = recorded_by(site)
    await site.client.post("/v1/session", json=SIGN_IN)
    await site.client.post("/v1/session", json={**SIGN_IN, "authentication_key": WRONG})
    await site.client.post("/v1/session", json={})
    await site.client.post("/v1/kdf", json={"address": "ada@member.test"})
    await site.client.post("/v1/session", json=SIGN_IN)
    assert [one["outcome"] for one in recorded.of("logins")] == ["success", "wrong", "other", "limited"]
    assert {one["door"] for one in recorded.of("logins")} == {"page"}


async def test_sign_ups_by_how_they_end(site: Gateway) -> None:
    recorded = recorded_by(site)
    given = {
        "address": "new@member.test", "certificate": "Y2VydA==", "wrapped_private_key": "dw==",
        "authentication_key": SIGN_IN["authentication_key"],
        "kdf": {"algorithm": "argon2id", "salt": "c2FsdHNhbHRzYWx0c2FsdA==", "memory_kib": 65536,
                "iterations": 3, "parallelism": 1},
    }  # fmt: skip
    answers = [await site.client.post("/v1/accounts", json=body) for body in (given, given, {}, given)]
    assert [answer.status_code for answer in answers] == [201, 409, 422, 429]
    assert recorded.of("sign_ups") == [
        {"profile": "sealed", "outcome": "made"},
        {"profile": "sealed", "outcome": "taken"},
        {"profile": "other", "outcome": "invalid"},
        {"profile": "other", "outcome": "limited"},
    ]


async def test_api_keys_are_a_door_of_their_own(site: Gateway) -> None:
    recorded = recorded_by(site)
    for key in ("sp_read", "sp_wrong"):
        await site.client.get("/v1/messages", headers={"authorization": f"Bearer {key}"})
    await site.client.get("/v1/messages")
    assert recorded.of("logins") == [{"door": "api", "outcome": "success"}, {"door": "api", "outcome": "wrong"}]


async def test_mail_is_opened_when_its_body_is_fetched(site: Gateway) -> None:
    recorded = recorded_by(site)
    site.sign_in()
    site.storage.messages["a" * 32] = [stored_message(scheme="openpgp", key_id="f" * 40)]
    site.storage.messages[PUBLIC_MAILBOX] = [stored_message()]
    assert (await site.client.get(f"/v1/messages/{MESSAGE}/body")).status_code == 200
    await site.client.get(f"/v1/messages/{MESSAGE}")
    await site.client.get(f"/v1/messages/{'f' * 32}/body")
    path = f"/v1/public/a@public.test/messages/{MESSAGE}/raw"
    assert (await site.client.get(path)).status_code == 200
    opened = [(unit, dimensions) for metric, unit, dimensions in recorded.facts if metric == "mail_opened"]
    assert opened == [(b"c" * 32, {"profile": "sealed"}), (PUBLIC_MAILBOX.encode(), {"profile": "public"})]


@pytest.mark.parametrize(
    ("error", "outcome"), [(UnavailableError("x"), "failed"), (DeniedError("domain_closed"), "closed")]
)
async def test_what_fails_on_our_side_is_told_from_what_is_wrong(site: Gateway, error: Exception, outcome: str) -> None:
    site.accounts.sign_in_error = error
    recorded = recorded_by(site)
    await site.client.post("/v1/session", json=SIGN_IN)
    assert [one["outcome"] for one in recorded.of("logins")] == [outcome]


async def test_hostile_headers_are_other(site: Gateway) -> None:
    recorded = recorded_by(site)
    long = {"user-agent": "x" * 10_240, "accept-language": "y" * 9000, "referer": "z" * 9000}
    await site.client.get("/", headers=long)
    await site.client.get("/", headers=[(b"user-agent", b"Firefox/1\x01\xff"), (b"host", b"mail.test")])
    for request in recorded.of("http_requests"):
        assert request["browser"] == "other"
    assert recorded.of("http_requests")[0]["referrer"] == "other"
    assert recorded.of("http_requests")[0]["language"] == "other"
