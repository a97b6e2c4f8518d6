"""The rules that need no store."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.runtime.errors import InvalidError
from services.storage import domain
from services.storage.domain import Delivery, NewMessage

MESSAGE = NewMessage("m1", "0" * 32, 1, 1, "openpgp", b"envelope", b"body")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"mailbox_id": ""}, "mailbox_id"),
        ({"mailbox_id": "a/b"}, "mailbox_id"),
        ({"mailbox_id": "a" * 65}, "mailbox_id"),
        ({"message_id": "0" * 31}, "message_id"),
        ({"message_id": "G" * 32}, "message_id"),
        ({"folder": "../x"}, "folder"),
        ({"folder": "In Box"}, "folder"),
        ({"size": -1}, "amount"),
        ({"size": 2**60}, "amount"),
        ({"expires_at": -1}, "amount"),
        ({"keep_newest": -1}, "amount"),
        ({"scheme": ""}, "scheme"),
        ({"key_id": "x" * 129}, "key_id"),
        ({"envelope": b""}, "envelope"),
        ({"envelope": b"x" * 32_769}, "envelope"),
        ({"body": b""}, "body"),
        ({"body": b"x" * (1024 * 1024 + 1)}, "body"),
        ({"body_staged": True}, "body"),
    ],
)
def test_a_message_that_cannot_be_stored_is_refused(change: dict[str, object], reason: str) -> None:
    bad = replace(MESSAGE, **change)  # type: ignore[arg-type]
    with pytest.raises(InvalidError, match=f"^{reason}$"):
        domain.check_delivery(Delivery("d1", (bad,)))


@pytest.mark.parametrize(
    ("delivery", "reason"),
    [
        (Delivery("", (MESSAGE,)), "delivery_id"),
        (Delivery("a b", (MESSAGE,)), "delivery_id"),
        (Delivery("d1", ()), "recipients"),
        (Delivery("d1", (MESSAGE, MESSAGE)), "duplicate_copy"),
    ],
)
def test_a_delivery_that_cannot_be_stored_is_refused(delivery: Delivery, reason: str) -> None:
    with pytest.raises(InvalidError, match=f"^{reason}$"):
        domain.check_delivery(delivery)


def test_a_sound_delivery_passes() -> None:
    domain.check_delivery(Delivery("d1", (MESSAGE, replace(MESSAGE, mailbox_id="m2"))))
    domain.check_delivery(Delivery("d1", (replace(MESSAGE, body=b"", body_staged=True),)))


@given(st.binary(min_size=16, max_size=16))
def test_a_cursor_comes_back(raw: bytes) -> None:
    assert domain.decode_cursor(domain.encode_cursor(raw.hex())) == raw.hex()


@given(st.text(max_size=40))
def test_whatever_is_not_a_cursor_is_refused(text: str) -> None:
    try:
        message_id = domain.decode_cursor(text)
    except InvalidError as error:
        assert error.reason == "cursor"
    else:
        assert domain.encode_cursor(message_id) == text


@pytest.mark.parametrize("cursor", ["x", "0" * 32, "AQ", "Ag" + "A" * 21, "é", domain.encode_cursor("0" * 32) + "="])
def test_a_bad_cursor_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidError, match=r"^cursor$"):
        domain.decode_cursor(cursor)


def test_flags_are_a_closed_list() -> None:
    assert domain.flag_names(domain.flag_bits(["answered", "seen"])) == ("seen", "answered")
    with pytest.raises(InvalidError, match=r"^flag$"):
        domain.flag_bits(["seen", "Seen"])


@pytest.mark.parametrize(("limit", "size"), [(0, 50), (1, 1), (200, 200)])
def test_a_page_has_a_size(limit: int, size: int) -> None:
    assert domain.check_page_size(limit) == size


@pytest.mark.parametrize("limit", [-1, 201])
def test_a_page_is_bounded(limit: int) -> None:
    with pytest.raises(InvalidError, match=r"^limit$"):
        domain.check_page_size(limit)
