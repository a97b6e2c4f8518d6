"""Return paths: what was made here is read, nothing else."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.envelope import KeyedHash
from libs.runtime.ids import new_id
from libs.runtime.secret import Secret
from services.delivery.domain.return_path import ALL_RECIPIENTS, ReturnPath, ReturnPaths

DOMAIN = "bounces.sealpost.test"
PATHS = ReturnPaths(KeyedHash(Secret(b"k" * 32)), DOMAIN)
ID = "00112233445566778899aabbccddeeff"


@given(st.binary(min_size=16, max_size=16), st.integers(0, ALL_RECIPIENTS))
def test_what_is_made_is_read(mail_id: bytes, index: int) -> None:
    address = PATHS.make(mail_id.hex(), index)
    assert PATHS.read(address) == ReturnPath(mail_id.hex(), index)
    assert PATHS.read(address.upper()) == ReturnPath(mail_id.hex(), index)
    assert len(address.partition("@")[0]) == 44


def test_without_a_position_it_stands_for_all() -> None:
    assert PATHS.read(PATHS.make(ID)) == ReturnPath(ID, ALL_RECIPIENTS)


def test_any_other_character_makes_it_unknown() -> None:
    local, _, domain = PATHS.make(ID, 7).partition("@")
    for place in range(2, len(local)):
        for other in "abcdefghijklmnopqrstuvwxyz234567":
            if other != local[place]:
                assert PATHS.read(f"{local[:place]}{other}{local[place + 1 :]}@{domain}") is None


def test_what_another_key_or_domain_made_is_unknown() -> None:
    assert PATHS.read(ReturnPaths(KeyedHash(Secret(b"x" * 32)), DOMAIN).make(ID)) is None
    assert PATHS.read(ReturnPaths(KeyedHash(Secret(b"k" * 32)), "bounces.example").make(ID)) is None


@pytest.mark.parametrize(
    "address",
    [
        "",
        "@",
        "b-@bounces.sealpost.test",
        f"b-{'a' * 42}@{DOMAIN}",
        f"b-{'a' * 43}@{DOMAIN}",
        f"c-{'a' * 42}@{DOMAIN}",
        f"b-{'1' * 42}@{DOMAIN}",
        f"\u212a{'a' * 43}@{DOMAIN}",
        "b-" + base64.b32encode(b"x" * 26).decode().rstrip("=").lower() + "@" + DOMAIN,
        PATHS.make(ID) + "\r\nX",
        PATHS.make(ID) + "\n",
        " " + PATHS.make(ID),
        "x" * 100_000,
    ],
)
def test_what_was_not_made_here_is_unknown(address: str) -> None:
    assert PATHS.read(address) is None


@given(st.text(max_size=80))
def test_nothing_raises(text: str) -> None:
    assert PATHS.read(text) is None
    assert PATHS.read(f"b-{text}@{DOMAIN}") is None


@pytest.mark.parametrize(("mail_id", "index"), [("", 0), ("x" * 32, 0), (ID + "\n", 0), (ID, -1), (ID, 0x10000)])
def test_only_ids_and_positions_have_one(mail_id: str, index: int) -> None:
    with pytest.raises(ValueError, match="id and a position"):
        PATHS.make(mail_id, index)


def test_mails_and_recipients_have_their_own() -> None:
    assert len({PATHS.make(new_id(), index) for index in range(10)}) == 10
