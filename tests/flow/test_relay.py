"""A business relays its mail through the whole platform: its own domain, JSON, what became of it, one click out."""

from __future__ import annotations

import asyncio
import email
import email.policy
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import dkim
import httpx
import pytest
from standardwebhooks import Webhook

from tests.support.https import HttpsServer, reply, serve_https
from tests.support.ledger_procs import wait_for
from tests.support.outside import Outside, outside
from tests.support.platform import RunningPlatform, running_platform
from tests.support.remote_steps import RCPT
from tests.support.sender import sign_up

SHOP = "shop.example"
HOOKS = "hooks.example"


class World:
    """A platform, the rest of the world with a webhook in it, and a business."""

    def __init__(self, outside: Outside, platform: RunningPlatform, hooks: HttpsServer) -> None:
        self.outside, self.platform, self.hooks = outside, platform, hooks
        self.business = sign_up(platform, "desk", platform.relay_domain, number=1)
        with self.business.http() as http:
            key = {"kind": "api_key", "label": "program", "scopes": ["mail:send"]}
            self.key = str(http.post("/v1/credentials", json=key).raise_for_status().json()["secret"])
        self.api = httpx.Client(base_url=platform.url, headers={"authorization": f"Bearer {self.key}"}, timeout=30)

    def send(self, to: str, status: int = 202, headers: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
        """Send a mail in parts."""
        parts = {"from": f"The Shop <news@{SHOP}>", "to": [to], "subject": "Offer", "text": "Hello"} | more
        answer = self.api.post("/v1/send", json=parts, headers=headers)
        assert answer.status_code == status, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def state(self, submission: dict[str, Any]) -> str:
        """Return how it stands with the only recipient of a mail."""
        found = self.api.get(f"/v1/send/{submission['id']}").raise_for_status().json()
        return str(found["recipients"][0]["state"])

    def wait_state(self, submission: dict[str, Any], state: str) -> None:
        """Return once it stands so."""
        wait_for(f"a mail that is {state}", lambda: self.state(submission) == state, 30)


@contextmanager
def served_hooks(directory: Path) -> Iterator[HttpsServer]:
    """Serve HTTPS in a thread."""
    loop, over, ready, found = asyncio.new_event_loop(), asyncio.Event(), threading.Event(), list[HttpsServer]()

    async def serve() -> None:
        async with serve_https(directory, [HOOKS], reply(204)) as server:
            found.append(server)
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),), daemon=True)
    thread.start()
    assert ready.wait(20)
    yield found[0]
    loop.call_soon_threadsafe(over.set)
    thread.join(20)
    loop.close()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("relay")
    with served_hooks(home) as hooks, outside("remote.test", "refusing.test") as found:
        found.publish(HOOKS, "A", "127.0.0.1")
        settings = found.settings | {"CA_FILE": hooks.ca_file, "FETCH_PORTS": str(hooks.port)}
        with running_platform(home / "home", **settings) as platform:
            world = World(found, platform, hooks)
            yield world
            world.api.close()
            world.business.client.close()


def proved(world: World) -> dict[str, str]:
    """Have the business prove its domain; return the DKIM records."""
    with world.business.http() as http:
        claimed = http.post("/v1/sender-domains", json={"domain": SHOP}).raise_for_status().json()
        for record in claimed["records"]:
            world.outside.publish(record["name"], record["type"], record["value"])
        checked = http.post(f"/v1/sender-domains/{SHOP}/check").raise_for_status().json()
    assert checked["verified"], checked
    return {record["name"]: record["value"] for record in checked["records"] if record["purpose"] == "dkim"}


def parsed(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def test_a_domain_is_proved_before_it_is_sent_with(world: World) -> None:
    assert world.send("ann@remote.test", status=403)["reason"] in ("sender_not_allowed", "from_not_allowed")
    records = proved(world)
    # What was known of the domain before is forgotten within seconds.
    wait_for("the domain", lambda: world.api.post("/v1/send", json=_parts("ann@remote.test")).status_code == 202, 30)
    content = world.outside.wait_mail("remote.test").content
    assert dkim.verify(content, dnsfunc=lambda name, timeout=5: records[name.decode().rstrip(".")].encode())
    assert f"d={SHOP}".encode() in content
    assert parsed(content)["From"] == f"The Shop <news@{SHOP}>"


def _parts(to: str) -> dict[str, Any]:
    return {"from": f"The Shop <news@{SHOP}>", "to": [to], "subject": "Offer", "text": "Hello"}


def test_the_same_key_is_the_same_mail(world: World) -> None:
    headers = {"idempotency-key": secrets.token_hex(8)}
    before = len(world.outside.mails("remote.test"))
    first = world.send("ben@remote.test", headers=headers)
    assert world.send("ben@remote.test", headers=headers) == first
    assert world.send("eve@remote.test", 409, headers)["reason"] == "idempotency_mismatch"
    world.wait_state(first, "delivered")
    assert len(world.outside.mails("remote.test")) == before + 1


def test_what_became_of_it_is_told_by_api_and_by_webhook(world: World) -> None:
    with world.business.http() as http:
        hook = {"url": f"https://{HOOKS}:{world.hooks.port}/x", "types": ["delivered", "bounced"]}
        made = http.post("/v1/webhooks", json=hook).raise_for_status().json()
    # A webhook is noticed by the process that made it at once.
    sent = world.send("cleo@remote.test", campaign="spring")
    wait_for("a post", lambda: any(sent["id"] in asked.body.decode() for asked in world.hooks.asked), 30)
    (asked,) = [one for one in world.hooks.asked if sent["id"] in one.body.decode()]
    told = Webhook(made["secret"]).verify(asked.body, dict(asked.headers))
    assert (told["type"], told["data"]["recipient"], told["data"]["campaign"]) == (
        "delivered",
        "cleo@remote.test",
        "spring",
    )
    events = world.api.get("/v1/send/events").raise_for_status().json()["events"]
    (event,) = [one for one in events if one["submission_id"] == sent["id"]]
    assert (event["id"], event["type"]) == (asked.headers["webhook-id"], "delivered")


def test_one_click_ends_it_for_this_recipient(world: World) -> None:
    before = len(world.outside.mails("remote.test"))
    world.send("dora@remote.test", campaign="spring", one_click_unsubscribe=True)
    message = parsed(world.outside.wait_mail("remote.test", before + 1).content)
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    found = re.search(r"<(https?://[^>]+)>", "".join(str(message["List-Unsubscribe"]).split()))
    assert found is not None
    path = "/u/" + found[1].rpartition("/u/")[2]
    with httpx.Client(base_url=world.platform.url, timeout=30) as mail_program:
        assert mail_program.get(path).status_code == 200
        assert world.api.get("/v1/suppressions", params={"address": "dora@remote.test"}).json()["suppressions"] == []
        assert mail_program.post(path, data={"List-Unsubscribe": "One-Click"}).status_code == 200
    (entry,) = world.api.get("/v1/suppressions", params={"address": "Dora@remote.test"}).json()["suppressions"]
    assert entry["reason"] == "unsubscribed"
    again = world.send("dora@remote.test")
    world.wait_state(again, "suppressed")
    world.api.delete(f"/v1/suppressions/{entry['id']}").raise_for_status()
    world.wait_state(world.send("dora@remote.test"), "delivered")


def test_who_does_not_exist_is_not_written_to_again(world: World) -> None:
    world.outside.mtas["refusing.test"].says(RCPT, "550 5.1.1 no such mailbox here")
    world.wait_state(world.send("nobody@refusing.test"), "bounced")
    (entry,) = world.api.get("/v1/suppressions", params={"address": "nobody@refusing.test"}).json()["suppressions"]
    assert entry["reason"] == "bounced"
    world.wait_state(world.send("nobody@refusing.test"), "suppressed")


def test_a_stopped_campaign_is_over(world: World) -> None:
    later = world.send("finn@remote.test", campaign="summer", send_at="2099-01-01T00:00:00Z", status=400)
    assert later["reason"] == "send_at_invalid"
    soon = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    planned = world.send("finn@remote.test", campaign="summer", send_at=soon)
    assert world.state(planned) == "queued"
    assert world.api.post("/v1/campaigns/summer/stop").raise_for_status().json() == {"stopped": 1}
    assert world.state(planned) == "cancelled"
    assert world.send("finn@remote.test", 403, campaign="summer")["reason"] == "campaign_stopped"


def test_how_it_stands_is_told(world: World) -> None:
    standing = world.api.get("/v1/sending").raise_for_status().json()
    # A first day.
    assert (standing["limit_today"], standing["limit_per_mail"], standing["paused"]) == (5000, 1000, False)
    assert standing["sent_today"] >= 5


def test_nothing_of_it_is_readable_on_the_disk(world: World) -> None:
    held = b"".join(path.read_bytes() for path in (world.platform.home / "data").rglob("*") if path.is_file())
    for mark in (b"cleo@remote", b"dora@remote", SHOP.encode(), HOOKS.encode(), b"nobody@refusing"):
        assert mark not in held
