"""A customer's months on a whole platform: use is metered, credits are bought, a bill comes, is not paid, and is."""

from __future__ import annotations

import io
import json
import smtplib
import ssl
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.support.amended import amended_platform
from tests.support.later import Later
from tests.support.ledger_procs import wait_for
from tests.support.operators import make_operator
from tests.support.platform import RunningPlatform
from tests.support.sender import PASSWORD, Sender, sign_up

pytestmark = pytest.mark.timeout(240)


class Scene:
    """A platform, its clocks, a customer and two operators."""

    def __init__(self, platform: RunningPlatform, later: Later) -> None:
        self.platform, self.later = platform, later
        self.customer = sign_up(platform, "berta")
        self.officers = [sign_up(platform, name, number=number) for name, number in (("olga", 2), ("otto", 3))]
        for one in self.officers:
            make_operator(platform, one.address)

    def ask(self, who: Sender, method: str, path: str, given: Any = None) -> httpx.Response:
        """Ask in the session of somebody, signed in anew where it has ended with the time that went by."""
        for _ in range(2):
            with who.http() as http:
                http.timeout = 60
                answer = http.request(method, path, json=given)
            if answer.status_code not in (401, 404) or path.endswith("missing"):
                break
            who.client.login(who.address, PASSWORD)
        return answer

    def told(self, method: str, path: str, given: Any = None) -> Any:
        """Return what the customer is answered."""
        return self.ask(self.customer, method, f"/v1/billing/{path}", given).raise_for_status().json()

    def standing(self) -> Any:
        """Return how the customer stands."""
        return self.told("GET", "standing")

    def used(self, meter: str) -> int:
        """Return what the customer has used of a meter in the last days."""
        until = self.later.now().date()
        days = self.told("GET", f"usage?from={until - timedelta(days=40)}&until={until}")["days"]
        return sum(day["units"].get(meter, 0) for day in days)

    def receive(self, count: int) -> None:
        """Send mails to the customer from elsewhere."""
        for number in range(count):
            with smtplib.SMTP("127.0.0.1", self.platform.smtp_port, timeout=20) as smtp:
                content = f"From: a@example.org\r\nSubject: {number}\r\n\r\nHello.\r\n"
                smtp.sendmail("a@example.org", [self.customer.address], content)

    def send(self) -> None:
        """Have the customer's mail program send a mail to himself."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with smtplib.SMTP("127.0.0.1", self.platform.submission_port, timeout=20) as smtp:
            smtp.starttls(context=context)
            smtp.login(self.customer.address, self.customer.app_password)
            content = f"From: {self.customer.address}\r\nSubject: sent\r\n\r\nHello.\r\n"
            smtp.sendmail(self.customer.address, [self.customer.address], content)

    def record(self, reference: str, amount: int) -> httpx.Response:
        """Record a transfer."""
        given = {"reference": reference, "amount": amount}
        return self.ask(self.officers[0], "POST", "/v1/operator/billing/payments", given)

    def to(self, when: datetime) -> None:
        """Let time go by until then."""
        self.later.let_pass(when - self.later.now())


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("billing")
    later = Later(folder / "later")
    with amended_platform(folder / "home", later) as platform:
        scene = Scene(platform, later)
        yield scene
        for one in (scene.customer, *scene.officers):
            one.client.close()


def test_what_is_received_and_sent_is_metered_once(scene: Scene) -> None:
    scene.receive(3)
    scene.send()
    scene.customer.wait_mails(4)
    wait_for("four mails to be counted", lambda: scene.used("mails_stored") == 4, 20.0)
    assert scene.used("sends") >= 1
    standing = scene.standing()
    assert (standing["plan"], standing["state"]) == ("free", "free")
    storage = next(one for one in standing["used"] if one["allowance"]["meter"] == "storage_bytes")
    assert storage["used"] > 0


def test_credits_are_bought_by_transfer(scene: Scene) -> None:
    given = {"request_id": "f" * 32, "credits": 1000}
    payment = scene.told("POST", "payments", given)
    assert scene.told("POST", "payments", given)["id"] == payment["id"]
    assert (payment["amount"], payment["state"]) == (1190, "waiting")
    assert scene.record(payment["reference"], 1189).status_code == 409
    assert scene.record(payment["reference"], 1190).json()["state"] == "paid"
    assert scene.standing()["credits"] == 1000
    reversal = f"/v1/operator/billing/payments/{payment['id']}/reversal"
    assert scene.ask(scene.officers[0], "POST", reversal).status_code == 200
    assert scene.ask(scene.officers[0], "POST", f"{reversal}/confirm").status_code == 403
    assert scene.ask(scene.officers[1], "POST", f"{reversal}/confirm").status_code == 200
    assert scene.standing()["credits"] == 0


def test_a_bill_that_is_not_paid_and_then_is(scene: Scene) -> None:
    scene.told("PUT", "details", {"name": "Berta", "address_lines": ["Weg 1"], "country": "DE", "vat_id": ""})
    assert scene.told("PUT", "plan", {"plan": "personal"})["state"] == "trial"
    scene.later.let_pass(timedelta(days=15))
    wait_for("the trial to be over", lambda: scene.standing()["state"] == "active", 20.0)
    month = (scene.later.now().replace(day=1) + timedelta(days=32)).replace(day=1)
    scene.to(month.replace(hour=12) + timedelta(days=3))
    wait_for("an invoice", lambda: len(scene.told("GET", "invoices")["invoices"]) == 1, 30.0)
    (invoice,) = scene.told("GET", "invoices")["invoices"]
    assert invoice["gross"] == invoice["net"] + invoice["tax"] > 0
    number = invoice["number"]
    pdf = scene.ask(scene.customer, "GET", f"/v1/billing/invoices/{number}?format=pdf")
    assert pdf.content.startswith(b"%PDF-") and pdf.headers["content-type"] == "application/pdf"
    told = json.loads(scene.ask(scene.customer, "GET", f"/v1/billing/invoices/{number}").content)
    assert told["payer"]["name"] == "Berta"
    assert scene.ask(scene.officers[0], "GET", f"/v1/billing/invoices/{number}").status_code == 404
    due = datetime.fromisoformat(invoice["due"]).replace(tzinfo=UTC)
    scene.to(due + timedelta(days=1, hours=1))
    wait_for("grace", lambda: scene.standing()["state"] == "grace", 20.0)
    scene.to(due + timedelta(days=16))
    wait_for("the end of grace", lambda: scene.standing()["state"] == "read_only", 20.0)
    # Mail comes in and none goes out.
    before = len(scene.customer.client.list("inbox"))
    scene.receive(1)
    wait_for("a mail", lambda: len(scene.customer.client.list("inbox")) > before, 20.0)
    scene.later.let_pass(timedelta(minutes=20))
    with pytest.raises(smtplib.SMTPException, match="bill is unpaid"):
        scene.send()
    assert scene.record(number, invoice["gross"]).json()["state"] == "paid"
    wait_for("everything to be as before", lambda: scene.standing()["state"] == "active", 20.0)
    assert scene.told("GET", "invoices")["invoices"][-1]["state"] == "paid"
    scene.later.let_pass(timedelta(minutes=2))
    wait_for("sending", lambda: _sends(scene), 40.0)


def test_all_of_it_is_in_the_export(scene: Scene) -> None:
    archive = scene.ask(scene.customer, "GET", "/v1/account/export").raise_for_status()
    names = zipfile.ZipFile(io.BytesIO(archive.content)).namelist()
    kinds = {"customer", "usage", "allowance", "book", "invoice", "payment"}
    assert {kind for kind in kinds if any(f"/{kind}/" in name or f"/{kind}-" in name for name in names)} == kinds, names


def _sends(scene: Scene) -> bool:
    try:
        scene.send()
    except smtplib.SMTPException:
        return False
    return True
