from __future__ import annotations

import asyncio

import pytest

from libs.runtime.errors import ExhaustedError, UnauthenticatedError, UnavailableError
from services.accounts.domain.attempts import AttemptRules, Attempts
from tests.support.clock import ManualClock


@pytest.fixture
def attempts(clock: ManualClock) -> Attempts:
    return Attempts(AttemptRules(per_account=4, per_proof=2, window=900), clock)


def wrong(attempts: Attempts, account: str, proof: bytes) -> None:
    with pytest.raises(UnauthenticatedError), attempts.attempt(account, proof):
        raise UnauthenticatedError("bad_proof")


def test_wrong_proofs_run_out_and_come_back_with_the_next_window(attempts: Attempts, clock: ManualClock) -> None:
    for number in range(4):
        wrong(attempts, "ada", b"%d" % number)
    with pytest.raises(ExhaustedError) as refused, attempts.attempt("ada", b"right"):
        pytest.fail("not to be reached")
    assert refused.value.reason == "too_many_attempts"
    assert refused.value.retry_after == 900
    clock.advance(900)
    with attempts.attempt("ada", b"right"):
        pass


def test_right_proofs_cost_nothing(attempts: Attempts) -> None:
    for _ in range(50):
        with attempts.attempt("ada", b"right"):
            pass


def test_one_wrong_proof_repeated_leaves_the_owner_his_attempts(attempts: Attempts) -> None:
    wrong(attempts, "ada", b"old password")
    wrong(attempts, "ada", b"old password")
    for _ in range(50):
        with pytest.raises(ExhaustedError), attempts.attempt("ada", b"old password"):
            pytest.fail("not to be reached")
    with attempts.attempt("ada", b"right"):
        pass


def test_accounts_do_not_count_for_each_other(attempts: Attempts) -> None:
    for number in range(4):
        wrong(attempts, "ada", b"%d" % number)
    with attempts.attempt("bob", b"0"):
        pass


def test_a_store_that_is_down_does_not_count(attempts: Attempts) -> None:
    for _ in range(50):
        with pytest.raises(UnavailableError), attempts.attempt("ada", b"right"):
            raise UnavailableError("storage_unavailable")


async def test_guesses_at_the_same_moment_are_counted_before_they_are_checked(attempts: Attempts) -> None:
    reached = 0

    async def guess(number: int) -> None:
        nonlocal reached
        with attempts.attempt("ada", b"%d" % number):
            reached += 1
            await asyncio.sleep(0)
            raise UnauthenticatedError("bad_proof")

    results = await asyncio.gather(*(guess(number) for number in range(100)), return_exceptions=True)
    assert reached == 4
    assert sum(isinstance(result, ExhaustedError) for result in results) == 96


async def test_an_attempt_that_is_cancelled_counts(attempts: Attempts) -> None:
    async def hang(number: int) -> None:
        with attempts.attempt("ada", b"%d" % number):
            await asyncio.Event().wait()

    tasks = [asyncio.create_task(hang(number)) for number in range(4)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    with pytest.raises(ExhaustedError), attempts.attempt("ada", b"right"):
        pytest.fail("not to be reached")


def test_nothing_of_an_attempt_outlives_its_window(attempts: Attempts, clock: ManualClock) -> None:
    wrong(attempts, "ada", b"0")
    limiters = (attempts._account, attempts._proof)
    assert [len(limiter) for limiter in limiters] == [1, 1]
    assert "ada" not in repr([vars(limiter) for limiter in limiters])
    clock.advance(900)
    assert [len(limiter) for limiter in limiters] == [0, 0]
