"""Forwarding through the whole platform: asked, confirmed, passed on with everything intact, a bounce returned."""

from __future__ import annotations

import base64
import re
import smtplib
from collections.abc import Iterator

import dkim
import httpx
import pytest

from libs.client import keys
from tests.flow.test_delivery import bounce, parsed
from tests.support.ledger_procs import wait_for
from tests.support.operators import dns_records
from tests.support.outside import Outside, outside
from tests.support.platform import RunningPlatform, running_platform
from tests.support.remote_steps import Received
from tests.support.sender import PASSWORD, Sender, sign_up
from tests.unit.ingest.senders import rsa_key, sign

SENDER, TARGET = "carol@sender.test", "Ada.Elsewhere@target.test"
MAIL = (
    b"From: Carol <carol@sender.test>\r\nTo: ada@sealpost.test\r\nSubject: Passed on\r\n"
    b"Date: Mon, 23 Nov 2026 01:00:00 +0000\r\nMessage-ID: <passed-on@sender.test>\r\n\r\nWords to be passed on.\r\n"
)


class World:
    """A platform and the rest of the world. ada forwards to the target; bob is another member."""

    def __init__(self, found: Outside, platform: RunningPlatform) -> None:
        self.outside, self.platform = found, platform
        self.ada = sign_up(platform, "ada", number=1)
        self.bob = sign_up(platform, "bob", number=2)
        found.publish("sel._domainkey.sender.test", "TXT", rsa_key()[1])
        for record in dns_records(platform, self.bob):
            if record["purpose"] == "dkim":
                found.publish(record["name"], "TXT", record["value"])
        self.link = self.add()

    def add(self) -> str:
        """Have ada add the target; return the link that reaches it."""
        with self.ada.http() as http:
            kdf = http.post("/v1/kdf", json={"address": self.ada.address}).raise_for_status().json()["kdf"]
            proof = keys.derive(PASSWORD, keys.Kdf.from_json(kdf)).authentication.reveal()
            given = {"address": TARGET, "current_authentication_key": base64.b64encode(proof).decode()}
            http.post("/v1/forwarding", json=given).raise_for_status()
        asked = self.outside.wait_mail("target.test")
        assert (asked.mail_from, list(asked.recipients)) == ("", [TARGET])
        found = re.search(r"https?://\S+/f/\S+", parsed(asked.content).get_content())
        assert found is not None
        return found[0]

    def state(self) -> str:
        with self.ada.http() as http:
            (one,) = http.get("/v1/forwarding").raise_for_status().json()["forwards"]
        assert one["address"] == TARGET
        return str(one["state"])

    def answer(self, answer: str) -> None:
        httpx.post(self.link, data={"answer": answer}, timeout=30).raise_for_status()

    def deliver(self, content: bytes, sender: str, recipient: str) -> None:
        with smtplib.SMTP(self.platform.smtp_host, self.platform.smtp_port, timeout=30) as smtp:
            smtp.sendmail(sender, [recipient], content)

    def look_up(self, name: bytes, timeout: float = 5) -> bytes:
        (record,) = self.outside.dns.zone[name.decode().rstrip(".") + ".", "TXT"]
        return record.replace('" "', "").strip('"').encode()


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("forwarding") / "home"
    with outside("sender.test", "target.test") as found, running_platform(home, **found.settings) as platform:
        made = World(found, platform)
        with made.ada.client, made.bob.client:
            yield made


@pytest.fixture(scope="module")
def copy(world: World) -> Received:
    """A mail from outside as the target gets it, once it has agreed."""
    assert httpx.get(world.link, timeout=30).status_code == 200
    assert world.state() == "pending"
    world.answer("yes")
    assert world.state() == "active"
    signed = sign(MAIL, "sender.test")
    # The second time is a client that never heard our answer.
    for _ in range(2):
        world.deliver(signed, SENDER, world.ada.address)
    found = world.outside.wait_mail("target.test", 2)
    assert found.content.endswith(signed)
    return found


def subjects(member: Sender) -> list[str]:
    return [str((mail.envelope or {}).get("subject")) for mail in member.client.list()]


def test_the_copy_is_signed_by_its_author_and_sealed_by_us(world: World, copy: Received) -> None:
    assert list(copy.recipients) == [TARGET]
    assert copy.mail_from.upper().startswith("SRS0=")
    assert copy.mail_from.endswith(f"@{world.platform.bounce_domain}")
    status, sets, reason = dkim.arc_verify(copy.content, dnsfunc=world.look_up)
    assert (status, reason) == (b"pass", "success")
    assert [(one["instance"], one["as-domain"]) for one in sets] == [(1, b"sealpost.test")]
    assert b"dkim=pass" in sets[0]["aar-value"]
    # dkimpy looks at the first signature: that of the author, for we add none.
    assert dkim.verify(copy.content, dnsfunc=world.look_up)
    assert copy.content.count(b"DKIM-Signature") == 1
    assert parsed(copy.content)["From"] == "Carol <carol@sender.test>"


def test_our_own_copy_is_kept(world: World, copy: Received) -> None:
    assert subjects(world.ada).count("Passed on") == 2


def test_it_goes_on_once_and_our_own_mx_believes_the_chain(world: World, copy: Received) -> None:
    world.deliver(copy.content, copy.mail_from, world.ada.address)
    world.deliver(copy.content, copy.mail_from, world.bob.address)
    (mail,) = world.bob.wait_mails()
    content = world.bob.client.read(mail.id)
    assert b"arc=pass" in content.partition(b"\r\n\r\n")[0].partition(b"X-Loop")[0]


def test_a_bounce_goes_back_to_the_sender_once(world: World, copy: Received) -> None:
    path = copy.mail_from
    report = bounce(path, TARGET)
    with smtplib.SMTP(world.platform.smtp_host, world.platform.smtp_port, timeout=30) as smtp:
        smtp.ehlo("mx.target.test")
        refusals = {"": path.replace("=", "=x", 1), "stranger@target.test": path}
        for sender, recipient in refusals.items():
            smtp.mail(sender)
            code, text = smtp.rcpt(recipient)
            assert (code, text[:5]) == (550, b"5.7.1")
            smtp.rset()
        smtp.sendmail("", [path.lower()], report)
        smtp.mail("")
        code, text = smtp.rcpt(path)
        assert (code, b"used already" in text) == (550, True)
    back = world.outside.wait_mail("sender.test")
    assert (back.mail_from, list(back.recipients)) == ("", [SENDER])
    assert back.content.endswith(report)
    assert len(world.outside.mails("sender.test")) == 1


def test_the_target_stops_it_with_the_same_link(world: World, copy: Received) -> None:
    world.answer("no")
    assert world.state() == "stopped"
    # And cannot be begun again by it.
    assert httpx.post(world.link, data={"answer": "yes"}, timeout=30).status_code == 200
    assert world.state() == "stopped"
    # Nothing but the question and the one copy has come, whatever came back in circles.
    assert len(world.outside.mails("target.test")) == 2


def test_no_word_of_it_is_on_a_disk_or_in_a_log(world: World, copy: Received) -> None:
    wait_for("the last settled", lambda: len(world.outside.mails("sender.test")) == 1, 30.0)
    marks = (TARGET, TARGET.lower(), SENDER, "Words to be passed on", world.link.rpartition("/")[2])
    held = {path.name: path.read_bytes() for path in world.platform.home.rglob("*") if path.is_file()}
    held["output"] = "\n".join(world.platform.output).encode()
    for name, content in held.items():
        assert not [mark for mark in marks if mark.encode() in content], name
