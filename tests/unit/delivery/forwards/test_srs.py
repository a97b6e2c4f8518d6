"""Return paths of forwarded mail: fixed vectors, what they survive, and that nobody makes one up or keeps one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.envelope import KeyedHash
from libs.runtime.errors import InvalidError
from libs.runtime.secret import Secret
from services.delivery.forwards.srs import VALID_DAYS, ForwardedCopy, ForwardPaths

DAY = 86400
NOW = 20_780 * DAY + 12_345
PATHS = ForwardPaths(KeyedHash(Secret(b"\x22" * 32)), "Bounces.sealpost.test")
COPY = ForwardedCopy("00112233445566778899aabbccddeeff", 2)
COPIES = st.builds(ForwardedCopy, st.binary(min_size=16, max_size=16).map(bytes.hex), st.integers(0, 255))


def refused(address: str, now: int = NOW) -> str:
    with pytest.raises(InvalidError) as caught:
        PATHS.read(address, now)
    return caught.value.reason


@pytest.mark.parametrize(
    ("copy", "now", "address"),
    [
        (COPY, NOW, "SRS0=27mycjwoefbu2=jm=aaisem2ekvthpcezvk54zxpo74ba@bounces.sealpost.test"),
        (COPY, NOW + DAY, "SRS0=wijripbu46nfw=jn=aaisem2ekvthpcezvk54zxpo74ba@bounces.sealpost.test"),
        (
            ForwardedCopy("f" * 32, 255),
            1024 * DAY,
            "SRS0=tpjpjxwjyrqys=aa=777777777777777777777777777q@bounces.sealpost.test",
        ),
    ],
)
def test_vectors(copy: ForwardedCopy, now: int, address: str) -> None:
    assert PATHS.make(copy, now) == address
    assert PATHS.read(address, now) == copy


@given(COPIES, st.integers(0, 2**33))
def test_what_was_made_is_read_in_any_case_and_fits(copy: ForwardedCopy, now: int) -> None:
    address = PATHS.make(copy, now)
    assert len(address.partition("@")[0]) <= 64
    assert PATHS.is_one(address)
    for spelling in (address, address.lower(), address.upper()):
        assert PATHS.read(spelling, now) == copy


def test_it_has_the_shape_that_other_forwarders_shorten() -> None:
    local = PATHS.make(COPY, NOW).partition("@")[0]
    assert re.fullmatch(r"SRS0=[^=]+=[A-Za-z2-7]{2}=[^=@]+", local)
    # Guarded SRS (SRS1) carries everything behind "SRS0" along and puts it back.
    carried = f"SRS1=xxxx=bounces.sealpost.test={local.removeprefix('SRS0')}"
    _, _, domain, rest = carried.split("=", 3)
    assert PATHS.read(f"SRS0{rest}@{domain}", NOW) == COPY


@pytest.mark.parametrize("days", range(-1, VALID_DAYS + 1))
def test_it_is_good_for_some_days(days: int) -> None:
    assert PATHS.read(PATHS.make(COPY, NOW), NOW + days * DAY) == COPY


@pytest.mark.parametrize("days", [-3, -2, VALID_DAYS + 1, 100, 1000])
def test_and_then_it_has_expired(days: int) -> None:
    assert refused(PATHS.make(COPY, NOW), NOW + days * DAY) == "return_path_expired"


@given(st.integers(0, 60), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567=@.-"))
def test_one_character_makes_it_forged(position: int, character: str) -> None:
    address = PATHS.make(COPY, NOW).lower()
    changed = address[:position] + character + address[position + 1 :]
    if changed in (address, address.replace("srs0=", "srs0-", 1)):
        # The first separator is between forwarders (SRS allows three), and under no hash.
        assert PATHS.read(changed, NOW) == COPY
    else:
        assert refused(changed) == "return_path_forged"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "@",
        "SRS0@bounces.sealpost.test",
        "SRS1=aaaa=x.example==bbbb=cc=d@bounces.sealpost.test",
        "SRS0=aaaa=bb=example.org=ada@bounces.sealpost.test",
        PATHS.make(COPY, NOW).replace("bounces.", "other."),
        PATHS.make(COPY, NOW) + "x",
        "b-k5xw4zzanfzsa@bounces.sealpost.test",
    ],
)
def test_what_was_not_made_here(address: str) -> None:
    assert refused(address) == "return_path_forged"


def test_another_key_is_another_installation() -> None:
    other = ForwardPaths(KeyedHash(Secret(b"\x23" * 32)), "bounces.sealpost.test")
    assert refused(other.make(COPY, NOW)) == "return_path_forged"


@pytest.mark.parametrize("copy", [ForwardedCopy("x", 0), ForwardedCopy("0" * 32, 256), ForwardedCopy("0" * 32, -1)])
def test_nothing_else_gets_one(copy: ForwardedCopy) -> None:
    with pytest.raises(ValueError, match="made of an id"):
        PATHS.make(copy, NOW)


@given(st.text(max_size=80))
def test_nothing_raises_anything_else(local: str) -> None:
    PATHS.is_one(f"{local}@bounces.sealpost.test")
    assert refused(f"{local}@bounces.sealpost.test") == "return_path_forged"
