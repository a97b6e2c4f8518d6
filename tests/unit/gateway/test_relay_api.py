"""The relay API over HTTP: who may, what goes to delivery, how its answers look."""

from __future__ import annotations

import json
from typing import Any

import pytest

from libs.runtime.errors import (
    ConflictError,
    DeniedError,
    ExhaustedError,
    InvalidError,
    NotFoundError,
    UnavailableError,
)
from libs.runtime.ids import is_id
from protos.common.v1 import common_pb2
from protos.delivery.v1 import delivery_pb2 as pb
from tests.unit.gateway.fakes import Gateway
from tests.unit.gateway.relay_fakes import ACCOUNT, KEPT_TERMS, KEY, Relay, relay_on
from tests.unit.gateway.test_outbox import FRAME, frame

PARTS = {"from": "Ann <ann@shop.example>", "to": ["ben@there.test"], "subject": "Hello", "text": "Hi"}
MAIL = b"From: ann@shop.example\r\nTo: ben@there.test\r\nSubject: Hello\r\n\r\nHi\r\n"
ID = "d" * 32


@pytest.fixture
def relay(site: Gateway) -> Relay:
    """A gateway with a delivery behind it that answers everything."""
    return relay_on(site)


async def test_a_mail_in_parts(relay: Relay) -> None:
    options = {"send_at": "2026-11-23T10:00:00+01:00", "campaign": "spring", "one_click_unsubscribe": True}
    headers = KEY | {"idempotency-key": "order-17"}
    answer = await relay.site.client.post("/v1/send", json=PARTS | options, headers=headers)
    assert answer.status_code == 202
    (item,) = relay.delivery.submitted
    assert answer.json() == {"id": item.submission_id, "message_id": f"<{item.submission_id}@sealpost.test>"}
    assert is_id(item.submission_id)
    assert (item.account_id, item.profile) == (ACCOUNT, common_pb2.PROFILE_RELAY)
    assert item.terms == KEPT_TERMS
    assert (item.mail_from, list(item.recipients)) == ("ann@shop.example", ["ben@there.test"])
    assert (item.send_at, item.campaign, item.one_click_unsubscribe) == (1795424400, "spring", True)
    assert (item.idempotency_key, item.smtputf8) == ("order-17", False)
    assert item.content.startswith(b"From: Ann <ann@shop.example>\r\nTo: ben@there.test\r\nSubject: Hello\r\n")


async def test_a_whole_mail(relay: Relay) -> None:
    relay.site.sign_in()
    answer = await relay.site.client.post("/v1/send", content=MAIL, headers={"content-type": "message/rfc822"})
    assert answer.status_code == 202
    (item,) = relay.delivery.submitted
    assert (item.content, item.mail_from, list(item.recipients)) == (MAIL, "ann@shop.example", ["ben@there.test"])
    assert item.profile == common_pb2.PROFILE_SEALED


async def test_a_frame(relay: Relay) -> None:
    header = {"from": "ann@shop.example", "recipients": ["eve@there.test", "jürgen@there.test"], "campaign": "spring"}
    answer = await relay.site.client.post("/v1/send", content=frame(header, MAIL), headers=FRAME | KEY)
    assert answer.status_code == 202
    (item,) = relay.delivery.submitted
    assert (item.content, list(item.recipients)) == (MAIL, header["recipients"])
    assert (item.campaign, item.smtputf8) == ("spring", True)


async def test_a_large_one(relay: Relay) -> None:
    content = MAIL + b"x" * 70 * 10 + b"\r\n" + b"\r\n".join([b"y" * 76] * 100_000) + b"\r\n"
    answer = await relay.site.client.post("/v1/send", content=content, headers=KEY | {"content-type": "message/rfc822"})
    assert answer.status_code == 202
    assert relay.delivery.submitted[0].content == content
    assert relay.site.app.app.state.uploads.held == 0


@pytest.mark.parametrize(
    ("content", "kind", "status", "reason"),
    [
        (b"{", "application/json", 422, "fields"),
        (b"[]", "application/json", 422, "fields"),
        (json.dumps(PARTS | {"template": 1}).encode(), "application/json", 422, "fields"),
        (json.dumps(PARTS | {"to": ["x\r\nBcc: y@z.test"]}).encode(), "application/json", 400, "control_characters"),
        (json.dumps(PARTS | {"send_at": "2026-11-23T10:00:00"}).encode(), "application/json", 422, "fields"),
        (json.dumps(PARTS | {"campaign": "A b"}).encode(), "application/json", 422, "fields"),
        (b"hello", "message/rfc822", 400, "content_malformed"),
        (MAIL, "text/plain", 400, "media_type"),
        (MAIL, "", 400, "media_type"),
        (b"\0\0\0\1{", "application/vnd.sealpost.frame", 422, "fields"),
        (frame({"from": "a@b.test", "recipients": []}), "application/vnd.sealpost.frame", 422, "fields"),
    ],
)
async def test_what_cannot_be_sent(relay: Relay, content: bytes, kind: str, status: int, reason: str) -> None:
    answer = await relay.site.client.post("/v1/send", content=content, headers=KEY | {"content-type": kind})
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)
    assert relay.delivery.submitted == []
    assert relay.site.app.app.state.uploads.held == 0


@pytest.mark.parametrize(
    ("error", "status", "pause"),
    [
        (DeniedError("sender_not_allowed"), 403, None),
        (DeniedError("sending_paused"), 403, None),
        (InvalidError("content_malformed"), 400, None),
        (ConflictError("idempotency_mismatch"), 409, None),
        (ExhaustedError("recipients_per_minute"), 429, "60"),
        (ExhaustedError("recipients_per_day"), 429, "3600"),
        (UnavailableError("store"), 503, "5"),
    ],
)
async def test_what_delivery_refuses(relay: Relay, error: Exception, status: int, pause: str | None) -> None:
    def refuse(account_id: str) -> None:
        raise error

    relay.delivery.refuse = refuse
    answer = await relay.site.client.post("/v1/send", json=PARTS, headers=KEY)
    assert (answer.status_code, answer.headers.get("retry-after")) == (status, pause)


@pytest.mark.parametrize("key", ["x" * 201, "a\tb"])
async def test_an_idempotency_key_has_a_form(relay: Relay, key: str) -> None:
    answer = await relay.site.client.post("/v1/send", json=PARTS, headers=KEY | {"idempotency-key": key})
    assert answer.status_code in (400, 422)
    assert relay.delivery.submitted == []


async def test_a_submission(relay: Relay) -> None:
    for method in ("GET", "DELETE"):
        answer = await relay.site.client.request(method, f"/v1/send/{ID}", headers=KEY)
        assert answer.status_code == 200
        assert answer.json() == {
            "id": ID,
            "submitted": "2027-01-15T08:00:00Z",
            "send_at": "2027-01-15T08:01:00Z",
            "campaign": "spring",
            "recipients": [
                {
                    "address": "ben@there.test",
                    "state": "queued",
                    "attempts": 2,
                    "next_attempt": "2027-01-15T08:15:00Z",
                    "status": "4.4.1",
                },
                {
                    "address": "ann@there.test",
                    "state": "delivered",
                    "attempts": 0,
                    "next_attempt": None,
                    "status": "2.0.0",
                },
            ],
        }
    assert [request.account_id for request in relay.delivery.asked] == [ACCOUNT] * 2
    relay.delivery.error = NotFoundError("submission")
    assert (await relay.site.client.get(f"/v1/send/{ID}", headers=KEY)).status_code == 404
    assert (await relay.site.client.get("/v1/send/x", headers=KEY)).status_code == 400


async def test_events_suppressions_and_standing(relay: Relay) -> None:
    client = relay.site.client
    events = (await client.get("/v1/send/events?limit=7&cursor=abc", headers=KEY)).json()
    assert (events["next_cursor"], events["events"][0]["type"]) == ("next", "bounced")
    assert events["events"][0]["at"] == "2027-01-15T08:00:00Z"
    assert relay.delivery.asked[-1] == pb.ListEventsRequest(account_id=ACCOUNT, limit=7, cursor="abc")
    listed = (await client.get("/v1/suppressions", headers=KEY)).json()
    assert listed["suppressions"] == [{"id": "f" * 32, "reason": "bounced", "created": "2024-10-04T00:00:00Z"}]
    await client.get("/v1/suppressions", params={"address": "ben@there.test"}, headers=KEY)
    assert relay.delivery.asked[-1].address == "ben@there.test"
    added = await client.post("/v1/suppressions", json={"address": "ben@there.test"}, headers=KEY)
    assert (added.status_code, added.json()["reason"]) == (201, "manual")
    assert (await client.delete(f"/v1/suppressions/{'f' * 32}", headers=KEY)).status_code == 204
    assert relay.delivery.asked[-1].suppression_id == "f" * 32
    sending = (await client.get("/v1/sending", headers=KEY)).json()
    assert (sending["paused"], sending["reason"], sending["bounced_per_mille"]) == (True, "bounces", 120)
    stopped = await client.post("/v1/campaigns/spring/stop", headers=KEY)
    assert stopped.json() == {"stopped": 3}
    assert relay.delivery.asked[-1] == pb.StopCampaignRequest(account_id=ACCOUNT, campaign="spring", terms=KEPT_TERMS)
    for path in ("/v1/send/events?limit=0", "/v1/send/events?limit=201", f"/v1/suppressions?cursor={'x' * 401}"):
        assert (await client.get(path, headers=KEY)).status_code == 422


async def test_sender_domains(relay: Relay) -> None:
    relay.site.sign_in()
    client = relay.site.client
    added = await client.post("/v1/sender-domains", json={"domain": "shop.example"})
    assert added.status_code == 201
    assert added.json() == {
        "domain": "shop.example",
        "verified": False,
        "records": [
            {
                "name": "_sealpost.shop.example",
                "type": "TXT",
                "value": "sealpost-verify=x",
                "purpose": "ownership",
                "required": True,
                "state": "missing",
            }
        ],
        "checked": "2027-01-15T08:00:00Z",
    }
    assert (await client.get("/v1/sender-domains")).json() == {"domains": [added.json()]}
    assert (await client.post("/v1/sender-domains/shop.example/check")).json() == added.json()
    assert (await client.delete("/v1/sender-domains/shop.example")).status_code == 204
    assert {request.account_id for request in relay.delivery.asked} == {ACCOUNT}
    relay.delivery.error = ConflictError("domain_taken")
    taken = await client.post("/v1/sender-domains/shop.example/check")
    assert (taken.status_code, taken.json()["reason"]) == (409, "domain_taken")


async def test_webhooks(relay: Relay) -> None:
    relay.site.sign_in()
    client = relay.site.client
    given: dict[str, Any] = {"url": "https://hooks.example/x", "types": ["bounced"]}
    made = await client.post("/v1/webhooks", json=given)
    assert (made.status_code, made.json()["secret"]) == (201, "whsec_abc")
    changed = await client.post("/v1/webhooks", json=given | {"id": "9" * 32})
    assert changed.json()["secret"] is None
    assert (await client.get("/v1/webhooks")).json()["webhooks"][0]["state"] == "failing"
    replayed = await client.post(f"/v1/webhooks/{'9' * 32}/replay", json={"since": "2026-11-22T00:00:00Z"})
    assert replayed.json() == {"events": 7}
    assert relay.delivery.asked[-1].since == 1795305600
    assert (await client.delete(f"/v1/webhooks/{'9' * 32}")).status_code == 204
    relay.delivery.error = ExhaustedError("too_many_webhooks")
    assert (await client.post("/v1/webhooks", json=given)).status_code == 409


SCOPED = [
    ("POST", "/v1/send"),
    ("GET", f"/v1/send/{ID}"),
    ("DELETE", f"/v1/send/{ID}"),
    ("GET", "/v1/send/events"),
    ("GET", "/v1/sending"),
    ("POST", "/v1/campaigns/spring/stop"),
    ("GET", "/v1/suppressions"),
    ("POST", "/v1/suppressions"),
    ("DELETE", f"/v1/suppressions/{ID}"),
]
IN_SESSION = [
    ("GET", "/v1/sender-domains"),
    ("POST", "/v1/sender-domains"),
    ("POST", "/v1/sender-domains/shop.example/check"),
    ("DELETE", "/v1/sender-domains/shop.example"),
    ("GET", "/v1/webhooks"),
    ("POST", "/v1/webhooks"),
    ("DELETE", f"/v1/webhooks/{ID}"),
    ("POST", f"/v1/webhooks/{ID}/replay"),
    ("GET", "/v1/operator/dns"),
    ("POST", "/v1/operator/resume"),
]
FORMS: dict[str, Any] = {
    "/v1/send": PARTS,
    "/v1/suppressions": {"address": "ben@there.test"},
    "/v1/sender-domains": {"domain": "shop.example"},
    "/v1/webhooks": {"url": "https://hooks.example/"},
    f"/v1/webhooks/{ID}/replay": {"since": "2026-11-22T00:00:00Z"},
    "/v1/operator/resume": {"address": "ada@member.test"},
}


@pytest.mark.parametrize(("method", "path"), SCOPED + IN_SESSION)
async def test_who_may(relay: Relay, method: str, path: str) -> None:
    client, form = relay.site.client, FORMS.get(path)
    nobody = await client.request(method, path, json=form)
    assert (nobody.status_code, nobody.json()["reason"]) == (401, "session_missing")
    wrong = await client.request(method, path, json=form, headers={"authorization": "Bearer sp_read"})
    assert wrong.status_code == (403 if (method, path) in SCOPED else 401)
    with_key = await client.request(method, path, json=form, headers=KEY)
    assert (with_key.status_code < 300) == ((method, path) in SCOPED)
    relay.site.sign_in()
    if method != "GET":
        foreign = await client.request(method, path, json=form, headers={"origin": "http://evil.test"})
        assert (foreign.status_code, foreign.json()["reason"]) == (403, "origin")
    in_session = await client.request(method, path, json=form)
    if path.startswith("/v1/operator/"):
        assert (in_session.status_code, in_session.json()["reason"]) == (403, "role_missing")
    else:
        assert in_session.status_code < 300


async def test_operators_see_records_and_let_accounts_go_on(relay: Relay) -> None:
    relay.site.sign_in()
    relay.accounts.roles = ["operator"]
    client = relay.site.client
    assert (await client.get("/v1/operator/dns")).json()["domains"][0]["domain"] == "sealpost.test"
    resumed = await client.post("/v1/operator/resume", json={"address": "ada@member.test"})
    assert (resumed.status_code, resumed.json()["paused"]) == (200, False)
    assert relay.delivery.asked[-1].account_id == ACCOUNT
    for address in ("nobody@member.test", "x@public.test", "x@elsewhere.test"):
        unknown = await client.post("/v1/operator/resume", json={"address": address})
        assert (unknown.status_code, unknown.json()["reason"]) == (404, "account_not_found")


async def test_the_page_of_unsubscription_changes_nothing_and_is_accessible(relay: Relay) -> None:
    answer = await relay.site.client.get("/u/good")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-") and "form-action 'self'" in policy
    assert answer.headers.get_list("content-security-policy") == [policy]
    assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["cache-control"] == "no-store"
    text = answer.text
    for part in ('lang="en"', "<title>", "<h1>", "<main>", "<button", 'method="post"', "color-scheme:light dark"):
        assert part in text
    for part in ("<script", "src=", "href=", "style=", "good"):
        assert part not in text
    assert relay.delivery.asked == []
    assert (await relay.site.client.get("/u/bad")).text == text


@pytest.mark.parametrize("origin", ["http://mail.test", "https://webmail.example", "null", ""])
async def test_one_click_needs_no_cookie_and_no_origin(relay: Relay, origin: str) -> None:
    headers = {"origin": origin} if origin else {}
    headers |= {"sec-fetch-site": "cross-site", "cookie": "a=b"}
    del relay.site.client.headers["origin"]
    answers = [
        await relay.site.client.post(f"/u/{token}", data={"List-Unsubscribe": "One-Click"}, headers=headers)
        for token in ("good", "bad")
    ]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].text == answers[1].text
    assert [request.token for request in relay.delivery.asked] == ["good", "bad"]
    assert "set-cookie" not in answers[0].headers


async def test_one_click_without_delivery_asks_to_come_again(relay: Relay) -> None:
    relay.delivery.error = UnavailableError("unreachable")
    answer = await relay.site.client.post("/u/good")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "60")
    assert "few minutes" in answer.text


async def test_one_click_takes_no_endless_body(relay: Relay) -> None:
    answer = await relay.site.client.post("/u/good", content=b"x" * 300_000)
    assert answer.status_code == 413
    assert relay.delivery.asked == []
