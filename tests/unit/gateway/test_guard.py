"""What every request passes: origin, rate, size; what every answer carries."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from libs.runtime.errors import DeniedError, InvalidError, UnauthenticatedError, UnavailableError
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


async def test_addresses_are_limited_however_they_are_spelt(web: Path) -> None:
    async with gateway(web, proofs_per_address=3, proofs_per_minute=100) as running:
        for spelling in ("ada@member.test", "ADA@Member.Test", "ada+tag@member.test"):
            assert (await running.client.post("/v1/kdf", json={"address": spelling})).status_code == 200
        refused = await running.client.post("/v1/session", json=SIGN_IN)
        assert (refused.status_code, refused.json()["reason"]) == (429, "too_many_attempts")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert (await running.client.post("/v1/kdf", json={"address": "bob@member.test"})).status_code == 200


async def test_public_inboxes_have_a_limit_of_their_own(web: Path) -> None:
    async with gateway(web, public_per_minute=2) as running:
        path = "/v1/public/a@public.test/messages"
        assert [(await running.client.get(path)).status_code for _ in range(3)] == [200, 200, 429]
        assert (await running.client.get("/v1/info")).status_code == 200


async def test_sign_ups_have_a_limit_of_their_own(web: Path) -> None:
    async with gateway(web, sign_ups_per_hour=1) as running:
        assert (await running.client.post("/v1/accounts", json={})).status_code == 422
        refused = await running.client.post("/v1/accounts", json={})
        assert refused.status_code == 429
        assert 60 < int(refused.headers["retry-after"]) <= 3600


async def test_what_nobody_foresaw_is_told_to_the_log_and_to_nobody_else(site: Gateway) -> None:
    site.accounts.resolve_error = RuntimeError("ada@member.test")
    answer = await site.client.get("/v1/public/a@public.test/messages")
    assert (answer.status_code, answer.json()["reason"]) == (500, "internal")
    assert "ada" not in answer.text
    assert "content-security-policy" in answer.headers and answer.headers["cache-control"] == "no-store"


async def test_a_fault_between_services_is_not_the_callers(site: Gateway) -> None:
    for error in (UnauthenticatedError("certificate"), DeniedError("caller"), InvalidError("deadline_missing")):
        site.accounts.resolve_error = error
        answer = await site.client.get("/v1/public/a@public.test/messages")
        assert (answer.status_code, answer.json()["reason"]) == (500, "internal")
    site.accounts.resolve_error = UnavailableError("unreachable")
    answer = await site.client.get("/v1/public/a@public.test/messages")
    assert (answer.status_code, answer.json()["reason"]) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1


async def test_the_framework_records_nothing_of_a_request(site: Gateway) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    app = site.app.app
    assert not app._native_telemetry.enabled()
    app._telemetry["tracer_provider"] = provider
    await site.client.get("/v1/public/a@public.test/messages")
    assert exporter.get_finished_spans() == ()
    # It would, if it were let: this is what must stay off.
    app._telemetry["tracing"] = True
    await site.client.get("/v1/public/a@public.test/messages")
    assert any("a@public.test" in str(span.attributes) for span in exporter.get_finished_spans())
