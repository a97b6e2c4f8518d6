"""Submission as processes: the parent's ports, the workers' metrics, and no word of anybody in the log."""

from __future__ import annotations

import asyncio
import signal
import smtplib
from contextlib import suppress

import pytest

from libs.runtime.backoff import Backoff
from services.ingest.workers import worker_environment
from tests.support.ingest import trusting
from tests.support.ingest_fakes import ADA_PASSWORD, RETURN_PATH
from tests.support.ingest_process import Mx, run_mx
from tests.unit.ingest.proofs import plain

CONTENT = b"From: ada@sealpost.test\r\nSubject: canary\r\n\r\nA line.\r\n"


def submit(mx: Mx, port: str, password: str = ADA_PASSWORD, recipient: str = "x@example.com") -> None:
    """Submit one mail with smtplib. Raises what it raises."""
    if port == "submissions":
        client: smtplib.SMTP = smtplib.SMTP_SSL("localhost", mx.ports[port], context=trusting(), timeout=20)
    else:
        client = smtplib.SMTP("localhost", mx.ports[port], local_hostname="canary.example", timeout=20)
    with client:
        if port == "submission":
            client.starttls(context=trusting())
        client.login("ada@sealpost.test", password)
        client.sendmail("ada@sealpost.test", [recipient], CONTENT)


async def test_both_ports_take_mail_and_the_workers_count_together() -> None:
    async with run_mx(workers=2) as mx:
        assert len({mx.ports[name] for name in ("smtp", "submission", "submissions")}) == 3
        await asyncio.gather(*(asyncio.to_thread(submit, mx, port) for port in ("submission", "submissions") * 10))
        assert len(mx.delivery.submitted) == 20
        assert {one.content for one in mx.delivery.submitted} == {CONTENT}
        # Each worker reports once a second.
        async for _ in Backoff(first=0.5, ceiling=0.5, attempts=40):
            if 'sealpost_submission_mails_total{outcome="accepted"} 20.0' in (shown := await mx.metrics()):
                break
        assert 'sealpost_submission_mails_total{outcome="accepted"} 20.0' in shown
        assert 'sealpost_submission_sign_ins_total{outcome="signed_in"} 20.0' in shown


async def test_reports_reach_delivery() -> None:
    async with run_mx(workers=1) as mx:

        def report() -> None:
            with smtplib.SMTP("127.0.0.1", mx.port, timeout=20) as client:
                client.sendmail("", [RETURN_PATH], CONTENT)

        await asyncio.to_thread(report)
        assert mx.delivery.reports == [CONTENT]


async def test_nothing_of_who_submits_is_in_the_log() -> None:
    async with run_mx(workers=1) as mx:
        await asyncio.to_thread(submit, mx, "submission")
        for port in ("submission", "submissions"):
            with suppress(smtplib.SMTPAuthenticationError):
                await asyncio.to_thread(submit, mx, port, "canary-password")
        # A handshake that fails, and a password in the clear.
        for port in ("submission", "submissions"):
            reader, writer = await asyncio.open_connection("127.0.0.1", mx.ports[port])
            writer.write(f"EHLO canary\r\nAUTH PLAIN {plain()}\r\nQUIT\r\n".encode())
            await reader.read()
            writer.close()
        mx.process.send_signal(signal.SIGTERM)
        await mx.process.wait()
        text = str(mx.lines)
        for word in ("canary", ADA_PASSWORD, plain(), "ada@", "example.com", "127.0.0.1"):
            assert word not in text
        assert not [line for line in mx.lines if line["level"] == "error"]


async def test_without_addresses_there_is_only_the_mx() -> None:
    async with run_mx(workers=1, submission_address="", bounce_domain="") as mx:
        assert "submission" not in mx.ports
        await asyncio.to_thread(submit, mx, "submissions")
        assert len(mx.delivery.submitted) == 1


def test_workers_are_told_the_addresses_that_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALPOST_SUBMISSION_ADDRESS", "127.0.0.1:0")
    environ = worker_environment({"smtp": "127.0.0.1:1", "submission": "127.0.0.1:2"})
    assert environ["SEALPOST_SMTP_ADDRESS"] == "127.0.0.1:1"
    assert environ["SEALPOST_SUBMISSION_ADDRESS"] == "127.0.0.1:2"
    assert environ["SEALPOST_METRICS_ADDRESS"] == ""
