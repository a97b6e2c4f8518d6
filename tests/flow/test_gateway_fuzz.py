"""Every route with input that nobody meant: never a fault of ours, always a problem document, no echo of the input.

The routes come from the description of the API, and so do the statuses that an answer may have.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from services.accounts.domain.model import Role
from tests.support.gateway import FRAME, Member, Site, b64, running_site
from tests.support.gateway_input import CANARY, HEADERS, KINDS, bodies, frames, letters, targets

EXAMPLES = 400
_PROBLEM = "application/problem+json"
ALWAYS = (
    "content-security-policy",
    "x-content-type-options",
    "referrer-policy",
    "cross-origin-resource-policy",
    "cache-control",
    "date",
)


@dataclass
class Fuzzed:
    """The site under test, its operations and somebody who has an account."""

    runner: asyncio.Runner
    site: Site
    ada: Member
    operations: list[tuple[str, str, dict[str, Any]]]
    problem: Draft202012Validator

    def cookie(self) -> bytes:
        """Return a session of Ada's; an example before may have ended the last one."""
        return self.runner.run(self._cookie()).encode()

    async def _cookie(self) -> str:
        client, ada = self.site.client, self.ada
        if (await client.get("/v1/session", headers=ada.cookie)).status_code != 200:
            form = {"address": ada.address, "authentication_key": b64(ada.authentication_key)}
            answer = (await client.post("/v1/session", json=form)).raise_for_status()
            ada.token = answer.headers["set-cookie"].partition("=")[2].partition(";")[0]
        return ada.cookie["cookie"]

    def send(self, request: httpx.Request) -> tuple[httpx.Response, bytes]:
        """Return the answer; of a stream only the head."""
        return self.runner.run(self._send(request))

    async def _send(self, request: httpx.Request) -> tuple[httpx.Response, bytes]:
        answer = await self.site.client.send(request, stream=True)
        try:
            if answer.headers.get("content-type", "").startswith("text/event-stream"):
                return answer, b""
            return answer, await answer.aread()
        finally:
            await answer.aclose()


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    """One site for all examples."""
    home: Path = tmp_path_factory.mktemp("fuzz")
    plenty = 10_000_000
    limits: dict[str, Any] = dict.fromkeys(
        ("requests_per_minute", "public_per_minute", "proofs_per_minute", "proofs_per_address", "sign_ups_per_hour"),
        plenty,
    )
    sending = {"member_per_day": plenty, "member_per_minute": plenty}
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        site = runner.run(stack.enter_async_context(running_site(home, delivery=sending, **limits)))
        try:
            ada = runner.run(site.sign_up("ada"))
            runner.run(site.make_operator(ada))
            runner.run(site.staff.grant(ada.address, Role.STATISTICS))
            document = runner.run(site.client.get("/openapi.json")).json()
            operations = [
                (method.upper(), path, operation)
                for path, methods in document["paths"].items()
                for method, operation in methods.items()
            ]
            problem = Draft202012Validator(document["components"]["schemas"]["Problem"])
            yield Fuzzed(runner, site, ada, operations, problem)
        finally:
            runner.run(stack.aclose())


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_input_is_a_fault_of_ours(fuzzed: Fuzzed, data: st.DataObject) -> None:
    method, path, operation = data.draw(st.sampled_from(fuzzed.operations), label="operation")
    sent = {name.encode(): value.encode("latin-1") for name, value in data.draw(HEADERS, label="headers").items()}
    if data.draw(st.sampled_from([True, True, False]), label="signed in"):
        sent[b"cookie"] = fuzzed.cookie()
    content = None
    if "requestBody" in operation:
        kinds = operation["requestBody"]["content"]
        kind = data.draw(st.sampled_from(sorted(kinds)), label="kind")
        content = data.draw(_content(fuzzed, kind, kinds[kind]["schema"]), label="content")
        sent[b"content-type"] = data.draw(st.sampled_from([kind] * 8 + KINDS), label="type").encode()
    url = fuzzed.site.url + data.draw(targets(path, operation), label="target")
    request = fuzzed.site.client.build_request(method, url, headers=sent, content=content)
    answer, body = fuzzed.send(request)
    _check(fuzzed, operation, answer, body)


@st.composite
def _content(draw: st.DrawFn, fuzzed: Fuzzed, kind: str, schema: dict[str, Any]) -> bytes:
    if kind == FRAME["content-type"]:
        return draw(frames(draw(bodies(schema["x-sealpost-header"]))))
    if not schema:
        return draw(letters())
    return draw(bodies(_schemas(fuzzed)[schema["$ref"][21:]] if "$ref" in schema else schema))


def _check(fuzzed: Fuzzed, operation: dict[str, Any], answer: httpx.Response, body: bytes) -> None:
    assert answer.status_code != 500
    for name in ALWAYS:
        assert name in answer.headers, name
    # The path may have become another one by what stands in it.
    strayed = answer.status_code in (404, 405) or answer.headers.get("content-type", "").startswith("text/html")
    assert strayed or str(answer.status_code) in operation["responses"]
    kind = answer.headers.get("content-type", "").partition(";")[0]
    if answer.status_code >= 400:
        assert kind in operation["responses"].get(str(answer.status_code), {}).get("content", {_PROBLEM: None})
        assert CANARY.encode() not in body.lower()
        assert "set-cookie" not in answer.headers
    if answer.status_code >= 400 and kind == _PROBLEM:
        document = json.loads(body)
        assert document["status"] == answer.status_code
        fuzzed.problem.validate(document)
    if answer.status_code in (429, 503):
        assert int(answer.headers["retry-after"]) >= 1


def _schemas(fuzzed: Fuzzed) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = fuzzed.site.app.app.openapi()["components"]["schemas"]
    return found


def test_the_fuzz_finds_what_it_looks_for(fuzzed: Fuzzed) -> None:
    """An echo, an unknown status and a missing header would each fail an example."""
    request = fuzzed.site.client.build_request("GET", "/v1/info")
    answer, body = fuzzed.send(request)
    operation: dict[str, Any] = {"responses": {"200": {}}}
    _check(fuzzed, operation, answer, body)
    for broken in (
        httpx.Response(500, headers=answer.headers),
        httpx.Response(200, headers={}),
        httpx.Response(418, headers=answer.headers),
    ):
        with pytest.raises(AssertionError):
            _check(fuzzed, operation, broken, b"{}")
    echo = {"type": "about:blank", "title": "x", "status": 404, "detail": CANARY, "reason": "x"}
    headers = dict(answer.headers) | {"content-type": "application/problem+json"}
    with pytest.raises(AssertionError):
        _check(fuzzed, operation, httpx.Response(404, headers=headers), json.dumps(echo).encode())
