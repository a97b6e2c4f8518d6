"""Payments at Stripe: the library is pointed at a server of the test's own, and its own code signs the messages."""

from __future__ import annotations

import hashlib
import hmac
import json
import threading
import time
import urllib.parse
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import stripe

from libs.docstore.sqlite import SqliteStore
from libs.runtime.errors import ConflictError, DeniedError, InvalidError, UnavailableError
from libs.runtime.secret import Secret
from services.billing.domain.journal import Balances
from services.billing.payments.model import Purpose, State
from services.billing.payments.payments import Wanted
from services.billing.payments.stripe_api import StripeProvider, StripeSettings
from tests.unit.billing.payments.world import ACCOUNT, COLLECTIONS, World

SECRET = "whsec_of_the_test"
KEY = "sk_test_of_the_test"
CREDITS = Wanted(Purpose.CREDITS, net=1000)


class Server:
    """What Stripe's API answers: objects by path, and every request that was made."""

    def __init__(self) -> None:
        self.objects: dict[str, dict[str, Any]] = {}
        self.requests: list[tuple[str, str, dict[str, str], dict[str, str]]] = []
        self.down, self.sessions = False, 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self, "GET", b"")

            def do_POST(self) -> None:
                outer.answer(self, "POST", self.rfile.read(int(self.headers.get("Content-Length", 0))))

            def log_message(self, *given: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, handler: BaseHTTPRequestHandler, method: str, body: bytes) -> None:
        """Answer one request."""
        form = dict(urllib.parse.parse_qsl(body.decode()))
        path = urllib.parse.urlsplit(handler.path).path
        self.requests.append((method, path, form, {name.lower(): text for name, text in handler.headers.items()}))
        found = self.objects.get(path) if method == "GET" or self.down else self._made(path)
        status = 503 if self.down else 200 if found is not None else 404
        content = found if status == 200 else {"error": {"type": "api_error", "message": "no"}}
        data = json.dumps(content).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    def _made(self, path: str) -> dict[str, Any]:
        if path == "/v1/checkout/sessions":
            self.sessions += 1
            name = f"cs_{self.sessions}"
            return {"id": name, "object": "checkout.session", "url": f"https://checkout.stripe.test/{name}"}
        if path == "/v1/billing_portal/sessions":
            return {"id": "bps_1", "object": "billing_portal.session", "url": "https://billing.stripe.test/p"}
        return {"id": path.rpartition("/")[2], "object": "subscription", "cancel_at_period_end": True}

    def close(self) -> None:
        """Stop."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
async def world(tmp_path: Path, server: Server) -> AsyncIterator[World]:
    settings = StripeSettings(Secret(KEY), Secret(SECRET), "https://mail.example", server.url)
    async with await SqliteStore.open(tmp_path, COLLECTIONS) as store:
        yield World(store, StripeProvider(settings))


def _signed(body: bytes, secret: str = SECRET, at: int | None = None) -> str:
    """Sign a message as Stripe does, and let the library's own code say that it is so."""
    at = int(time.time()) if at is None else at
    signature = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    header = f"t={at},v1={signature}"
    stripe.WebhookSignature.verify_header(body.decode(), header, secret)
    return header


def _event(event: str, kind: str, ref: str) -> bytes:
    return json.dumps(
        {"id": event, "object": "event", "type": kind, "data": {"object": {"id": ref, "payment_status": "paid"}}}
    ).encode()


async def _say(world: World, event: str, kind: str, ref: str) -> None:
    body = _event(event, kind, ref)
    await world.taking.take(body, _signed(body))


def _session(payment_id: str, **given: Any) -> dict[str, Any]:
    session = {
        "id": "cs_1",
        "object": "checkout.session",
        "metadata": {"payment": payment_id},
        "payment_status": "paid",
        "status": "complete",
        "payment_intent": "pi_1",
        "customer": "cus_1",
    }
    return session | given


async def test_a_session_is_made_and_paid(world: World, server: Server) -> None:
    payment = await world.payments.start(await world.customer(), "r1", CREDITS)
    assert payment.url == "https://checkout.stripe.test/cs_1"
    (_, path, form, headers) = server.requests[0]
    assert path == "/v1/checkout/sessions" and headers["authorization"] == f"Bearer {KEY}"
    assert headers["idempotency-key"] == f"start-{payment.payment_id}"
    assert (form["mode"], form["line_items[0][price_data][unit_amount]"]) == ("payment", "1190")
    assert (form["line_items[0][price_data][currency]"], form["metadata[payment]"]) == ("eur", payment.payment_id)
    # Nothing that says who it is: no address, no account, no name.
    assert ACCOUNT not in form.values() and "@" not in str(form) and "Größe" not in str(form)
    assert "card" not in str(form)
    server.objects["/v1/checkout/sessions/cs_1"] = _session(payment.payment_id)
    for event in ("evt_1", "evt_1", "evt_2"):
        await _say(world, event, "checkout.session.completed", "cs_1")
    assert await world.books.verify(ACCOUNT) == Balances(1000, 0, 0)
    assert (await world.customer()).provider_ref == "cus_1"


async def test_a_message_says_only_what_to_look_at(world: World, server: Server) -> None:
    payment = await world.payments.start(await world.customer(), "r1", CREDITS)
    # The message says that it is paid; the object says that it is not.
    server.objects["/v1/checkout/sessions/cs_1"] = _session(payment.payment_id, payment_status="unpaid", status="open")
    await _say(world, "evt_1", "checkout.session.completed", "cs_1")
    assert (await world.payments.get(ACCOUNT, payment.payment_id)).state is State.WAITING
    server.objects["/v1/checkout/sessions/cs_1"] = _session(
        payment.payment_id, payment_status="unpaid", status="expired"
    )
    await _say(world, "evt_2", "checkout.session.expired", "cs_1")
    assert (await world.payments.get(ACCOUNT, payment.payment_id)).state is State.FAILED
    await _say(world, "evt_3", "customer.created", "cus_1")
    await _say(world, "evt_4", "something.new", "x_1")
    assert await world.books.verify(ACCOUNT) == Balances(0, 0, 0)


async def test_forged_stale_and_malformed_messages(world: World) -> None:
    body = _event("evt_1", "checkout.session.completed", "cs_1")
    now = int(time.time())
    stale = hmac.new(SECRET.encode(), f"{now - 301}.".encode() + body, hashlib.sha256).hexdigest()
    for signature in (
        "",
        "t=1,v1=00",
        _signed(body, "whsec_of_another"),
        f"t={now - 301},v1={stale}",
        _signed(_event("evt_2", "checkout.session.completed", "cs_1")),
    ):
        with pytest.raises(DeniedError, match="signature"):
            await world.taking.take(body, signature)
    for malformed in (b"[]", b"{}", b'{"id": "evt_1", "object": "event", "type": "x"}'):
        with pytest.raises(InvalidError, match="webhook"):
            await world.taking.take(malformed, _signed(malformed))


async def test_what_cannot_be_asked_is_told_again(world: World, server: Server) -> None:
    payment = await world.payments.start(await world.customer(), "r1", CREDITS)
    server.objects["/v1/checkout/sessions/cs_1"] = _session(payment.payment_id)
    server.down = True
    with pytest.raises(UnavailableError, match="provider_unavailable"):
        await _say(world, "evt_1", "checkout.session.completed", "cs_1")
    with pytest.raises(UnavailableError, match="provider_unavailable"):
        await world.payments.start(await world.customer(), "r2", CREDITS)
    server.down = False
    await _say(world, "evt_1", "checkout.session.completed", "cs_1")
    assert (await world.books.verify(ACCOUNT)).credits == 1000
    again = await world.payments.start(await world.customer(), "r2", CREDITS)
    assert again.state is State.WAITING and again.payment_id != payment.payment_id


async def test_refunds_and_disputes_by_their_charges(world: World, server: Server) -> None:
    payment = await world.payments.start(await world.customer(), "r1", CREDITS)
    server.objects["/v1/checkout/sessions/cs_1"] = _session(payment.payment_id)
    await _say(world, "evt_1", "checkout.session.completed", "cs_1")
    dispute = {"id": "dp_1", "object": "dispute", "payment_intent": "pi_1", "status": "needs_response"}
    server.objects["/v1/disputes/dp_1"] = dispute
    await _say(world, "evt_2", "charge.dispute.created", "dp_1")
    assert (await world.books.verify(ACCOUNT)).credits == 0
    server.objects["/v1/disputes/dp_1"] = dispute | {"status": "won"}
    # The end of it comes before a late message about its beginning.
    await _say(world, "evt_4", "charge.dispute.closed", "dp_1")
    await _say(world, "evt_3", "charge.dispute.updated", "dp_1")
    assert (await world.books.verify(ACCOUNT)).credits == 1000
    charge = {"id": "ch_1", "object": "charge", "payment_intent": "pi_1", "amount_refunded": 1190}
    server.objects["/v1/charges/ch_1"] = charge
    await _say(world, "evt_5", "charge.refunded", "ch_1")
    assert await world.books.verify(ACCOUNT) == Balances(0, 0, 0)
    assert (await world.payments.get(ACCOUNT, payment.payment_id)).state is State.REFUNDED


async def test_a_plan_is_a_subscription(world: World, server: Server) -> None:
    customer = await world.customer()
    with pytest.raises(ConflictError, match="no_portal"):
        await world.payments.portal(customer)
    payment = await world.payments.start(customer, "r1", Wanted(Purpose.PLAN, "business"))
    form = server.requests[-1][2]
    assert (form["mode"], form["line_items[0][price_data][recurring][interval]"]) == ("subscription", "month")
    assert form["subscription_data[metadata][payment]"] == payment.payment_id
    server.objects["/v1/checkout/sessions/cs_1"] = _session(payment.payment_id, payment_intent=None)
    server.objects["/v1/subscriptions"] = {"object": "list", "data": []}
    await _say(world, "evt_1", "checkout.session.completed", "cs_1")
    assert (await world.customer()).plan == "business"
    assert await world.payments.portal(await world.customer()) == "https://billing.stripe.test/p"
    parent = {"subscription_details": {"metadata": {"payment": payment.payment_id}}}
    invoice = {"object": "invoice", "status": "paid", "amount_paid": 1071, "parent": parent}
    for ref, reason in (("in_1", "subscription_create"), ("in_2", "subscription_cycle")):
        by = {"status": "paid", "payment": {"type": "payment_intent", "payment_intent": f"pi_{ref}"}}
        payments = {"object": "list", "data": [by | {"status": "canceled", "payment": {}}, by]}
        server.objects[f"/v1/invoices/{ref}"] = invoice | {"id": ref, "billing_reason": reason, "payments": payments}
    for event, ref in (("evt_2", "in_1"), ("evt_3", "in_2"), ("evt_4", "in_2")):
        await _say(world, event, "invoice.paid", ref)
    assert (await world.books.verify(ACCOUNT)).prepaid == 2 * 1071
    # Either month can be given back, by the charge that its invoice names.
    for number, amount in ((1, 1071), (2, 71)):
        charge = {"object": "charge", "payment_intent": f"pi_in_{number}", "amount_refunded": amount}
        server.objects[f"/v1/charges/ch_{number}"] = charge | {"id": f"ch_{number}"}
        await _say(world, f"evt_back_{number}", "charge.refunded", f"ch_{number}")
    assert (await world.books.verify(ACCOUNT)).prepaid == 1000


async def test_nobody_pays_on_for_a_plan_that_he_has_left(world: World, server: Server) -> None:
    customer = replace(await world.customer(), provider_ref="cus_1")

    def named(name: str, created: int, *, ends: bool) -> dict[str, Any]:
        metadata = {"payment": name}
        return {"id": f"sub_{name}", "created": created, "metadata": metadata, "cancel_at_period_end": ends}

    plans = [named("a", 1, ends=True), named("b", 2, ends=False), named("c", 3, ends=False)]
    server.objects["/v1/subscriptions"] = {"object": "list", "data": plans}
    await world.provider.end_plans(customer, "c")
    await world.provider.end_plans(replace(customer, provider_ref=""))
    changed = [(path, form) for method, path, form, _ in server.requests if method == "POST"]
    assert changed == [("/v1/subscriptions/sub_b", {"cancel_at_period_end": "true"})]
    server.objects["/v1/subscriptions"] = {
        "object": "list",
        "data": [named("a", 1, ends=True), named("b", 2, ends=True)],
    }
    await world.provider.go_on(customer)
    method, path, form, _ = server.requests[-1]
    assert (method, path, form) == ("POST", "/v1/subscriptions/sub_b", {"cancel_at_period_end": "false"})
