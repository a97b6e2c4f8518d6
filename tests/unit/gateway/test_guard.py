"""What every request passes: origin, rate, size; what every answer carries."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.gateway.http.clients import Clients
from tests.unit.gateway.fakes import ORIGIN, Gateway, gateway

SIGN_IN = {"address": "ada@member.test", "authentication_key": "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="}


async def test_every_answer_carries_the_policy_without_exceptions(site: Gateway) -> None:
    for path in ("/", "/v1/info", "/v1/nothing", "/assets/main-abc.js", "/v1/messages"):
        headers = (await site.client.get(path)).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "require-trusted-types-for" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers


async def test_only_the_derivation_worker_may_compile(site: Gateway) -> None:
    policy = (await site.client.get("/assets/argon2-abc.js")).headers["content-security-policy"]
    assert "'wasm-unsafe-eval'" in policy and "'unsafe-" not in policy


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": ORIGIN}, 200),
        ({"origin": "http://evil.test"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": ORIGIN, "sec-fetch-site": "cross-site"}, 403),
        ({"origin": ORIGIN, "sec-fetch-site": "same-site"}, 403),
        ({"origin": ORIGIN + ".evil.test"}, 403),
    ],
)
async def test_unsafe_methods_need_the_sites_own_origin(site: Gateway, headers: dict[str, str], status: int) -> None:
    answer = await site.client.post("/v1/session", json=SIGN_IN, headers=headers)
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["reason"] == "origin"


async def test_a_cookie_without_origin_is_refused_a_program_without_cookie_is_not(site: Gateway) -> None:
    del site.client.headers["origin"]
    assert (await site.client.post("/v1/kdf", json={"address": "ada@member.test"})).status_code == 200
    site.sign_in()
    assert (await site.client.delete("/v1/session")).status_code == 403


async def test_the_public_url_decides_where_it_is_set(web: Path) -> None:
    async with gateway(web, public_url="https://mail.test") as running:
        refused = await running.client.post("/v1/session", json=SIGN_IN)
        assert refused.status_code == 403
        allowed = await running.client.post("/v1/session", json=SIGN_IN, headers={"origin": "https://mail.test"})
        assert allowed.status_code == 200
        assert "max-age" in allowed.headers["strict-transport-security"]


async def test_proofs_are_limited_and_the_window_ends(web: Path) -> None:
    async with gateway(web, proofs_per_minute=2) as running:
        for _ in range(2):
            assert (await running.client.post("/v1/kdf", json={"address": "a@member.test"})).status_code == 200
        refused = await running.client.post("/v1/kdf", json={"address": "a@member.test"})
        assert refused.status_code == 429
        assert refused.json()["reason"] == "rate"
        assert 1 <= int(refused.headers["retry-after"]) <= 61
        running.clock.advance(61)
        assert (await running.client.post("/v1/kdf", json={"address": "a@member.test"})).status_code == 200


async def test_a_body_over_the_bound_is_refused_declared_or_not(site: Gateway) -> None:
    declared = await site.client.post("/v1/session", content=b"x" * 300_000)
    assert declared.status_code == 413

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(10):
            yield b"x" * 50_000

    undeclared = await site.client.post("/v1/session", content=endless())
    assert undeclared.status_code == 413
    assert undeclared.json()["reason"] == "body_too_large"


def test_clients_are_told_apart_by_address_and_by_prefix() -> None:
    def key(host: str) -> str:
        return Clients(()).key_of({"type": "http", "client": (host, 1), "headers": []})

    assert key("192.0.2.1") != key("192.0.2.2")
    assert key("2001:db8::1") == key("2001:db8::ffff")
    assert key("2001:db8::1") != key("2001:db8:0:1::1")
    assert key("::ffff:192.0.2.1") == key("192.0.2.1")
