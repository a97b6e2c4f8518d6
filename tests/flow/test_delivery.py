"""Mail out through the whole platform: submitted by a mail program, delivered to the world, reports that come back."""

from __future__ import annotations

import email
import email.policy
import smtplib
from collections.abc import Iterator
from email.message import EmailMessage

import dkim
import pytest

from tests.support.ledger_procs import wait_for
from tests.support.operators import dns_records
from tests.support.outside import Outside, outside
from tests.support.platform import RunningPlatform, running_platform
from tests.support.remote_steps import RCPT
from tests.support.sender import CLIENT, Sender, letter, sign_up


class World:
    """A platform and the rest of the world."""

    def __init__(self, outside: Outside, platform: RunningPlatform) -> None:
        self.outside, self.platform = outside, platform
        self.alice = sign_up(platform, "alice", number=1)
        self.bob = sign_up(platform, "bob", number=2)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("delivery") / "home"
    with outside("remote.test", "refusing.test") as found, running_platform(home, **found.settings) as platform:
        made = World(found, platform)
        with made.alice.client, made.bob.client:
            yield made


def parsed(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def test_a_mail_reaches_the_world_signed_and_without_a_word_about_the_client(world: World) -> None:
    message = letter(world.alice.address, "carol@remote.test", "Across")
    message["Bcc"] = "dave@remote.test"
    message["X-Originating-IP"] = "[192.0.2.77]"
    before = len(world.outside.mails("remote.test"))
    world.alice.submit(message, ["carol@remote.test", "dave@remote.test"])
    mail = world.outside.wait_mail("remote.test", before + 1)
    assert sorted(mail.recipients) == ["carol@remote.test", "dave@remote.test"]
    assert mail.mail_from.startswith("b-") and mail.mail_from.endswith(f"@{world.platform.bounce_domain}")
    got = parsed(mail.content)
    assert got["Subject"] == "Across"
    assert got["Date"] and got["Message-ID"]
    for secret in (b"192.0.2.77", b"127.0.0.1", b"dave@", b"Bcc", CLIENT.encode()):
        assert secret not in mail.content
    assert len(got.get_all("DKIM-Signature", [])) == 2


def test_signatures_hold_and_our_own_mx_says_so(world: World) -> None:
    records = dkim_records(world)
    before = len(world.outside.mails("remote.test"))
    world.alice.submit(letter(world.alice.address, "carol@remote.test", "Signed"), ["carol@remote.test"])
    content = world.outside.wait_mail("remote.test", before + 1).content

    def look_up(name: bytes, timeout: int = 5) -> bytes:
        return records[name.decode().rstrip(".")].encode()

    assert dkim.verify(content, dnsfunc=look_up)
    # Somebody sends it on to a member: the platform checks it like anybody's mail.
    for name, record in records.items():
        world.outside.publish(name, "TXT", record)
    with smtplib.SMTP(world.platform.smtp_host, world.platform.smtp_port, timeout=30) as smtp:
        smtp.sendmail("carol@remote.test", [world.bob.address], content)
    (mail,) = [one for one in world.bob.wait_mails() if (one.envelope or {}).get("subject") == "Signed"]
    assert (mail.envelope or {})["auth"]["dkim"] == "pass"


def dkim_records(world: World) -> dict[str, str]:
    """Return the DKIM records of the member domain, as an operator is told them."""
    return {
        record["name"]: record["value"]
        for record in dns_records(world.platform, world.alice)
        if record["purpose"] == "dkim" and record["name"].endswith(f"._domainkey.{world.platform.member_domain}")
    }


def test_a_refused_recipient_is_reported_to_the_sender_alone(world: World) -> None:
    world.outside.mtas["refusing.test"].says(RCPT, "550 5.1.1 no such mailbox here")
    world.alice.submit(letter(world.alice.address, "nobody@refusing.test", "Lost"), ["nobody@refusing.test"])
    wait_for("a report", lambda: reports(world.alice), 30.0)
    content = world.alice.client.read(reports(world.alice)[0])
    report = parsed(content)
    assert report.get_content_type() == "multipart/report"
    assert b"nobody@refusing.test" in content
    assert b"5.1.1" in content
    assert parsed(content)["Auto-Submitted"] == "auto-replied"
    assert reports(world.bob) == []


def reports(member: Sender) -> list[str]:
    """Return the ids of the reports in an inbox."""
    return [mail.id for mail in member.client.list() if "postmaster@" in str((mail.envelope or {}).get("from"))]


def subjects(member: Sender) -> list[str]:
    """Return the subjects in an inbox."""
    return [str((mail.envelope or {}).get("subject")) for mail in member.client.list()]


def test_mail_between_members_never_leaves(world: World) -> None:
    before = {domain: mta.connections for domain, mta in world.outside.mtas.items()}
    asked = len(world.outside.dns.asked)
    world.alice.submit(letter(world.alice.address, world.bob.address, "Inside"), [world.bob.address])
    wait_for(
        "the mail", lambda: any((m.envelope or {}).get("subject") == "Inside" for m in world.bob.client.list()), 30.0
    )
    assert {domain: mta.connections for domain, mta in world.outside.mtas.items()} == before
    assert not [name for name, _ in world.outside.dns.asked[asked:] if "sealpost" in name]


def test_a_late_bounce_comes_back_through_the_mx(world: World) -> None:
    before = len(world.outside.mails("remote.test"))
    world.alice.submit(letter(world.alice.address, "late@remote.test", "Late"), ["late@remote.test"])
    return_path = world.outside.wait_mail("remote.test", before + 1).mail_from
    known = len(reports(world.alice))
    with smtplib.SMTP(world.platform.smtp_host, world.platform.smtp_port, timeout=30) as smtp:
        smtp.sendmail("", [return_path], bounce(return_path, "late@remote.test"))
        code, _ = smtp.mail("<>")
        assert code == 250
        code, _ = smtp.rcpt(f"b-{'a' * 42}@{world.platform.bounce_domain}")
        assert code == 550
    wait_for("a report", lambda: len(reports(world.alice)) > known, 30.0)


def bounce(return_path: str, recipient: str) -> bytes:
    """Return a report as other mail servers make them (RFC 3464)."""
    lines = [
        "From: MAILER-DAEMON@remote.test",
        f"To: {return_path}",
        "Subject: Undelivered Mail Returned to Sender",
        "MIME-Version: 1.0",
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"',
        "",
        "--b",
        "Content-Type: text/plain",
        "",
        "Sorry.",
        "--b",
        "Content-Type: message/delivery-status",
        "",
        "Reporting-MTA: dns; mx.remote.test",
        "",
        f"Final-Recipient: rfc822; {recipient}",
        "Action: failed",
        "Status: 5.1.1",
        "",
        "--b--",
        "",
    ]
    return "\r\n".join(lines).encode()


def test_a_read_receipt_goes_out_from_nobody(world: World) -> None:
    """As mail programs send it (RFC 8098 2.1): MAIL FROM:<>, one recipient, From the account's own."""
    receipt = letter(world.alice.address, "author@remote.test", "Read: A letter")
    stranger = letter(world.bob.address, "author@remote.test", "Read: A letter")
    before = len(world.outside.mails("remote.test"))
    with world.alice.session() as smtp:
        smtp.sendmail("", ["author@remote.test"], receipt.as_bytes(policy=email.policy.SMTP))
        with pytest.raises(smtplib.SMTPDataError, match=r"5\.7\.1"):
            smtp.sendmail("", ["author@remote.test"], stranger.as_bytes(policy=email.policy.SMTP))
        assert list(
            smtp.sendmail("", ["author@remote.test", "other@remote.test"], receipt.as_bytes(policy=email.policy.SMTP))
        ) == ["other@remote.test"]
    mails = [world.outside.wait_mail("remote.test", before + number) for number in (1, 2)]
    assert [(one.mail_from, list(one.recipients)) for one in mails] == [("", ["author@remote.test"])] * 2
    assert all(one.content.startswith(b"DKIM-Signature:") for one in mails)


@pytest.mark.parametrize("sender", ["bob", "somebody-else"])
def test_nobody_sends_as_somebody_else(world: World, sender: str) -> None:
    other = f"{sender}@{world.platform.member_domain}"
    with pytest.raises(smtplib.SMTPException):
        world.alice.submit(letter(other, "carol@remote.test"), ["carol@remote.test"], sender=other)
    with pytest.raises(smtplib.SMTPException):
        world.alice.submit(letter(other, "carol@remote.test"), ["carol@remote.test"])


def test_no_word_of_it_is_on_a_disk(world: World) -> None:
    world.outside.mtas["refusing.test"].says(RCPT, "450 4.2.0 come back later")
    marks = (b"unspeakable-subject", b"quite-secret-words", b"waiting@refusing.test")
    message = letter(world.alice.address, "waiting@refusing.test", "unspeakable-subject", "quite-secret-words\n")
    tried = len(world.outside.mtas["refusing.test"].commands)
    world.alice.submit(message, ["waiting@refusing.test"])
    wait_for("a first try", lambda: len(world.outside.mtas["refusing.test"].commands) > tried, 30.0)
    held = [path for path in world.platform.home.rglob("*") if path.is_file()]
    assert any(path.name.startswith("delivery.db") for path in held)
    for path in held:
        content = path.read_bytes()
        assert not [mark for mark in marks if mark in content], path.name
