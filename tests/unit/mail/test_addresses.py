"""Paths and names: what the grammar allows gets through whole, everything else not at all."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.mail.addresses import Path, PathError, read_hello, read_path


@pytest.mark.parametrize(
    ("argument", "address", "domain"),
    [
        ("FROM:<ada@example.org>", "ada@example.org", "example.org"),
        ("from:  <ada@example.org>", "ada@example.org", "example.org"),
        ("FROM:<>", "", ""),
        ("FROM:<@a.example,@b.example:ada@example.org>", "ada@example.org", "example.org"),
        ('FROM:<"ada \\" <x>@y"@example.org>', '"ada \\" <x>@y"@example.org', "example.org"),
        ("FROM:<a..b.@example.org>", "a..b.@example.org", "example.org"),
        ("FROM:<ada@[192.0.2.1]>", "ada@[192.0.2.1]", "[192.0.2.1]"),
        ("FROM:<ada@[IPv6:2001:db8::1]>", "ada@[IPv6:2001:db8::1]", "[IPv6:2001:db8::1]"),
        ("FROM:<ada@_host.example.org>", "ada@_host.example.org", "_host.example.org"),
    ],
)
def test_paths_are_read(argument: str, address: str, domain: str) -> None:
    path = read_path(argument, "FROM:")
    assert (path.address, path.domain, path.parameters, path.ascii) == (address, domain, {}, True)


def test_parameters_are_read() -> None:
    path = read_path("FROM:<a@b.example> size=12  BODY=8bitmime SMTPUTF8", "FROM:")
    assert path.parameters == {"SIZE": "12", "BODY": "8bitmime", "SMTPUTF8": ""}


def test_internationalised_addresses_say_so() -> None:
    assert read_path("TO:<b\u00f6b@ex\u00e4mple.org>", "TO:") == Path(
        "b\u00f6b@ex\u00e4mple.org", "ex\u00e4mple.org", {}, False
    )


@pytest.mark.parametrize(
    ("argument", "kind"),
    [
        ("", "syntax"),
        ("FROM:ada@example.org", "syntax"),
        ("FROM:<ada@example.org", "syntax"),
        ("TO:<ada@example.org>", "syntax"),
        ("FROM:<ada@example.org> SIZE", None),
        ("FROM:<ada@example.org> SIZE=1 SIZE=2", "syntax"),
        ("FROM:<ada@example.org> =1", "syntax"),
        ("FROM:<ada@example.org>SIZE=1", "address"),
        ("FROM:<ada>", "address"),
        ("FROM:<ada@>", "address"),
        ("FROM:<@example.org>", "address"),
        ("FROM:<ada @example.org>", "address"),
        ("FROM:<ada@example.org.>", "address"),
        ("FROM:<ada\u2028@example.org>", "address"),
        ("FROM:<ada\u202e@example.org>", "address"),
        ("FROM:<ada\x00@example.org>", "address"),
        ("FROM:<ada\r\nX: y@example.org>", "address"),
        ("FROM:<" + "x" * 65 + "@example.org>", "address"),
        ("FROM:<x@" + "a." * 127 + "org>", "address"),
    ],
)
def test_what_is_no_path(argument: str, kind: str | None) -> None:
    if kind is None:
        read_path(argument, "FROM:")
        return
    with pytest.raises(PathError) as caught:
        read_path(argument, "FROM:")
    assert caught.value.kind == kind


@given(st.text(max_size=60))
def test_whatever_is_read_is_fit_for_a_field(text: str) -> None:
    try:
        path = read_path(f"FROM:<{text}>", "FROM:")
    except PathError:
        return
    assert path.address in ("", text.rpartition(":")[2]) or path.address == text
    assert path.address.isprintable() or not path.ascii
    assert not set(path.address) & set("\r\n\0\u2028\u2029\x85")


@pytest.mark.parametrize(
    "name", ["mail.example.org", "[192.0.2.1]", "[IPv6:2001:db8::1]", "localhost", "a_b.example", "x."]
)
def test_names_of_clients(name: str) -> None:
    assert read_hello(name) == name


@pytest.mark.parametrize(
    "name", ["", "two words", "a(b)", "a;b", "-x", "a\tb", "a\r\nb", "\u00e4.example", "x" * 256, "[]"]
)
def test_what_is_no_name(name: str) -> None:
    assert read_hello(name) is None


@pytest.mark.parametrize(
    "text", ["a" * 900, "@" + "a." * 450, '"' + "\\" * 900, "x@" + "a-" * 450, "@" + "a,@" * 300, '"' + " " * 900]
)
def test_nothing_takes_long(text: str) -> None:
    began = time.perf_counter()
    with pytest.raises(PathError):
        read_path(f"FROM:<{text}>", "FROM:")
    assert time.perf_counter() - began < 0.05
