"""Input that nobody meant, for every route: bodies, frames, mails, paths and header fields that are nearly right.

What is valid stands here by the name of its field; the shape comes from the description of the API.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote_from_bytes

from hypothesis import strategies as st

from libs.runtime.clock import SystemClock, unix_seconds
from tests.support.gateway import PUBLIC, b64, kdf_form

# What is sent everywhere, and must not come back.
CANARY = "kanarienvogel"

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
    "from": "ada@sealpost.test",
    "recipients": ["ann@example.org"],
    "subject": CANARY,
    "text": CANARY,
    "html": f"<p>{CANARY}</p>",
    "reply_to": [f"{CANARY} <ann@example.org>"],
    "cc": ["eve@sealpost.test"],
    "bcc": ["ben@example.org"],
    "headers": {f"X-{CANARY}": CANARY},
    "attachments": [{"name": f"{CANARY}.txt", "type": "text/plain", "content": b64(b"x")}],
    "campaign": "spring",
    "send_at": None,
    "one_click_unsubscribe": True,
    "domain": f"{CANARY}.test",
    "url": f"https://{CANARY}.test/in",
    "types": ["bounced"],
    "since": "2026-01-01T00:00:00Z",
}
_LETTER = f"From: ada@sealpost.test\r\nTo: ann@example.org\r\nBcc: ben@example.org\r\nSubject: {CANARY}\r\n\r\nx\r\n"


def _near(schema: dict[str, Any]) -> dict[str, Any]:
    """Return what `schema` asks for; a name may mean one thing here and many there."""
    fields = {name: _VALID.get(name) for name in schema.get("properties", {})}
    for name, described in schema.get("properties", {}).items():
        if described.get("type") == "array" and isinstance(fields[name], str):
            fields[name] = [fields[name]]
    return fields


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
    fields = _near(schema)
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
    body = draw(st.one_of(letters(), st.binary(max_size=50).map(lambda data: b"\xc1" + data)))
    return (length.to_bytes(4, "big") + header + body)[:cut]


@st.composite
def letters(draw: st.DrawFn) -> bytes:
    """A mail that is nearly right."""
    letter = _LETTER.encode()
    at = draw(st.integers(0, len(letter)))
    noise = draw(st.sampled_from([b"", b"\r", b"\n", b"\x00", b"\xff", b"a" * 1000, b"\r\n\r\n", b"=?utf-8?q?=\xff?="]))
    return letter[:at] + noise + letter[draw(st.sampled_from([at, at, at + 1, at + 20])) :]


_raw_texts = st.one_of(st.binary(min_size=1, max_size=30), _texts.map(lambda text: text.encode("utf-8", "replace")))
KINDS = ["application/json", "text/plain", CANARY, "application/json; charset=utf-16"]


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
_hostile = st.fixed_dictionaries(
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
# Mostly none of them: with all of them hardly anything gets past the guard.
HEADERS: st.SearchStrategy[dict[str, str]] = st.one_of(st.just({}), st.just({}), _hostile)
