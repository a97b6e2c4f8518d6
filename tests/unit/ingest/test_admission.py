"""Room in bytes: what is reserved is held, and given back once."""

from __future__ import annotations

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
