"""AUTH refused: the same words after the same time whatever is wrong, limits, and who is asked too often."""

from __future__ import annotations

import asyncio
import logging

import pytest

from libs.runtime.errors import ExhaustedError, InternalError, InvalidError, SealpostError, UnavailableError
from services.ingest import meters
from tests.support.clock import ManualClock
from tests.support.ingest import serve_submission
from tests.support.ingest_fakes import ADA_PASSWORD
from tests.unit.ingest.proofs import TLS, b64, plain, sign_in


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("ada@sealpost.test", "wrong"),
        ("ada@sealpost.test", ADA_PASSWORD + "x"),
        ("nobody@sealpost.test", ADA_PASSWORD),
        ("ada", ADA_PASSWORD),
        ("ada@sealpost.test", "p\u00e4ssword"),
    ],
)
async def test_whatever_is_wrong_the_refusal_is_the_same(name: str, password: str) -> None:
    async with serve_submission() as server:
        dialogue = await server.converse(f"{TLS}\nC: AUTH PLAIN {plain(name, password)}")
        assert await dialogue.reply() == "535 5.7.8 Address or password wrong"
        await dialogue.run("C: MAIL FROM:<ada@sealpost.test>\nS: 530 5.7.0")
        assert server.proofs.asked == [name]


async def test_an_address_that_accounts_cannot_read_is_as_wrong_as_any() -> None:
    async with serve_submission() as server:
        server.proofs.failure = InvalidError("address_invalid")
        dialogue = await server.converse(f"{TLS}\nC: AUTH PLAIN {plain('x')}")
        assert await dialogue.reply() == "535 5.7.8 Address or password wrong"


async def test_every_refusal_takes_the_same_time() -> None:
    async with serve_submission(wrong_proof_seconds=0.4) as server:
        loop = asyncio.get_running_loop()
        for failure in (None, InvalidError("address_invalid")):
            server.proofs.failure = failure
            dialogue = await server.converse(TLS)
            began = loop.time()
            await dialogue.run(f"C: AUTH PLAIN {plain('nobody@sealpost.test')}\nS: 535")
            assert loop.time() - began >= 0.39


async def test_a_client_that_leaves_during_the_wait_leaves_nothing() -> None:
    async with serve_submission(wrong_proof_seconds=30.0) as server:
        dialogue = await server.converse(f"{TLS}\nC: AUTH PLAIN {plain('nobody@sealpost.test')}")
        await dialogue.close()


@pytest.mark.parametrize("failure", [UnavailableError("unreachable"), UnavailableError("store"), InternalError("x")])
async def test_accounts_away_is_temporary(failure: SealpostError) -> None:
    async with serve_submission() as server:
        server.proofs.failure = failure
        dialogue = await server.converse(f"{TLS}\nC: AUTH PLAIN {plain()}\nS: 454 4.7.0")
        server.proofs.failure = None
        await dialogue.run(f"C: AUTH PLAIN {plain()}\nS: 235")


async def test_the_limit_of_accounts_is_temporary() -> None:
    async with serve_submission() as server:
        server.proofs.failure = ExhaustedError("too_many_attempts", retry_after=60)
        await server.converse(f"{TLS}\nC: AUTH PLAIN {plain()}\nS: 454 4.7.0")


async def test_a_fault_of_ours_says_nothing_and_logs_no_password(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with serve_submission() as server:
        server.proofs.failure = RuntimeError(f"with {ADA_PASSWORD} in it")
        await server.converse(f"""
            {TLS}
            C: AUTH PLAIN {plain()}
            S: 451 4.3.0
            C: AUTH PLAIN {b64(ADA_PASSWORD)}
            S: 501
            C: AUTH PLAIN {b64(bytes([0, 0xFF]) + ADA_PASSWORD.encode())}
            S: 501
        """)
    said = capsys.readouterr()
    logged = said.out + said.err + caplog.text
    assert "command_failed" in logged
    for secret in (ADA_PASSWORD, plain(), "ada@"):
        assert secret not in logged


async def test_guesses_of_one_client_are_limited() -> None:
    clock = ManualClock()
    async with serve_submission(wrong_proofs_per_client=3, exempt_networks=(), clock=clock) as server:
        dialogue = await server.converse(TLS)
        for number in range(3):
            await dialogue.run(f"C: AUTH PLAIN {plain(password=str(number))}\nS: 535")
        # The right one too, on any connection: who guesses does not learn when it was right.
        await dialogue.run(f"C: AUTH PLAIN {plain()}\nS: 421 4.7.0\nS closes")
        await server.converse(f"{TLS}\nC: AUTH PLAIN {plain()}\nS: 421 4.7.0\nS closes")
        assert len(server.proofs.asked) == 3
        clock.advance(601)
        await sign_in(server)


async def test_what_is_right_or_cannot_be_told_is_not_counted_against_a_client() -> None:
    async with serve_submission(wrong_proofs_per_client=2, exempt_networks=()) as server:
        for _ in range(4):
            await sign_in(server)
        server.proofs.failure = UnavailableError("unreachable")
        dialogue = await server.converse(TLS)
        for _ in range(4):
            await dialogue.run(f"C: AUTH PLAIN {plain()}\nS: 454")
        server.proofs.failure = None
        await dialogue.run(f"C: AUTH PLAIN {plain(password='x')}\nS: 535\nC: AUTH PLAIN {plain()}\nS: 235")


async def test_connections_of_one_account_are_limited() -> None:
    async with serve_submission(connections_per_account=2) as server:
        first = await sign_in(server)
        await sign_in(server)
        await server.converse(f"{TLS}\nC: AUTH PLAIN {plain()}\nS: 421 4.7.0\nS closes")
        await sign_in(server, "shop@relay.sealpost.test")
        await first.run("C: QUIT\nS: 221\nS closes")
        await sign_in(server)


async def test_many_wrong_passwords_end_the_connection() -> None:
    async with serve_submission(max_errors=3) as server:
        dialogue = await server.converse(TLS)
        for _ in range(3):
            await dialogue.run(f"C: AUTH PLAIN {plain(password='x')}\nS: 535")
        await dialogue.run(f"C: AUTH PLAIN {plain(password='x')}\nS: 421 4.7.0\nS closes")


async def test_outcomes_are_counted() -> None:
    before = {one: meters.SIGN_INS.value(outcome=one) for one in ("signed_in", "wrong", "malformed", "cancelled")}
    async with serve_submission() as server:
        await server.converse(f"""
            {TLS}
            C: AUTH PLAIN *
            S: 501
            C: AUTH PLAIN x
            S: 501
            C: AUTH PLAIN {plain(password="x")}
            S: 535
            C: AUTH PLAIN {plain()}
            S: 235
        """)
    assert {one: meters.SIGN_INS.value(outcome=one) - before[one] for one in before} == dict.fromkeys(before, 1.0)
