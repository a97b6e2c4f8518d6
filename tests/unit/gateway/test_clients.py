"""Who is counted: addresses, prefixes, and what a proxy says of its clients."""

from __future__ import annotations

import pytest

from libs.runtime.settings import SettingsError
from services.gateway.http.clients import Clients


def key(host: str, *forwarded: str, trusted: tuple[str, ...] = ()) -> str:
    headers = [(b"x-forwarded-for", text.encode("latin-1")) for text in forwarded]
    return Clients(trusted).key_of({"type": "http", "client": (host, 1), "headers": headers})


def test_clients_are_told_apart_by_address_and_by_prefix() -> None:
    assert key("192.0.2.1") != key("192.0.2.2")
    assert key("2001:db8::1") == key("2001:db8::ffff")
    assert key("2001:db8::1") != key("2001:db8:0:1::1")
    assert key("::ffff:192.0.2.1") == key("192.0.2.1")
    assert key("no address") == key("")


def test_nobody_speaks_for_others_but_a_trusted_proxy() -> None:
    assert key("192.0.2.1", "198.51.100.7") == key("192.0.2.1")
    assert key("10.0.0.1", "198.51.100.7", trusted=("10.0.0.2",)) == key("10.0.0.1")


PROXIES = ("10.0.0.0/8", "2001:db8:ff::/48")


@pytest.mark.parametrize(
    ("forwarded", "client"),
    [
        (("198.51.100.7",), "198.51.100.7"),
        (("198.51.100.7:4711",), "198.51.100.7"),
        (("2001:db8::1",), "2001:db8::"),
        (("[2001:db8::1]:443",), "2001:db8::"),
        # The client wrote the left end himself.
        (("203.0.113.9, 198.51.100.7",), "198.51.100.7"),
        (("203.0.113.9, 198.51.100.7, 10.1.1.1",), "198.51.100.7"),
        (("203.0.113.9", "198.51.100.7"), "198.51.100.7"),
        (("203.0.113.9, 198.51.100.7, 2001:db8:ff::1",), "198.51.100.7"),
        # Nothing of use: the nearest of the proxies stands for it.
        ((), "10.0.0.1"),
        (("",), "10.0.0.1"),
        (("garbage",), "10.0.0.1"),
        (("198.51.100.7, garbage",), "10.0.0.1"),
        (("198.51.100.7, garbage, 10.2.2.2",), "10.2.2.2"),
        (("10.3.3.3, 10.2.2.2",), "10.3.3.3"),
        (("198.51.100.7," * 5000 + "10.2.2.2",), "198.51.100.7"),
        ((", ".join(["198.51.100.7"] + ["10.2.2.2"] * 5000),), "10.2.2.2"),
        (("1" * 30_000,), "10.0.0.1"),
    ],
)
def test_a_trusted_proxy_names_its_client_at_the_right_end(forwarded: tuple[str, ...], client: str) -> None:
    assert key("10.0.0.1", *forwarded, trusted=PROXIES) == client
    assert key("::ffff:10.0.0.1", *forwarded, trusted=PROXIES) == client


def test_a_proxy_must_be_an_address_or_a_network() -> None:
    for wrong in ("proxy.example.org", "*", "10.0.0.0/40", "10.0.0.1:80"):
        with pytest.raises(SettingsError, match="SEALPOST_TRUSTED_PROXIES"):
            Clients((wrong,))
