from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.runtime.errors import InvalidError
from services.accounts.domain.addresses import Address, canonical_domain, may_be_signed_up, parse_address
from tests.unit.accounts.support import refused


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        ("ada@sealpost.test", "ada@sealpost.test"),
        ("Ada.LOVELACE@SealPost.Test", "ada.lovelace@sealpost.test"),
        ("ada+Shop@sealpost.test", "ada+shop@sealpost.test"),
        ("!#$%&'*+/=?^_`{|}~-@sealpost.test", "!#$%&'*+/=?^_`{|}~-@sealpost.test"),
        ('"ada"@sealpost.test', "ada@sealpost.test"),
        ('"a\\da"@sealpost.test', "ada@sealpost.test"),
        ("ada@bücher.example", "ada@xn--bcher-kva.example"),
        ("ada@BÜCHER.example", "ada@xn--bcher-kva.example"),
        ("ada@XN--BCHER-KVA.example", "ada@xn--bcher-kva.example"),
        ("ada@straße.example", "ada@xn--strae-oqa.example"),
        ("ada@例え。テスト", "ada@xn--r8jz45g.xn--zckzah"),
        ("ÄDA@sealpost.test", "äda@sealpost.test"),
        ("A\u0308DA@sealpost.test", "äda@sealpost.test"),
        ("\uff21da@sealpost.test", "ada@sealpost.test"),
        ("用户@sealpost.test", "用户@sealpost.test"),
        ("ada@[192.0.2.1]", "ada@[192.0.2.1]"),
        ("ada@[IPv6:2001:DB8::1]", "ada@[ipv6:2001:db8::1]"),
        ("a" * 64 + "@sealpost.test", "a" * 64 + "@sealpost.test"),
    ],
)
def test_spellings_of_one_mailbox_become_one_text(given: str, canonical: str) -> None:
    assert parse_address(given).text == canonical


@pytest.mark.parametrize(
    "given",
    [
        "",
        "@",
        "ada",
        "ada@",
        "@sealpost.test",
        "ada@@sealpost.test",
        "ada lovelace@sealpost.test",
        " ada@sealpost.test",
        "ada@sealpost.test ",
        "<ada@sealpost.test>",
        "@relay.example:ada@sealpost.test",
        ".ada@sealpost.test",
        "ada.@sealpost.test",
        "a..da@sealpost.test",
        "ada(comment)@sealpost.test",
        "ada,bob@sealpost.test",
        "ada@sealpost.test,bob@sealpost.test",
        '"ada lovelace"@sealpost.test',
        '"ada@home"@sealpost.test',
        '"ada\\"@sealpost.test',
        '"ada"x@sealpost.test',
        '""@sealpost.test',
        "ada\r\nRCPT TO:<eve@sealpost.test>@sealpost.test",
        "ada@sealpost.test\r\n",
        "ada@sealpost.test\n",
        "ad\x00a@sealpost.test",
        "ad\x7fa@sealpost.test",
        "ad\u0085a@sealpost.test",
        "ad\u200ba@sealpost.test",
        "ad\u202ea@sealpost.test",
        "ad\u00a0a@sealpost.test",
        "ada\uff20evil.example@sealpost.test",
        "ada\ufeff@sealpost.test",
        "ada@seal post.test",
        "ada@sealpost.test.",
        "ada@.sealpost.test",
        "ada@sealpost..test",
        "ada@-sealpost.test",
        "ada@sealpost-.test",
        "ada@seal_post.test",
        "ada@xn--.test",
        "ada@xn--a-\u00e4.test",
        "ada@\u2665\u200b.test",
        "ada@[192.0.2.1",
        "ada@[192.0.2.1]]",
        "ada@[]",
        "a" * 65 + "@sealpost.test",
        "ä" * 33 + "@sealpost.test",
        "ada@" + "a" * 64 + ".test",
        "ada@" + ".".join(["a" * 60] * 5),
        "x" * 100_000,
        "ada@" + "ä" * 100_000,
    ],
)
def test_what_no_mailbox_can_have_is_refused(given: str) -> None:
    with refused(InvalidError, "address_invalid"):
        parse_address(given)


def test_254_octets_are_the_most() -> None:
    domain = ".".join(["d" * 61] * 3 + ["test"])
    local = "a" * (254 - len(domain) - 1)
    assert len(parse_address(f"{local}@{domain}").text) == 254
    with pytest.raises(InvalidError):
        parse_address(f"a{local}@{domain}")


def test_a_sub_address_has_a_base() -> None:
    assert parse_address("ada+shop+2@sealpost.test").base == Address("ada", "sealpost.test")
    assert parse_address("ada@sealpost.test").base == Address("ada", "sealpost.test")
    assert parse_address("+ada@sealpost.test").base == Address("+ada", "sealpost.test")


@pytest.mark.parametrize("local", ["ada", "a", "1", "ada.lovelace", "ada-l_1"])
def test_plain_names_may_be_signed_up(local: str) -> None:
    assert may_be_signed_up(Address(local, "sealpost.test"))


@pytest.mark.parametrize(
    "local", ["", "ada+x", "-ada", "ada-", "ada.-b", "a__b", "äda", "\u0430da", "ad'a", "ada!", "用户"]
)
def test_other_names_may_not(local: str) -> None:
    assert not may_be_signed_up(Address(local, "sealpost.test"))


@given(st.text(max_size=300))
def test_any_text_is_refused_or_becomes_a_fixed_point(text: str) -> None:
    try:
        address = parse_address(text)
    except InvalidError:
        return
    assert parse_address(address.text) == address
    assert len(address.text.encode()) <= 254
    assert len(address.local.encode()) <= 64
    assert not any(unicodedata.category(character)[0] in "CZ" for character in address.text)


@given(st.text(alphabet=st.characters(codec="utf-8"), min_size=1, max_size=40))
def test_any_local_part_is_refused_or_becomes_a_fixed_point(local: str) -> None:
    try:
        address = parse_address(f"{local}@sealpost.test")
    except InvalidError:
        return
    assert parse_address(address.text) == address
    assert parse_address(address.text.upper()).domain == "sealpost.test"


@given(st.text(max_size=80))
def test_any_domain_is_refused_or_becomes_a_fixed_point(text: str) -> None:
    try:
        domain = canonical_domain(text)
    except InvalidError:
        return
    assert domain.isascii()
    assert domain == domain.lower()
    assert canonical_domain(domain) == domain
