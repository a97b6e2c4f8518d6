"""Room in bytes: what is reserved is held, and given back once."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.admission import Admission


def test_room_is_bounded_in_all() -> None:
    admission = Admission(100, 100)
    one, two = admission.open(""), admission.open("")
    assert one.reserve(60)
    assert not two.reserve(41)
    assert two.size == 0
    assert two.reserve(40)
    assert admission.held == 100
    one.release()
    assert two.reserve(100)


def test_a_reservation_grows_and_never_shrinks() -> None:
    admission = Admission(100, 100)
    one = admission.open("")
    assert one.reserve(50)
    assert one.reserve(10)
    assert one.size == 50
    assert one.reserve(80)
    assert admission.held == 80
    assert not one.reserve(101)
    assert admission.held == 80


def test_releasing_twice_gives_back_once() -> None:
    admission = Admission(100, 100)
    one, two = admission.open("x"), admission.open("x")
    assert one.reserve(30)
    assert two.reserve(20)
    one.release()
    one.release()
    assert admission.held == 20


def test_one_client_has_a_share_in_several_mails_but_any_room_for_one() -> None:
    admission = Admission(100, 50)
    one, two, other = admission.open("x"), admission.open("x"), admission.open("y")
    assert one.reserve(40)
    assert not two.reserve(20)
    assert two.reserve(10)
    assert other.reserve(50)
    two.release()
    other.release()
    assert one.reserve(100)
    one.release()
    assert two.reserve(30)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 60), st.booleans()), max_size=60))
def test_what_is_held_is_the_sum_of_what_is_held(steps: list[tuple[int, int, bool]]) -> None:
    admission = Admission(150, 80)
    clients = ["", "", "x", "x", "y", "y"]
    reservations = [admission.open(client) for client in clients]
    for number, size, release in steps:
        if release:
            reservations[number].release()
        else:
            reservations[number].reserve(size)
        assert admission.held == sum(one.size for one in reservations) <= 150
    for one in reservations:
        one.release()
    assert admission.held == 0
    assert not admission._clients, "shares are forgotten with the last mail"


async def test_who_waits_gets_what_is_given_back_in_order() -> None:
    admission = Admission(100, 100)
    holder, first, second = admission.open(""), admission.open(""), admission.open("")
    assert holder.reserve(100)
    waits = [asyncio.create_task(one.reserve_within(60, 10.0)) for one in (first, second)]
    await asyncio.sleep(0)
    holder.release()
    assert await waits[0]
    assert (first.size, second.size) == (60, 0)
    first.release()
    assert await waits[1]
    assert admission.held == 60


async def test_a_wait_ends_in_time_when_the_process_closes_and_when_its_client_goes() -> None:
    admission = Admission(100, 100)
    holder, one = admission.open(""), admission.open("")
    assert holder.reserve(100)
    assert not await one.reserve_within(60, 0.01)
    closing = asyncio.create_task(one.reserve_within(60, 10.0))
    await asyncio.sleep(0)
    admission.turn_away()
    assert not await closing
    gone = asyncio.create_task(one.reserve_within(60, 10.0))
    await asyncio.sleep(0)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    holder.release()
    assert (admission.held, one.size) == (0, 0)


async def test_nobody_waits_while_holding_something() -> None:
    admission = Admission(100, 100)
    one, two = admission.open(""), admission.open("")
    assert one.reserve(60)
    assert two.reserve(40)
    assert not await two.reserve_within(50, 10.0)
