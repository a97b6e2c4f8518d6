"""Mail that its sender has sealed, and the frames that it comes in."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from libs.runtime.clock import unix_seconds
from libs.runtime.errors import ExhaustedError
from protos.common.v1 import common_pb2
from tests.unit.gateway.fakes import Gateway, stored_message

FRAME = {"content-type": "application/vnd.sealpost.frame"}
SEALED = b"\xc1" + b"sealed"
ENVELOPE = base64.b64encode(SEALED).decode()


def message_id(site: Gateway, seconds: int = 0) -> str:
    return f"{unix_seconds(site.clock) + seconds:010x}{secrets.token_hex(11)}"


def frame(header: object, body: bytes = SEALED) -> bytes:
    head = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(head).to_bytes(4, "big") + head + body


async def post(site: Gateway, kind: str, header: object, body: bytes = SEALED, **headers: str) -> httpx.Response:
    return await site.client.post(f"/v1/outbox/{kind}", content=frame(header, body), headers=FRAME | headers)


def to_bob(site: Gateway, **changes: Any) -> dict[str, Any]:
    return {"to": "bob@member.test", "id": message_id(site), "envelope": ENVELOPE} | changes


def own(site: Gateway, **changes: Any) -> dict[str, Any]:
    return {"id": message_id(site), "folder": "sent", "envelope": ENVELOPE} | changes


async def test_a_sealed_mail_goes_into_the_inbox_as_it_is(site: Gateway) -> None:
    site.sign_in()
    header = to_bob(site)
    for _ in range(2):
        assert (await post(site, "sealed", header)).status_code == 204
    (stored,) = site.storage.appended
    assert (stored.mailbox_id, stored.message_id, stored.folder) == ("a" * 32, header["id"], "inbox")
    assert (stored.body, stored.size, stored.envelope) == (SEALED, len(SEALED), SEALED)
    assert (stored.scheme, stored.key_id, list(stored.flags)) == ("openpgp-sender", "f" * 40, [])
    assert (stored.quota_bytes, stored.quota_messages) == (1000, 10)
    assert stored.received_minute == unix_seconds(site.clock) // 60
    # A repetition counts no more than it stores; the same id to somebody else would be another mail.
    assert site.delivery.reserved == [("c" * 32, 1)]
    assert site.delivery.reservations == {f"{'a' * 32}/{header['id']}"}


@pytest.mark.parametrize("size", [1024 * 1024, 1024 * 1024 + 1, 3_000_000])
async def test_a_large_one_is_staged(site: Gateway, size: int) -> None:
    site.sign_in()
    body = b"\xc1" + secrets.token_bytes(size - 1)
    assert (await post(site, "sealed", to_bob(site), body)).status_code == 204
    (stored,) = site.storage.appended
    assert stored.size == size
    assert stored.body_staged == (size > 1024 * 1024)
    assert (site.storage.staged.get(stored.message_id) or stored.body) == body


async def test_an_own_copy_is_seen_and_replaces_another(site: Gateway) -> None:
    site.sign_in()
    draft = stored_message(message_id=message_id(site), folder="drafts")
    site.storage.messages["a" * 32] = [draft]
    header = own(site, folder="drafts", replaces=draft.message_id)
    for _ in range(2):
        assert (await post(site, "own", header)).status_code == 204
    (stored,) = site.storage.appended
    assert (stored.mailbox_id, stored.folder, list(stored.flags)) == ("a" * 32, "drafts", ["seen"])
    assert stored.scheme == "openpgp-sender"
    assert site.storage.messages["a" * 32] == []
    assert site.delivery.reserved == []


async def test_an_own_copy_does_not_replace_itself(site: Gateway) -> None:
    site.sign_in()
    header = own(site)
    answer = await post(site, "own", header | {"replaces": header["id"]})
    assert (answer.status_code, answer.json()["reason"]) == (400, "id")


@pytest.mark.parametrize("kind", ["sealed", "own"])
async def test_only_a_session_may(site: Gateway, kind: str) -> None:
    header = to_bob(site) if kind == "sealed" else own(site)
    assert (await post(site, kind, header)).status_code == 401
    assert (await post(site, kind, header, authorization="Bearer sp_read")).status_code == 401
    site.sign_in()
    assert (await post(site, kind, header, origin="http://evil.test")).status_code == 403
    assert site.storage.appended == []


@pytest.mark.parametrize(
    ("to", "status", "reason"),
    [
        ("nobody@member.test", 404, "recipient_unknown"),
        ("x@public.test", 404, "recipient_unknown"),
        ("ann@example.org", 404, "recipient_unknown"),
        ("x", 422, "fields"),
    ],
)
async def test_it_goes_to_members_alone(site: Gateway, to: str, status: int, reason: str) -> None:
    site.sign_in()
    answer = await post(site, "sealed", to_bob(site, to=to))
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)
    assert site.delivery.reserved == []


@pytest.mark.parametrize("seconds", [-601, 601, 10_000_000])
async def test_its_id_is_of_now(site: Gateway, seconds: int) -> None:
    site.sign_in()
    answer = await post(site, "sealed", to_bob(site, id=message_id(site, seconds)))
    assert (answer.status_code, answer.json()["reason"]) == (400, "id_time")


@pytest.mark.parametrize("plain", [b"Subject: hello\r\n\r\n", b"", b"{}", b"\x00", b"\xc2x", b"\xd2x", b"-----BEGIN"])
async def test_what_is_not_sealed_is_refused(site: Gateway, plain: bytes) -> None:
    site.sign_in()
    for kind, header in (("sealed", to_bob(site)), ("own", own(site))):
        answer = await post(site, kind, header, plain)
        assert (answer.status_code, answer.json()["reason"]) == (400, "not_sealed")
    if plain:
        answer = await post(site, "sealed", to_bob(site, envelope=base64.b64encode(plain).decode()))
        assert (answer.status_code, answer.json()["reason"]) == (400, "not_sealed")
    assert site.storage.appended == []


@pytest.mark.parametrize("first", [b"\x84", b"\x85", b"\x86", b"\xc1"])
async def test_both_formats_of_packets_are_known(site: Gateway, first: bytes) -> None:
    site.sign_in()
    assert (await post(site, "sealed", to_bob(site), first + b"x")).status_code == 204


@pytest.mark.parametrize(
    ("failure", "status", "reason"),
    [
        (("exhausted", "quota_bytes"), 409, "recipient_full"),
        (("exhausted", "quota_messages"), 409, "recipient_full"),
        (("unavailable", "timeout"), 503, "timeout"),
        (("internal", "storage_fault"), 500, "internal"),
    ],
)
async def test_what_storage_cannot_do(site: Gateway, failure: tuple[str, str], status: int, reason: str) -> None:
    site.sign_in()
    site.storage.append_failure = common_pb2.Failure(code=failure[0], reason=failure[1])
    answer = await post(site, "sealed", to_bob(site))
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)


async def test_an_own_mailbox_that_is_full_is_told_as_such(site: Gateway) -> None:
    site.sign_in()
    site.storage.append_failure = common_pb2.Failure(code="exhausted", reason="quota_bytes")
    answer = await post(site, "own", own(site))
    assert (answer.status_code, answer.json()["reason"]) == (409, "quota_bytes")


async def test_limits_of_senders_hold(site: Gateway) -> None:
    def refuse(account_id: str) -> None:
        raise ExhaustedError("recipients_per_minute", retry_after=30)

    site.sign_in()
    site.delivery.refuse = refuse
    answer = await post(site, "sealed", to_bob(site))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "30")
    assert site.storage.appended == []


@pytest.mark.parametrize(
    ("content", "status", "reason"),
    [
        (b"", 400, "frame"),
        (b"\x00\x00", 400, "frame"),
        (b"\x00\x00\x00\x00", 400, "frame"),
        (b"\x00\x00\x00\x10{}", 400, "frame"),
        (b"\x00\x01\x00\x01" + b"{" * 65537, 400, "frame"),
        (b"\xff\xff\xff\xff", 400, "frame"),
        (frame(b"not json"), 422, "fields"),
        (frame([]), 422, "fields"),
        (frame({}), 422, "fields"),
        (frame({"to": "bob@member.test", "id": "x", "envelope": ENVELOPE}), 422, "fields"),
        (frame({"to": "bob@member.test", "id": "0" * 32, "envelope": "*"}), 422, "fields"),
        (frame({"to": "bob@member.test", "id": "0" * 32, "envelope": ENVELOPE, "extra": 1}), 422, "fields"),
    ],
)
async def test_what_is_no_frame(site: Gateway, content: bytes, status: int, reason: str) -> None:
    site.sign_in()
    answer = await site.client.post("/v1/outbox/sealed", content=content, headers=FRAME)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)
    assert b"bob" not in answer.content


async def test_other_media_types_are_refused(site: Gateway) -> None:
    site.sign_in()
    for media_type in ("application/json", "", "application/vnd.sealpost.framework"):
        answer = await site.client.post(
            "/v1/outbox/own", content=frame(own(site)), headers={"content-type": media_type}
        )
        assert (answer.status_code, answer.json()["reason"]) == (400, "media_type")


async def test_a_frame_may_come_byte_by_byte(site: Gateway) -> None:
    async def bytes_of(content: bytes) -> AsyncIterator[bytes]:
        for byte in content:
            yield bytes([byte])

    site.sign_in()
    answer = await site.client.post("/v1/outbox/own", content=bytes_of(frame(own(site))), headers=FRAME)
    assert answer.status_code == 204
    assert site.storage.appended[0].body == SEALED


async def test_a_body_that_is_too_large_is_refused_before_and_while_it_comes(site: Gateway) -> None:
    async def endless(start: bytes) -> AsyncIterator[bytes]:
        yield start
        while True:
            yield b"x" * 1024 * 1024

    site.sign_in()
    most = site.app.bounds.of("/v1/outbox/own").most_bytes
    declared = {**FRAME, "content-length": str(most + 1)}
    answer = await site.client.post("/v1/outbox/own", content=frame(own(site)), headers=declared)
    assert answer.status_code == 413
    answer = await site.client.post("/v1/outbox/own", content=endless(frame(own(site))), headers=FRAME)
    assert (answer.status_code, answer.json()["reason"]) == (413, "body_too_large")
    assert site.storage.appended == []


async def test_objects_are_kept_for_their_owner(site: Gateway) -> None:
    site.sign_in()
    assert (await site.client.get("/v1/objects/contacts")).json() == {"sealed": "", "version": 0}
    largest = base64.b64encode(b"x" * 256 * 1024).decode()
    answer = await site.client.put("/v1/objects/contacts", json={"sealed": largest, "version": 0})
    assert (answer.status_code, answer.json()) == (200, {"version": 1})
    assert (await site.client.get("/v1/objects/contacts")).json() == {"sealed": largest, "version": 1}
    answer = await site.client.put("/v1/objects/contacts", json={"sealed": ENVELOPE, "version": 0})
    assert (answer.status_code, answer.json()["reason"]) == (409, "version")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"sealed": ""},
        {"sealed": "", "version": 0},
        {"sealed": ENVELOPE, "version": -1},
        {"sealed": 1, "version": 0},
    ],
)
async def test_objects_are_checked(site: Gateway, given: dict[str, object]) -> None:
    site.sign_in()
    assert (await site.client.put("/v1/objects/settings", json=given)).status_code == 422


async def test_other_objects_do_not_exist(site: Gateway) -> None:
    assert (await site.client.get("/v1/objects/contacts")).status_code == 401
    site.sign_in()
    assert (await site.client.get("/v1/objects/notes")).status_code == 404
    too_large = {"sealed": base64.b64encode(b"x" * (256 * 1024 + 1)).decode(), "version": 0}
    assert (await site.client.put("/v1/objects/contacts", json=too_large)).status_code == 422
    too_large["sealed"] = base64.b64encode(b"x" * 300 * 1024).decode()
    assert (await site.client.put("/v1/objects/contacts", json=too_large)).status_code == 413
