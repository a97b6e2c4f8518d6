"""Which servers are asked, and for which names."""

from __future__ import annotations

import dns.name
import dns.resolver
import pytest

from libs.net.dns import make_resolver
from tests.support.dns import serve_dns


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("192.0.2.1", ("192.0.2.1", 53)),
        ("192.0.2.1:5353", ("192.0.2.1", 5353)),
        ("2001:db8::1", ("2001:db8::1", 53)),
        ("[2001:db8::1]:5353", ("2001:db8::1", 5353)),
    ],
)
def test_servers_are_addresses(text: str, server: tuple[str, int]) -> None:
    (found,) = make_resolver([text]).nameservers
    assert (found.address, found.port) == server  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["dns.example.org", "dns.example.org:53", "192.0.2.1:x", "", "300.1.1.1"])
def test_anything_else_is_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"address|literal"):
        make_resolver([text])


async def test_names_are_asked_as_they_are() -> None:
    with serve_dns({("host.example", "A"): ["192.0.2.7"]}) as server:
        resolver = make_resolver([server.address])
        (found,) = await resolver.resolve("host.example", "A")
        assert found.address == "192.0.2.7"
        with pytest.raises(dns.resolver.NXDOMAIN):
            await resolver.resolve("host", "A")
        assert server.asked == [("host.example.", "A"), ("host.", "A")]
    assert make_resolver([]).domain == dns.name.root
