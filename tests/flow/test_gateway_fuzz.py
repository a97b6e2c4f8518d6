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
from urllib.parse import quote_from_bytes

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from libs.runtime.clock import SystemClock, unix_seconds
from tests.support.gateway import FRAME, PUBLIC, Member, Site, b64, kdf_form, running_site

CANARY = "kanarienvogel"
EXAMPLES = 400
ALWAYS = (
    "content-security-policy",
    "x-content-type-options",
    "referrer-policy",
    "cross-origin-resource-policy",
    "cache-control",
    "date",
)

_texts = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        [
            "",
            "\x00",
            "\ud800",
            "\udcff",
            "a" * 5000,
            "ada@sealpost.test",
            f"ada@{PUBLIC}",
            f"a/b@{PUBLIC}",
            f"ä@{PUBLIC}",
            f'"a b"@{PUBLIC}',
            "ada@[127.0.0.1]",
            "0" * 32,
            "x\r\nSet-Cookie: a=b",
            "../../etc/passwd",
            "${jndi:ldap://x}",
            "' OR 1=1 --",
            "inbox",
            "-1",
            "9" * 30,
            "1e9",
            "null",
        ]
    ),
)
_numbers = st.one_of(st.integers(), st.sampled_from([2**63, 2**64, -(2**63), 0]), st.floats(allow_nan=False))
_json = st.recursive(
    st.one_of(st.none(), st.booleans(), _numbers, _texts),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_texts, inner, max_size=4)),
    max_leaves=8,
)


@dataclass
class Fuzzed:
    """The site under test, its operations and somebody who has an account."""

    runner: asyncio.Runner
    site: Site
    ada: Member
    operations: list[tuple[str, str, dict[str, Any]]]
    problem: Draft202012Validator

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
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        site = runner.run(stack.enter_async_context(running_site(home, **limits)))
        try:
            ada = runner.run(site.sign_up("ada"))
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


_PROOF = b64(bytes(32))
_VALID: dict[str, Any] = {
    "address": "ada@sealpost.test",
    "kdf": kdf_form(),
    "authentication_key": _PROOF,
    "current_authentication_key": _PROOF,
    "recovery_authentication_key": _PROOF,
    "certificate": b64(b"\x99" * 100),
    "wrapped_private_key": b64(b"\x01" * 60),
    "recovery": None,
    "kind": "api_key",
    "label": CANARY,
    "scopes": ["mail:read"],
    "sealed_name": b64(b"x"),
    "ids": ["0" * 32],
    "add_flags": ["seen"],
    "move_to": "archive",
    "addresses": ["ada@sealpost.test", "ann@example.org"],
    "to": "ada@sealpost.test",
    "id": f"{unix_seconds(SystemClock()):010x}" + "0" * 22,
    "envelope": b64(b"\xc1sealed"),
    "folder": "sent",
    "sealed": b64(b"sealed"),
    "version": 0,
}


@st.composite
def bodies(draw: st.DrawFn, schema: dict[str, Any]) -> bytes:
    """A body that is nearly right, or nothing like it."""
    kind = draw(st.sampled_from(["near", "near", "near", "json", "text", "deep"]))
    if kind == "text":
        return draw(st.binary(max_size=200))
    if kind == "deep":
        return b"[" * draw(st.sampled_from([10, 1000, 100_000])) + CANARY.encode()
    if kind == "json":
        return json.dumps(draw(_json)).encode()
    fields = {name: _VALID.get(name) for name in schema.get("properties", {})}
    for name in draw(st.lists(st.sampled_from(sorted(fields)), max_size=2)) if fields else []:
        if draw(st.booleans()):
            fields.pop(name, None)
        else:
            fields[name] = draw(_json)
    if draw(st.booleans()):
        fields[CANARY] = CANARY
    return json.dumps(fields).encode()


@st.composite
def frames(draw: st.DrawFn, header: bytes) -> bytes:
    """A frame that is nearly right."""
    length = draw(st.sampled_from([len(header), len(header), len(header) + 1, 0, 2**16, 2**32 - 1]))
    cut = draw(st.sampled_from([None, None, 0, 3, 4, 10]))
    return (length.to_bytes(4, "big") + header + b"\xc1" + draw(st.binary(max_size=50)))[:cut]


_raw_texts = st.one_of(st.binary(min_size=1, max_size=30), _texts.map(lambda text: text.encode("utf-8", "replace")))
_KINDS = ["application/json", "text/plain", CANARY, "application/json; charset=utf-16"]


@st.composite
def targets(draw: st.DrawFn, path: str, operation: dict[str, Any]) -> str:
    """A path and a query with something in their places."""
    queries = []
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            safe = draw(st.sampled_from(["", "/@", "/@.~!$&'()*+,;="]))
            value = draw(st.one_of(_raw_texts, st.just(CANARY.encode() + b"\xff")))
            path = path.replace(f"{{{parameter['name']}}}", quote_from_bytes(value, safe=safe) or "%20")
        elif draw(st.booleans()):
            queries.append(f"{parameter['name']}={quote_from_bytes(draw(_raw_texts))}")
    return path + (f"?{'&'.join(queries)}" if queries else "")


_KEY = "Bearer sp_00000000_" + "0" * 52
_headers = st.fixed_dictionaries(
    {},
    optional={
        "authorization": st.sampled_from(["Bearer", f"Bearer {CANARY}", f"Basic {CANARY}", "\xff", _KEY]),
        "cookie": st.sampled_from([f"__Host-session={CANARY}", "__Host-session=" + "A" * 43, "=;=;" * 50, "\xe4=\xf6"]),
        "origin": st.sampled_from(["null", f"http://{CANARY}.test", "http://[", ""]),
        "sec-fetch-site": st.sampled_from(["cross-site", "same-origin", CANARY]),
        "x-forwarded-for": st.sampled_from([CANARY, "::", "1.2.3.4, " * 100 + "::1"]),
        "accept": st.sampled_from(["text/html", CANARY]),
        "if-none-match": st.sampled_from(["*", CANARY]),
        "range": st.sampled_from(["bytes=0-1", CANARY]),
    },
)


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_input_is_a_fault_of_ours(fuzzed: Fuzzed, data: st.DataObject) -> None:
    method, path, operation = data.draw(st.sampled_from(fuzzed.operations), label="operation")
    sent = {name.encode(): value.encode("latin-1") for name, value in data.draw(_headers, label="headers").items()}
    if data.draw(st.booleans(), label="signed in"):
        sent[b"cookie"] = fuzzed.ada.cookie["cookie"].encode()
    content = None
    if "requestBody" in operation:
        (kind, described), *_ = operation["requestBody"]["content"].items()
        schema = described["schema"].get("x-sealpost-header") or _schemas(fuzzed)[described["schema"]["$ref"][21:]]
        content = data.draw(bodies(schema), label="body")
        if kind == FRAME["content-type"]:
            content = data.draw(frames(content), label="frame")
        sent[b"content-type"] = data.draw(st.sampled_from([kind, *_KINDS]), label="type").encode()
    url = fuzzed.site.url + data.draw(targets(path, operation), label="target")
    request = fuzzed.site.client.build_request(method, url, headers=sent, content=content)
    answer, body = fuzzed.send(request)
    _check(fuzzed, operation, answer, body)


def _check(fuzzed: Fuzzed, operation: dict[str, Any], answer: httpx.Response, body: bytes) -> None:
    assert answer.status_code != 500
    for name in ALWAYS:
        assert name in answer.headers, name
    # The path may have become another one by what stands in it.
    strayed = answer.status_code in (404, 405) or answer.headers.get("content-type", "").startswith("text/html")
    assert strayed or str(answer.status_code) in operation["responses"]
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        document = json.loads(body)
        assert document["status"] == answer.status_code
        fuzzed.problem.validate(document)
        assert CANARY.encode() not in body.lower()
        assert "set-cookie" not in answer.headers
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
