"""Real clients against the real MX: swaks, smtp-source of Postfix, and smtplib."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from collections.abc import AsyncIterator, Callable
from email.message import EmailMessage
from pathlib import Path
from typing import TypeVar

import pytest
import pytest_asyncio

from tests.support.ingest_process import Mx, run_client, run_mx
from tests.support.rpc import certificates
from tests.support.tools import require_tool

T = TypeVar("T")


# One MX for all of them: it takes seconds to start.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncIterator[Mx]:
    async with run_mx() as mx:
        yield mx


@pytest.fixture
def mx(running: Mx) -> Mx:
    """The MX, with empty mailboxes."""
    running.storage.clear()
    return running


async def in_thread(mx: Mx, talk: Callable[[smtplib.SMTP], T]) -> T:
    """Have `talk` with smtplib."""

    def connected() -> T:
        with smtplib.SMTP("127.0.0.1", mx.port, local_hostname="client.example", timeout=60) as client:
            return talk(client)

    return await asyncio.to_thread(connected)


def message(text: str = "A line.\n.\n..dots\n", subject: str = "Hello") -> EmailMessage:
    made = EmailMessage()
    made["From"] = "Ada <ada@example.org>"
    made["To"] = "bob@sealpost.test"
    made["Subject"] = subject
    made.set_content(text)
    return made


async def test_swaks_delivers(mx: Mx, tmp_path: Path) -> None:
    swaks = require_tool("swaks")
    attachment = tmp_path / "plan.bin"
    attachment.write_bytes(bytes(range(256)) * 40)
    common = (swaks, "--server", mx.address, "--from", "ada@example.org", "--ehlo", "client.example")
    code, said = await run_client(
        *common, "--to", "bob@sealpost.test", "--attach", f"@{attachment}", "--h-Subject", "from swaks"
    )
    assert code == 0, said
    (envelope,) = mx.storage.envelopes
    assert envelope["subject"] == "from swaks"
    assert [(one["name"], one["size"]) for one in envelope["attachments"]] == [("plan.bin", 10240)]


async def test_swaks_pipelines(mx: Mx) -> None:
    swaks = require_tool("swaks")
    recipients = "bob@sealpost.test,carol@sealpost.test"
    code, said = await run_client(
        swaks, "--server", mx.address, "--pipeline", "--from", "a@b.example", "--to", recipients
    )
    assert code == 0, said
    assert sorted(mx.storage.bodies) == ["bob", "carol"]


@pytest.mark.parametrize(("recipient", "code"), [("nobody@sealpost.test", "550"), ("x@example.com", "550")])
async def test_swaks_hears_a_refusal(mx: Mx, recipient: str, code: str) -> None:
    swaks = require_tool("swaks")
    exit_code, said = await run_client(swaks, "--server", mx.address, "--from", "ada@example.org", "--to", recipient)
    assert exit_code == 24, said
    assert f"<** {code} 5." in said
    assert mx.storage.count == 0


@pytest.mark.parametrize("size", [4096, 102_400])
async def test_smtp_source_delivers_in_parallel(mx: Mx, size: int) -> None:
    smtp_source = require_tool("smtp-source")
    load = ("-s", "20", "-m", "400", "-l", str(size))
    code, said = await run_client(smtp_source, *load, "-f", "a@b.example", "-t", "bob@sealpost.test", mx.address)
    assert code == 0, said
    contents = mx.storage.contents()
    assert len(contents) == 400
    assert all(size <= len(content) <= size + 200 for content in contents)


async def test_smtp_source_reuses_its_session_and_names_many_recipients(mx: Mx) -> None:
    smtp_source = require_tool("smtp-source")
    load = ("-d", "-s", "5", "-m", "100", "-r", "5")
    code, said = await run_client(smtp_source, *load, "-f", "a@b.example", "-t", "bob@sealpost.test", mx.address)
    assert code == 0, said
    assert mx.storage.count == 500


async def test_smtplib_delivers_what_was_sent(mx: Mx) -> None:
    sent = message()
    await in_thread(mx, lambda client: client.send_message(sent))
    assert mx.storage.contents() == [sent.as_bytes().replace(b"\n", b"\r\n")]


async def test_smtplib_over_tls(mx: Mx) -> None:
    context = ssl.create_default_context(cafile=certificates("smtp") / "ca.crt")
    context.check_hostname = False

    def talk(client: smtplib.SMTP) -> tuple[int, bytes]:
        client.starttls(context=context)
        assert not client.has_extn("starttls")
        client.send_message(message())
        return client.noop()

    assert (await in_thread(mx, talk))[0] == 250
    assert b" with ESMTPS id " in mx.storage.bodies["bob"][0]


async def test_smtplib_in_utf8(mx: Mx) -> None:
    sent = message(subject="Gr\u00fc\u00dfe")

    def talk(client: smtplib.SMTP) -> None:
        client.ehlo()
        options = ["SMTPUTF8", "BODY=8BITMIME"]
        # Bytes are sent as they are, and a bare LF would be refused.
        content = sent.as_bytes().replace(b"\n", b"\r\n")
        client.sendmail("\u00e4da@ex\u00e4mple.org", ["b\u00f6b@sealpost.test"], content, options)

    await in_thread(mx, talk)
    assert mx.storage.bodies["b\u00f6b"][0].startswith("Return-Path: <\u00e4da@ex\u00e4mple.org>".encode())


async def test_smtplib_with_a_large_mail(mx: Mx) -> None:
    text = "".join(f"{number:08d} some more text to make the line longer\n" for number in range(400_000))
    sent = message(text)
    await in_thread(mx, lambda client: client.send_message(sent))
    (content,) = mx.storage.contents()
    assert content == sent.as_bytes().replace(b"\n", b"\r\n")


async def test_smtplib_hears_of_one_refused_recipient(mx: Mx) -> None:
    def talk(client: smtplib.SMTP) -> dict[str, tuple[int, bytes]]:
        return client.sendmail("ada@example.org", ["bob@sealpost.test", "nobody@sealpost.test"], "Subject: x\r\n\r\n")

    refused = await in_thread(mx, talk)
    assert list(refused) == ["nobody@sealpost.test"]
    assert refused["nobody@sealpost.test"][0] == 550
    assert mx.storage.count == 1
